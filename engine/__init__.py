"""The show: audio in, control, sampling, rendering, recording, and the command line."""

import os

__version__ = "0.2.0"

# torch's threads wait awake for the next operation, but for microseconds only: the display and sound need the cores.
# Asleep at once (OMP_WAIT_POLICY=PASSIVE), eager torch is half as fast on two cores.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# NumPy's matrices here are too small to share: its second thread only spins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
