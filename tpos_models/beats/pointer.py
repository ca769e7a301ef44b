"""Where in the beat are we, and how fast: the exact posterior of a bar-pointer model, hop by hop.

Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and meter tracking" (ISMIR 2015): a state is a
tempo and a place within the beat; the place moves on by itself, the tempo changes at beats only. Here the forward
algorithm is run, on half hops, beside one more state in which there is no beat at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tpos_models.beats.bands import HOP_S
from tpos_models.beats.network import DELAY_HOPS, FASTEST_BPM, SLOWEST_BPM, TEMPI, Activations, tempo_class

_STEPS = 2
"""Places a hop."""
_MARGIN = 1.04
"""How much further the tempi reach than those that are reported."""
_STEADY = 200.0
"""exp(-STEADY |change of the interval|): how readily a tempo bends at a beat."""
_JUMP = 2e-4
"""Probability that at a beat the tempo becomes any other."""
_PREFERRED_BPM, _OCTAVES = 120.0, 0.9
_BEAT_HOPS = 3
_NEUTRAL_LOG_ODDS = -2.0
"""A hop that the network finds less likely to name a beat than this speaks against one, else for it."""
_TRUST = 0.5
"""Exponent of the evidence: neighbouring hops say the same thing more than once."""
_MOST, _LEAST = 5.0, -2.5
_TEMPO_TRUST = 0.025
_APPEARS, _VANISHES = 0.002, 0.0005
"""Probability in a hop that a beat begins, or ends."""
_NEAR = 0.03
LATE_HOPS = DELAY_HOPS + 0.5 - (_BEAT_HOPS - 0.5) / 2 - 0.17
"""From a beat to the end of the first of the hops in which it may be named: reckoned, and measured on click tracks."""
_WEIGH_TEMPI_EVERY = 8
_FINEST = 1.012
"""Neighbouring tempi are at least so far apart."""
_TWOS = 2.0 ** np.arange(-2, 7)
_PARTS = np.concatenate([_TWOS, 3 * _TWOS])
"""So many beats may a loop last."""
_NO_PART = 0.3
"""Every `_WEIGH_TEMPI_EVERY` hops, how probable a tempo stays that is no part of the loop that is heard."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """The posterior in short: how sure it is that there is a beat, its interval, where in it we are, how sure of that.

    `interval_hops` from beat to beat; `phase` 0..1 now, at the end of the newest hop; `presence` and `focus` 0..1.
    """

    presence: float
    interval_hops: float
    phase: float
    focus: float


class PointerFilter:
    """One stream's posterior; owned by the thread that pushes."""

    def __init__(self, slowest_bpm: float = SLOWEST_BPM / _MARGIN, fastest_bpm: float = FASTEST_BPM * _MARGIN) -> None:
        slowest, fastest = (60 / (bpm * HOP_S) * _STEPS for bpm in (slowest_bpm, fastest_bpm))
        self._intervals = _intervals(math.ceil(fastest), math.floor(slowest))
        self._first = np.concatenate([[0], np.cumsum(self._intervals)[:-1]])
        self._last = self._first + self._intervals - 1
        self._ends = np.stack([self._last - 1, self._last])
        bpm = 60 / (self._intervals * HOP_S / _STEPS)
        octaves = np.log2(bpm / _PREFERRED_BPM)
        prior = np.exp(-0.5 * (octaves / _OCTAVES) ** 2) / self._intervals
        self._prior = (prior / prior.sum()).astype(np.float32)
        change = np.exp(-_STEADY * np.abs(self._intervals[None] / self._intervals[:, None] - 1))
        steady = change / change.sum(1, keepdims=True)
        self._turn = ((1 - _JUMP) * steady + _JUMP * self._prior).astype(np.float32)
        self._born = np.repeat(self._prior / self._intervals, self._intervals).astype(np.float32)
        place = np.concatenate([np.arange(n) for n in self._intervals])
        self._at_beat = np.flatnonzero(place < _STEPS * _BEAT_HOPS)
        angle = 2 * np.pi * place / np.repeat(self._intervals, self._intervals)
        self._circle = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
        self._class = tempo_class(bpm).clip(0, TEMPI - 1)
        self._states = np.zeros(len(place), np.float32)
        self._none = 1.0
        self._tempi = np.zeros(TEMPI)
        self._count = 0
        self._loop_hops, self._possible = 0.0, np.ones(1, np.float32)

    def expect(self, loop_hops: float) -> None:
        """What is heard is a loop of `loop_hops`: it lasts 2, 4, 8... beats, or 3, 6, 12; 0: it is none."""
        if loop_hops != self._loop_hops:
            self._loop_hops = loop_hops
            off = np.abs(self._intervals / (_STEPS * loop_hops / _PARTS[:, None]) - 1) if loop_hops else np.zeros(1)
            self._possible = np.where((off < _NEAR).any(0), 1, _NO_PART).astype(np.float32)

    def push(self, heard: Activations) -> None:
        """Move on by one hop, then weigh what the network made of it."""
        states, first = self._states, self._first
        starts = states[self._ends] @ self._turn
        states[_STEPS:] = states[:-_STEPS].copy()
        states[first], states[first + 1] = starts
        appears = self._none * _APPEARS
        self._none += (1 - self._none) * _VANISHES - appears
        states *= 1 - _VANISHES
        states += appears * self._born
        evidence = min(_MOST, max(_LEAST, _TRUST * (heard.beat - _NEUTRAL_LOG_ODDS)))
        states[self._at_beat] *= np.float32(np.exp(evidence))
        self._tempi += _TEMPO_TRUST * heard.tempi
        self._count += 1
        if self._count % _WEIGH_TEMPI_EVERY == 0:
            tempi = self._possible * np.exp(self._tempi - self._tempi.mean())[self._class]
            states *= np.repeat((tempi / tempi.mean()).astype(np.float32), self._intervals)
            self._tempi[:] = 0
        total = float(states.sum()) + self._none
        states /= np.float32(total)
        self._none /= total

    def pointer(self) -> Pointer:
        """The posterior in short."""
        mass = np.add.reduceat(self._states, self._first)
        presence = float(mass.sum())
        around = np.convolve(mass, np.ones(5), "same")
        best = int(np.argmax(around))
        near = np.flatnonzero(np.abs(self._intervals / self._intervals[best] - 1) < _NEAR)
        weights = mass[near]
        inside = slice(self._first[near[0]], self._last[near[-1]] + 1)
        cosine, sine = (self._states[inside] @ self._circle[inside]).tolist()
        interval = float(weights @ self._intervals[near]) / (float(weights.sum()) + 1e-12) / _STEPS
        if self._loop_hops:
            parts = self._loop_hops / _PARTS
            part = float(parts[np.abs(parts / interval - 1).argmin()])
            interval = part if abs(part / interval - 1) < _NEAR else interval
        phase = (math.atan2(sine, cosine) / (2 * math.pi) + LATE_HOPS / interval) % 1
        return Pointer(presence, interval, phase, math.hypot(cosine, sine) / max(presence, 1e-12))


def _intervals(shortest: int, longest: int) -> np.ndarray:
    """Whole numbers of places, every one while they are far enough apart."""
    found = [shortest]
    while (after := max(found[-1] + 1, round(found[-1] * _FINEST))) <= longest:
        found.append(after)
    return np.array(found)
