"""A loop repeats exactly: how long it is, while one is heard, from what is heard compared with itself at every lag.

Rhythm that is played, or programmed with some life, is never so like itself: lags of such music differ from each other
by a factor of a few, a loop's own from all others by dozens. A loop lasts whole beats, and mostly 2, 4, 8 of them.
"""

from __future__ import annotations

import math

import numpy as np

from tpos_models.beats.bands import BANDS, HOP_S

LAGS = 768
"""Hops: loops up to 8.9 s."""
_LEAST = round(0.25 / HOP_S)
_SMOOTHED = 3
"""Hops averaged: attacks of a loop that lasts no whole number of hops are alike, too."""
_KEPT = math.exp(-HOP_S / 2.0)
_HEARD_S = 2.5
"""For so long it must have repeated."""
_LOOPS, _LOST = 0.05, 0.1
"""Mean squared difference at the loop's lag, of the median over lags: at most, for one to be found; to be lost."""
_MOVING = 0.02
"""That median, at least: a tone that is held is like itself at every lag."""
_MOVED = 0.5
"""And at some shorter lag than the loop's, at least, of that median: what moves slowly is still like itself."""
_TREMBLES_S = 1.0
_WEIGH_EVERY = 16


class Repetition:
    """Compares one stream with its past; owned by the thread that pushes.

    `lag_hops` is the loop's length (0: none is heard), to a hundredth of a hop; `whole` says that it is heard since
    `begin`.
    """

    def __init__(self) -> None:
        self.lag_hops, self.whole = 0.0, False
        self._past = np.zeros((2 * LAGS, BANDS), np.float32)  # every hop twice, so that the last LAGS lie in one piece
        self._squares = np.zeros(2 * LAGS, np.float32)
        self._recent = np.zeros((_SMOOTHED, BANDS), np.float32)
        self._apart, self._apart_since, self._weight = np.zeros((3, LAGS + 1))
        self._count = self._begun = 0

    @property
    def is_played(self) -> bool:
        """Whether the loop that is heard is longer than what a tone or a voice trembles in."""
        return self.lag_hops * HOP_S > _TREMBLES_S

    def begin(self) -> None:
        """Something begins to sound now."""
        self._begun, self._count = self._count, 0
        self._apart[:] = self._apart_since[:] = self._weight[:] = 0
        self.lag_hops, self.whole = 0.0, False

    def push(self, logs: np.ndarray) -> None:
        """(BANDS,) log powers of a hop."""
        self._recent[self._count % _SMOOTHED] = logs
        x = self._recent.mean(0)
        square = float(x @ x)
        at, known = self._count % LAGS, min(self._count, LAGS)
        past, lags = slice(at + LAGS - known, at + LAGS), slice(known, 0, -1)
        apart = np.maximum(self._squares[past] + square - 2 * (self._past[past] @ x), 0) / BANDS
        for sums in (self._apart, self._weight):
            sums *= _KEPT
        self._apart[lags] += apart
        self._apart_since[lags] += apart
        self._weight[lags] += 1
        self._past[[at, at + LAGS]] = x
        self._squares[[at, at + LAGS]] = square
        self._count += 1
        if self._count % _WEIGH_EVERY == 0:
            self._find()

    def _find(self) -> None:
        last = min(LAGS, self._count - round(_HEARD_S / HOP_S))
        if last <= _LEAST + 2:
            return
        apart = self._apart[: last + 1] / np.maximum(self._weight[: last + 1], 1e-9)
        usual = float(np.median(apart[_LEAST:]))
        most = usual * (_LOST if self.lag_hops else _LOOPS) if usual > _MOVING else -1.0
        near = round(self.lag_hops) or _LEAST + 1
        has_moved = np.maximum.accumulate(apart) >= _MOVED * usual
        alike = np.flatnonzero((apart[near - 1 : last] <= most) & has_moved[near - 1 : last])
        if not len(alike) or (self.lag_hops and (alike[0] > 3 or near < _LEAST)):
            self.lag_hops, self.whole = 0.0, False
            return
        if not self.lag_hops:
            first = near - 1 + int(alike[0])
            unlike = np.flatnonzero(apart[first:last] > most)
            if not len(unlike):
                return  # the rest of the dip is not known yet
            self.lag_hops = first + float(np.argmin(apart[first : first + int(unlike[0])]))
        self._refine(apart, most)
        lag = round(self.lag_hops)
        since = self._apart_since[lag] / max(1, self._count - lag)
        self.whole = bool(since <= _LOST * usual)

    def _refine(self, apart: np.ndarray, most: float) -> None:
        """Over more and more rounds of the loop the same error weighs less."""
        lag, rounds = self.lag_hops, 1
        while rounds * lag < len(apart) - 3:
            first = round(rounds * lag) - 1
            best = first + int(np.argmin(apart[first : first + 3]))
            before, here, after = apart[best - 1 : best + 2].tolist()
            if here > most:
                break
            bow = before - 2 * here + after
            further = 0.5 * (before - after) / bow if bow > 0 else 0.0
            lag = (best + min(0.5, max(-0.5, further))) / rounds  # at most halfway to the next, where a dip is no bow
            rounds *= 2
        self.lag_hops = lag
