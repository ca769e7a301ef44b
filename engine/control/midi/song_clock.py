"""MIDI clock: 24 ticks a quarter note, start, stop, continue and song position, as a grid of beats."""

from __future__ import annotations

from collections import deque

import mido
import numpy as np

from engine.core.beat_grid import SLOWEST_BPM, BeatGrid, ClockSource

TICKS_PER_BEAT, TICKS_PER_SIXTEENTH = 24, 6
GONE_S = 0.5
"""A clock without a tick for so long is gone."""
FASTEST_BPM = 300.0
_KEPT, _LEAST = 8 * TICKS_PER_BEAT, TICKS_PER_BEAT
_NEWEST, _OFF_S = 24, 0.001
"""Half of the newest ticks further off the line through all than this, and than they jitter, are of another tempo."""
_BENDS = 1.65
"""The median of ticks' second differences over their jitter, where that is normal: 0.6745 sqrt(6)."""
MESSAGES = ("clock", "start", "stop", "continue", "songpos")


class SongClock:
    """One clock, as its ticks say on average: a line fitted to the newest eight beats. Owned by the MIDI thread.

    Stopped, it says nothing. Until it was started or told a position, nobody knows which of its ticks are beats; nor
    after it was gone, until it is again.
    """

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._count = 0
        self._origin: int | None = None
        """The tick that is beat 0."""
        self._stopped_at: int | None = None
        """Ticks into the song where it stopped."""

    def take(self, message: mido.Message, time_s: float) -> None:
        """One of `MESSAGES`, as it came at `time_s`, in seconds on the show's clock."""
        if self._ticks and time_s - self._ticks[-1][1] > GONE_S:
            self._ticks.clear()
            self._origin = None  # who knows how many ticks were lost
        match message.type:
            case "clock":
                self._ticks.append((self._count, time_s))
                self._count += 1
            case "start":
                self._origin, self._stopped_at = self._count, None
            case "continue" if self._stopped_at is not None:
                self._origin, self._stopped_at = self._count - self._stopped_at, None
            case "stop" if self._stopped_at is None:
                self._stopped_at = self._count - (self._count if self._origin is None else self._origin)
            case "songpos":
                ticks = TICKS_PER_SIXTEENTH * message.pos
                self._origin = self._count - ticks
                self._stopped_at = None if self._stopped_at is None else ticks

    def grid(self, now_s: float) -> BeatGrid | None:
        """What it says now; None where it has stopped, is gone or has only begun."""
        if self._stopped_at is not None or len(self._ticks) < _LEAST or now_s - self._ticks[-1][1] > GONE_S:
            return None
        newest, (period_s, newest_s) = self._ticks[-1][0], self._line()
        bpm = 60 / (period_s * TICKS_PER_BEAT) if period_s > 0 else 0.0
        if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
            return None
        beats = (newest - (self._origin or 0)) / TICKS_PER_BEAT
        return BeatGrid(ClockSource.MIDI, newest_s, beats, bpm, anchored=self._origin is not None)

    def _line(self) -> tuple[float, float]:
        """Seconds from tick to tick, and when the newest came, by the line through them; older tempi are forgotten."""
        while True:
            counts, times_s = np.array(self._ticks).T
            counts -= counts[-1]
            off_s = times_s - np.polyval(np.polyfit(counts, times_s, 1), counts)
            near = np.abs(off_s) <= 3 * np.median(np.abs(off_s)) + 0.001  # a stall delivers some of them late
            period_s, newest_s = np.polyfit(counts[near], times_s[near], 1)
            off_s = times_s - (newest_s + period_s * counts)
            jitter_s = float(np.median(np.abs(np.diff(times_s, 2)))) / _BENDS
            if abs(np.median(off_s[-_NEWEST:])) < max(_OFF_S, jitter_s) or len(counts) <= _LEAST:
                return float(period_s), float(newest_s)
            for _ in range(len(counts) // 2):
                self._ticks.popleft()
