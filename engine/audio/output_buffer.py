"""Sound waiting to be played, each frame at the place where the device will make it heard at its time."""

from __future__ import annotations

import time

import numpy as np

from engine.audio.timeline import SampleClock

CAPACITY_S = 2.0
_OFF_S, _STEADY_S = 0.003, 0.0005
"""A drift beyond the first is corrected until it is below the second, one frame a block: 0.4 % of speed at most."""
_JUMP_S = 0.05
"""Off by more: go on at the right place."""
_PAUSES = 3
"""The first buffers are asked for at once; pauses of a buffer's length show that the device plays what it has."""
_PLAUSIBLE_S = 1.0


class OutputBuffer:
    """Between a feed and one opened output stream; times are the wall's clock.

    Frames are numbered as the device takes them, from 0. The feed's thread calls `put`, the callback's `take`, which
    only copies; what was not put in time is silence. The counts are of frames, but for `underruns`.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate
        self.taken = 0
        """Frames that the device has taken."""
        self.underruns = 0
        """Times there was nothing to play in the middle of the piece."""
        self.dropped = 0
        """Frames that came too late to be heard."""
        self.corrected = 0
        """Frames put in, less those left out, to follow the feed's clock."""
        self.offset_s = 0.0
        """How much later than it should be the newest block is heard, by the device's own account."""
        self._frames = np.zeros((round(CAPACITY_S * rate), channels), np.float32)
        """Frame number n waits in row n modulo the length."""
        self._end = 0
        """The number after the last frame that waits."""
        self._reported = (0, 0.0)
        """A frame's number and when it will be heard, as the device reported to the newest `take`."""
        self._reported_before = -1
        self._clock = SampleClock(rate)
        self._called_s = 0.0
        self._pauses = 0
        self._correcting = self._playing = False

    @property
    def running(self) -> bool:
        """The device plays at its own pace, so that the times it tells hold."""
        return self._pauses >= _PAUSES

    def take(self, out: np.ndarray, ahead_s: float, underflow: bool = False) -> None:
        """Fill `out`, (n, channels), which will be heard from `ahead_s` seconds on; for the callback."""
        now_s, frames = time.monotonic(), len(out)
        self._pauses += 0.0 < self._called_s < now_s - 0.5 * frames / self.rate
        self._called_s = now_s
        self._reported = (self.taken, now_s + min(max(ahead_s, 0.0), _PLAUSIBLE_S))
        row = self.taken % len(self._frames)
        first = min(frames, len(self._frames) - row)
        for here, there, n in ((0, row, first), (first, 0, frames - first)):
            out[here : here + n] = self._frames[there : there + n]
            self._frames[there : there + n] = 0.0
        self.taken += frames
        if underflow and self._playing:
            self.underruns += 1

    def put(self, sound: np.ndarray, start_s: float) -> None:
        """Let `sound`, (n, channels), be heard from `start_s` on: after what waits, or, if that is off, in its place.

        Nothing is taken in before the device is `running`.
        """
        if not self.running:
            return
        number, heard_s = self._reported
        if number != self._reported_before:
            self._clock.update(number, heard_s)
            self._reported_before = number
        taken = self.taken
        if self._end < taken and self._playing:
            self.underruns += 1
        late_s = self._clock.time_of(self._end) - start_s
        if self._end <= taken or abs(late_s) > _JUMP_S:
            sound, late_s = self._jump(sound, late_s, taken), 0.0
        else:
            sound = self._follow(sound, late_s)
        self.offset_s, self._playing = late_s, len(sound) > 0
        self._write(sound[: max(0, taken + len(self._frames) - self._end)])

    def _jump(self, sound: np.ndarray, late_s: float, taken: int) -> np.ndarray:
        """Move what waits to the right place; returns it and `sound`, as far as they are in time for it."""
        waits_from = min(taken, self._end)
        all_of_it = np.concatenate([self._frames[self._rows(waits_from, self._end)], sound])
        self._frames[:] = 0.0
        wanted = waits_from - round(late_s * self.rate)
        self._end = max(wanted, taken)
        self.dropped += min(len(all_of_it), self._end - wanted)
        return all_of_it[self._end - wanted :]

    def _follow(self, sound: np.ndarray, late_s: float) -> np.ndarray:
        """One frame less or more while the device's clock is ahead or behind, drawn out over the whole block."""
        self._correcting = abs(late_s) > (_STEADY_S if self._correcting else _OFF_S)
        if not self._correcting or len(sound) < 2:
            return sound
        more = -1 if late_s > 0 else 1
        self.corrected += more
        at = np.linspace(0, len(sound) - 1, len(sound) + more)
        columns = [np.interp(at, np.arange(len(sound)), column) for column in sound.T]
        return np.stack(columns, axis=1).astype(np.float32)

    def _write(self, sound: np.ndarray) -> None:
        self._frames[self._rows(self._end, self._end + len(sound))] = sound
        self._end += len(sound)

    def _rows(self, start: int, end: int) -> np.ndarray:
        return np.arange(start, end) % len(self._frames)
