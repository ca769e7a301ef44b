"""A picture from outside, on its way to the frame that starts from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class LivePicture:
    """One picture of a camera, a stream or a film: RGB uint8 (height, width, 3), read-only."""

    image: np.ndarray
    time_s: float
    """When it was captured, on the show's clock: when it arrived, or when a film showed it."""


LivePictures = Callable[[], LivePicture | None]
"""The newest one; None before the first. Never waits."""
