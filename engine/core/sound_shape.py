"""The sound of a moment as a curve, for effects that draw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class SoundShape:
    """The newest 23 ms of the main mix after gain; nobody changes the arrays."""

    wave: np.ndarray
    """Samples, float32 (1024,), -1..1, newest last."""
    spectrum: np.ndarray
    """Their magnitudes, float32 (513,), evenly from 0 Hz to 22.05 kHz; a full-scale sine peaks at 0.5."""


STILLNESS = SoundShape(np.zeros(1024, np.float32), np.zeros(513, np.float32))
