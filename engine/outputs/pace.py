"""When an output wants its next picture."""

from __future__ import annotations

import time
from collections.abc import Callable

EARLY = 0.25
"""A redraw that comes earlier by this share of the time between pictures will do: none falls exactly on it."""


class Pace:
    """Picks `rate_hz` of the redraws a second, as evenly as they come. `now` is any clock, in seconds."""

    def __init__(self, rate_hz: float, now: Callable[[], float] = time.monotonic) -> None:
        self._apart_s, self._now = 1.0 / rate_hz, now
        self._next_s = float("-inf")

    def due(self) -> bool:
        """Whether this redraw is wanted; asked once a redraw."""
        now_s = self._now()
        if now_s < self._next_s - EARLY * self._apart_s:
            return False
        self._next_s = self._apart_s + (self._next_s if now_s - self._next_s < self._apart_s else now_s)
        return True
