"""How evenly redraws come, and the loop that makes them come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.core.clock import Clock

KEPT = 100_000
"""Gaps remembered: 27 minutes at 60 Hz."""


@dataclass(frozen=True, slots=True)
class RedrawStats:
    """Redraws so far, their rate, and the gaps between them; of the newest `KEPT` gaps."""

    redraws: int
    per_s: float
    median_gap_ms: float
    p99_gap_ms: float
    longest_gap_ms: float


class RedrawTimes:
    """Collects when redraws reached the screen. Owned by the thread that draws."""

    def __init__(self) -> None:
        self._gaps_s: deque[float] = deque(maxlen=KEPT)
        self._last_s: float | None = None
        self._redraws = 0

    def add(self, now_s: float) -> None:
        """A redraw reached the screen."""
        if self._last_s is not None:
            self._gaps_s.append(now_s - self._last_s)
        self._last_s = now_s
        self._redraws += 1

    def stats(self) -> RedrawStats:
        """Sum up."""
        if not self._gaps_s:
            return RedrawStats(self._redraws, 0.0, 0.0, 0.0, 0.0)
        gaps_ms = np.array(self._gaps_s) * 1000.0
        median, p99 = np.percentile(gaps_ms, [50, 99])
        return RedrawStats(
            self._redraws, float(1000.0 / gaps_ms.mean()), float(median), float(p99), float(gaps_ms.max())
        )


MOST_FAILED = 300
"""Redraws in a row that may fail: seconds of them."""


class EventSource(Protocol):
    """What the loop asks of the screen it draws on."""

    @property
    def closed(self) -> bool:
        """The user has quit."""
        ...

    def dispatch(self) -> None:
        """Handle the events that wait."""
        ...


def redraw_loop(
    events: EventSource,
    redraw: Callable[[float], None],
    clock: Clock,
    rate_hz: float,
    stopped: Callable[[], bool],
    failed: Callable[[Exception], object] = lambda error: None,
) -> RedrawTimes:
    """Redraw at `rate_hz`, or as often as the machine can, until `stopped()` or the window is closed.

    `redraw` gets the time and must not wait for anything but the display. A redraw that comes late is not made up for;
    one that fails, or an event, is told to `failed`, and the next is tried, until there were MOST_FAILED in a row: then
    it raises.
    """
    failures = 0
    times = RedrawTimes()
    due_s = clock.now()
    while not stopped():
        try:
            events.dispatch()
            if events.closed:
                break
            redraw(clock.now())
            failures = 0
        except Exception as error:
            failures += 1
            if failures >= MOST_FAILED:
                raise
            failed(error)
        now_s = clock.now()
        times.add(now_s)
        due_s = max(due_s + 1.0 / rate_hz, now_s)
        clock.sleep(due_s - now_s)
    return times
