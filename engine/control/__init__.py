"""What operators say: one parameter table, OSC, presets, and the one owner of the show state."""
