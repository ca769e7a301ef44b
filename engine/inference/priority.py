"""Who goes first on a small machine: sound and display before the model."""

from __future__ import annotations

import os
import sys
import threading

BEHIND = 5
"""Nice value of the model's threads: when cores are short the display takes what it needs, the model the rest."""


def step_back() -> None:
    """Let every other thread go first; threads started by this one inherit it. Elsewhere than on Linux, nothing."""
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
