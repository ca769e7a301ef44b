"""Music with exact labels: composed from a seed or read from MIDI files, played through a SoundFont, and mixed."""
