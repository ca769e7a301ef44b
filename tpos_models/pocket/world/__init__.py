"""The procedural world that `pocket` learned from."""
