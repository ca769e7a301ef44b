"""Where sounds and pictures of a live show lie on the recording's one time axis: the samples of its sound."""

from __future__ import annotations

import math

import numpy as np

_JUMP_S = 0.1
_LOST_S = 1.0
_PATIENCE_S = 0.5
_SMOOTHING_S = 2.0


class SoundAxis:
    """Maps the show's clock to seconds of recorded sound, as a sound card that drifts against it measures them.

    Time 0 is `origin_s` on the show's clock. Chunks follow each other by their sample numbers; how far their capture
    times wander from that is the drift, followed with a time constant of 2 s. Where numbers and times disagree by
    more than a second, or by more than 0.1 s for half a second, samples were lost that the numbers do not count: the
    axis is anchored anew by the clock. Owned by the recorder's thread.
    """

    def __init__(self, origin_s: float, sample_rate: int) -> None:
        self._origin_s = origin_s
        self._rate = sample_rate
        self._shift: int | None = None
        self._drift_s = 0.0
        self._last_s = origin_s
        self._doubt_since_s: float | None = None

    def seconds(self, time_s: float) -> float:
        """Position in the recording, in seconds, of a moment on the show's clock."""
        return time_s - self._origin_s + self._drift_s

    def place(self, start_index: int, count: int, time_s: float) -> int:
        """First sample, in the recording, of a chunk whose newest sample was captured at `time_s`."""
        end = start_index + count
        if self._shift is not None:
            error_s = (end + self._shift) / self._rate - self.seconds(time_s)
            if self._lost(error_s, time_s):
                self._shift = None
            elif abs(error_s) <= _JUMP_S:
                self._drift_s += error_s * min(1.0, max(0.0, time_s - self._last_s) / _SMOOTHING_S)
        if self._shift is None:
            self._shift = round(self.seconds(time_s) * self._rate) - end
            self._doubt_since_s = None
        self._last_s = time_s
        return start_index + self._shift

    def forget(self) -> None:
        """The stream broke off: anchor the next chunk by the clock."""
        self._shift = None

    def _lost(self, error_s: float, time_s: float) -> bool:
        if abs(error_s) <= _JUMP_S:
            self._doubt_since_s = None
            return False
        if self._doubt_since_s is None:
            self._doubt_since_s = time_s
        return abs(error_s) > _LOST_S or time_s - self._doubt_since_s > _PATIENCE_S


Placed = tuple[int, "np.ndarray | None"]
"""A slot of the frame grid and its picture; None repeats the one before."""


class FrameGrid:
    """Puts pictures that come at irregular times on the constant grid of a video file.

    A picture takes the slot nearest to its time, and the newest of two for one slot wins; slots for which none came
    repeat the one before. Slots are given out in order and without holes. Owned by the recorder's thread.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._next = 0
        self._waiting: tuple[int, np.ndarray] | None = None
        self._started = False
        self.late = 0
        """Pictures that came after their slot was given out, and took the next one."""
        self.replaced = 0
        """Pictures that gave way to a newer one for the same slot."""

    def offer(self, image: np.ndarray, seconds: float) -> list[Placed]:
        """Take a picture; returns the slots before it. The first one also takes the free slots before its own."""
        wanted = max(0, round(seconds * self._fps)) if self._started else self._next
        slot = max(wanted, self._waiting[0] if self._waiting else self._next)
        self._started = True
        self.late += slot > wanted
        self.replaced += self._waiting is not None and slot == self._waiting[0]
        placed = self._fill(slot)
        self._waiting = (slot, image)
        return placed

    def advance(self, seconds: float) -> list[Placed]:
        """Give out the slots that begin before `seconds`, whether pictures came for them or not."""
        return self._fill(math.floor(seconds * self._fps))

    def finish(self, seconds: float) -> list[Placed]:
        """Give out everything up to the end of the recording."""
        return self._fill(max(round(seconds * self._fps), self._waiting[0] + 1 if self._waiting else 0))

    def _fill(self, stop: int) -> list[Placed]:
        placed: list[Placed] = []
        for slot in range(self._next, stop):
            here = self._waiting is not None and self._waiting[0] == slot
            placed.append((slot, self._waiting[1] if self._waiting and here else None))
            self._waiting = None if here else self._waiting
        self._next = max(self._next, stop)
        return placed
