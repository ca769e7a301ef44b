"""The live show: audio in, control, sampling loop, rendering, recording, command line."""
