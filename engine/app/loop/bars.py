"""The bars that are heard in a sound: where they begin, how long they are and how many beats they have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.resample import mono
from engine.core.messages import AudioFeatures

_BLOCK_FRAMES = 65_536
_OFF_BEATS = 0.25
"""A bar is as long as its beats are at its tempo, but for so much."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Some that follow one upon another: the first begins at `start_s`, each takes `bar_s` in the mean."""

    start_s: float
    bar_s: float
    beats_per_bar: int


@dataclass(frozen=True, slots=True)
class _Line:
    """A bar line: its time, the beats counted before it, and meter and tempo (BPM) of the bar that it begins."""

    time_s: float
    beat: int
    beats_per_bar: int
    bpm: float

    def leads_to(self, other: _Line) -> bool:
        """Whether the other is the next, a whole bar later."""
        off_s = other.time_s - self.time_s - self.beats_per_bar * 60 / other.bpm
        whole = other.beat - self.beat == self.beats_per_bar == other.beats_per_bar
        return whole and abs(off_s) * other.bpm <= 60 * _OFF_BEATS


def heard_bars(sound: np.ndarray, count: int) -> Bars | None:
    """`count` bars of `sound`, (n, channels) at 44.1 kHz, from a bar line that is heard; None where no tempo is.

    They are the first of the longest stretch whose bars are heard one after another. Where that is shorter than
    `count`, bars of its own mean length are counted on from it, and as far as there is sound also back.
    """
    stretch = max(_stretches(_lines(_hops(sound))), key=len, default=None)
    if stretch is None:
        return None
    first, known = stretch[0], len(stretch) - 1
    if not known:
        bar_s = first.beats_per_bar * 60 / first.bpm
    else:
        last = min(known, count)
        bar_s = (stretch[last].time_s - first.time_s) / last
    back = min(max(count - known, 0), int(first.time_s / bar_s + _OFF_BEATS / first.beats_per_bar))
    return Bars(first.time_s - back * bar_s, bar_s, first.beats_per_bar)


def _hops(sound: np.ndarray) -> Iterator[AudioFeatures]:
    analyser = Analyser()
    for at in range(0, len(sound), _BLOCK_FRAMES):
        block = sound[at : at + _BLOCK_FRAMES]
        yield from analyser.process(mono(block), (at + len(block)) / SAMPLE_RATE)


def _lines(hops: Iterator[AudioFeatures]) -> Iterator[_Line]:
    """The bar lines, where there are none the one before the last beat."""
    newest, found = None, False
    for before, hop in itertools.pairwise(hops):
        newest = hop if hop.bpm else newest
        if hop.bpm and hop.bar != before.bar:
            found = True
            yield _line(hop)
    if newest and not found:
        yield _line(newest)


def _line(hop: AudioFeatures) -> _Line:
    """The last one before a hop."""
    since_s = (hop.bar_beat + hop.beat_phase) * 60 / hop.bpm
    return _Line(hop.time_s - since_s, hop.beat - hop.bar_beat, hop.beats_per_bar, hop.bpm)


def _stretches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    """Lines that lead to one another."""
    stretch: list[_Line] = []
    for line in lines:
        if stretch and not stretch[-1].leads_to(line):
            yield stretch
            stretch = []
        stretch.append(line)
    if stretch:
        yield stretch
