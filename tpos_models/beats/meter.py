"""Which beat of the bar is this: the exact posterior over meters and beats of a bar, beat by beat."""

from __future__ import annotations

import math

import numpy as np

METERS = (3, 4)
_PRIOR = (0.15, 0.85)
_SLIP, _CHANGE = 0.005, 0.002
"""Probability at a beat that it is any beat of the bar, or of the other meter."""
_DOUBT = 0.15
_SWITCH = 5.0
"""A reading of the bar is given up for one that is so many times more probable."""
_RARE, _TRUST = 0.25, 1.3
_BEGINNING = 8.0
"""How much more probable a bar line is where the music began."""


class BarFilter:
    """Counts beats in bars; owned by the thread that pushes.

    `beats_per_bar` and `bar_beat` (0 at the downbeat) are those of the newest beat.
    """

    def __init__(self) -> None:
        self._meter = np.repeat(METERS, METERS)
        self._place = np.concatenate([np.arange(meter) for meter in METERS])
        self._any = np.repeat(np.array(_PRIOR) / METERS, METERS)
        same = self._meter[:, None] == self._meter
        onward = same & ((self._place[:, None] + 1) % self._meter[:, None] == self._place)
        slip = same / self._meter[:, None]
        self._step = (1 - _SLIP - _CHANGE) * onward + _SLIP * slip + _CHANGE * self._any
        self._states = self._any.copy()
        self._begun: int | None = None
        self._reading = int(np.flatnonzero(onward[-1])[0])

    @property
    def beats_per_bar(self) -> int:
        """Beats of a bar."""
        return int(self._meter[self._reading])

    @property
    def bar_beat(self) -> int:
        """Which of them the newest beat is."""
        return int(self._place[self._reading])

    def begin(self, beats: int | None) -> None:
        """So many beats before the newest the music began, with a bar; None: who knows."""
        self._begun = beats

    def next(self) -> None:
        """A beat: before anything of it is heard."""
        self._states = self._states @ self._step
        likely = self._states
        if self._begun is not None:
            self._begun += 1
            likely = likely * np.where(self._begun % self._meter == self._place, _BEGINNING, 1.0)
        here = self._step[self._reading].argmax()
        best = likely.argmax()
        self._reading = int(best if likely[best] > _SWITCH * likely[here] else here)

    def put(self, bar_beat: int, beats_per_bar: int) -> None:
        """The newest beat is this one, as one who knows says; other meters than `METERS` are counted in four."""
        meter = beats_per_bar if beats_per_bar in METERS else METERS[-1]
        self._begun = None
        self._states = np.where((self._meter == meter) & (self._place == bar_beat % meter), 1.0, 1e-6)
        self._states /= self._states.sum()
        self._reading = int(self._states.argmax())

    def weigh(self, beat: float, downbeat: float) -> None:
        """Probabilities that the newest beat was one, and a downbeat, as the network heard them."""
        share = min(0.97, max(0.03, (downbeat + _RARE * _DOUBT) / (beat + _DOUBT)))
        first = math.exp(_TRUST * math.log(share / _RARE))
        other = math.exp(_TRUST * math.log((1 - share) / (1 - _RARE)))
        self._states *= np.where(self._place == 0, first, other)
        self._states /= self._states.sum()
