"""Controllers and clocks over MIDI."""
