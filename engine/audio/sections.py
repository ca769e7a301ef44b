"""Breakdown, build-up and drop: the section network's opinion, decided on beats and dated to bars."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from engine.audio.beats import Tempo
from engine.core.beat_grid import bar_s
from engine.core.course import Course, Section
from tpos_models.sections.features import BANDS, TICK_HOPS, TICK_S, Comparison, band_powers, tick
from tpos_models.sections.network import section_net

DROP_BARS = 4
BUILD_BARS = 8
"""A build-up's level is 1 after so many."""

_KINDS = (Section.NONE, Section.BREAKDOWN, Section.BUILD, Section.DROP)
_BELIEVED = {Section.NONE: 0.6, Section.BREAKDOWN: 0.6, Section.BUILD: 0.6, Section.DROP: 0.5}
"""How likely the network must find a section for it to begin."""
_TICKS = {Section.NONE: 4, Section.BREAKDOWN: 3, Section.BUILD: 2, Section.DROP: 2}
"""For how many ticks in a row."""
_BEFORE = {
    Section.BREAKDOWN: (Section.NONE, Section.DROP),
    Section.BUILD: (Section.NONE, Section.DROP, Section.BREAKDOWN),
    Section.DROP: (Section.BREAKDOWN, Section.BUILD),
}
"""What each may follow: nothing drops that was not taken away."""
_LEAST_S, _LEAST_WHOLE_S = 6.0, 12.0
"""So much sound must have been heard before there is anything to compare with; more, to build up from nothing less."""
_NEAR_BARS = 0.5
"""A section is dated to a bar line no further from where it was noticed."""
_LAG_S = 0.5
"""How long a section lasts before the network believes in it, mostly."""
_BARS_KEPT = 8


class SectionTracker:
    """Follows one stream hop by hop; owned by the analysis thread.

    A section that the network believes in begins at the next beat, without a tempo at once; its `section_s` is the bar
    line near to when that belief arose.
    """

    def __init__(self) -> None:
        self._net, self._comparison = section_net(), Comparison()
        self._powers = np.zeros((TICK_HOPS, BANDS))
        self._before = np.zeros(BANDS)
        self._hops = 0
        self._runs = dict.fromkeys(_KINDS, 0)
        self._judged_s = 0.0
        self._downbeats_s: deque[float] = deque(maxlen=_BARS_KEPT)
        self._beat = self._bar = 0
        self._section, self._sections, self._drops, self._since_s = Section.NONE, 0, 0, 0.0

    def push(self, magnitudes: np.ndarray, factor: float, time_s: float, tempo: Tempo, silent: bool) -> Course:
        """(513,) magnitudes of the hop that ends at `time_s`, gained by `factor`; silence has no sections."""
        if tempo.bar != self._bar:
            self._bar = tempo.bar
            self._downbeats_s.append(time_s)
        if silent:
            self._section = Section.NONE
            return self._course(time_s, tempo)
        self._powers[self._hops % TICK_HOPS] = band_powers(magnitudes) / max(factor, 1e-6) ** 2
        self._hops += 1
        if self._hops % TICK_HOPS == 0:
            self._judge(time_s)
        if tempo.bpm == 0 or tempo.beat != self._beat:
            self._beat = tempo.beat
            self._decide(time_s, tempo)
        return self._course(time_s, tempo)

    def _judge(self, time_s: float) -> None:
        """One tick through the network: for how many each section has been likely."""
        likely = self._net.push(self._comparison.push(tick(self._powers, self._before)))
        self._before = self._powers[-1].copy()
        for kind, share in zip(_KINDS, likely.tolist(), strict=True):
            self._runs[kind] = self._runs[kind] + 1 if share >= _BELIEVED[kind] else 0
        self._judged_s = time_s

    def _decide(self, time_s: float, tempo: Tempo) -> None:
        now = self._section
        if now is Section.DROP and time_s - self._since_s > DROP_BARS * _bar_s(tempo):
            self._section = now = Section.NONE
        heard_s = self._hops * TICK_S / TICK_HOPS
        for kind, before in _BEFORE.items():
            least_s = _LEAST_WHOLE_S if kind is Section.BUILD and now is Section.NONE else _LEAST_S
            if now in before and self._runs[kind] >= _TICKS[kind] and heard_s >= least_s:
                return self._begin(kind, tempo)
        if now in (Section.BREAKDOWN, Section.BUILD) and self._runs[Section.NONE] >= _TICKS[Section.NONE]:
            self._section = Section.NONE

    def _begin(self, kind: Section, tempo: Tempo) -> None:
        noticed_s = max(self._since_s, self._judged_s - self._runs[kind] * TICK_S - _LAG_S)
        near = min(self._downbeats_s, key=lambda at: abs(at - noticed_s), default=noticed_s)
        on_bar = tempo.bpm > 0 and abs(near - noticed_s) < _NEAR_BARS * _bar_s(tempo) and near > self._since_s
        self._section, self._sections = kind, self._sections + 1
        self._drops += kind is Section.DROP
        self._since_s = near if on_bar else noticed_s

    def _course(self, time_s: float, tempo: Tempo) -> Course:
        bars, section = max(0.0, time_s - self._since_s) / _bar_s(tempo), self._section
        return Course(
            bar=tempo.bar,
            bar_beat=tempo.bar_beat,
            beats_per_bar=tempo.beats_per_bar,
            section=section,
            sections=self._sections,
            drops=self._drops,
            section_s=self._since_s,
            breakdown=float(section is Section.BREAKDOWN),
            build=min(1.0, math.sqrt(bars / BUILD_BARS)) if section is Section.BUILD else 0.0,
            drop=max(0.0, 1 - bars / DROP_BARS) if section is Section.DROP else 0.0,
        )


def _bar_s(tempo: Tempo) -> float:
    return bar_s(tempo.bpm, tempo.beats_per_bar)
