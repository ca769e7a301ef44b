"""Media files, written and read through FFmpeg (PyAV)."""
