"""The show: audio in, control, sampling, rendering, recording, and the command line."""

import os

# torch's threads else spin between operations, and take the cores from ONNX Runtime's, from the display and from audio.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
