"""When a sample was captured: its number in the stream, mapped to the show's clock."""

from __future__ import annotations

_TIME_CONSTANT_S = 1.0
_JUMP_S = 0.08


class SampleClock:
    """Maps sample numbers at `rate` to seconds, through the jitter of the blocks that carried them.

    Blocks come in bursts; a sound card's clock drifts from the computer's. A first-order loop follows the blocks'
    times with a time constant of a second, and jumps only where a block is off by more than 80 ms. Owned by the
    analysis thread.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._count = 0
        self._time_s = 0.0
        self._age_s = -1.0

    @property
    def running(self) -> bool:
        """Whether any block has been placed."""
        return self._age_s >= 0

    def update(self, count: int, time_s: float) -> None:
        """Sample number `count` (the end of a block) was captured at `time_s`."""
        step_s = (count - self._count) / self.rate
        predicted = self._time_s + step_s
        error = time_s - predicted
        if not self.running or abs(error) > _JUMP_S:
            predicted, self._age_s = time_s, 0.0
        else:
            self._age_s = min(self._age_s + step_s, _TIME_CONSTANT_S)
            predicted += error * min(1.0, step_s / max(self._age_s, step_s, 1e-9))
        self._count, self._time_s = count, predicted

    def time_of(self, count: float) -> float:
        """Seconds at which sample number `count` was, or will be, captured."""
        return self._time_s + (count - self._count) / self.rate
