"""Tempo, beat and bar: a network hears beats, a filter knows where in the beat we are, an oscillator follows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.audio import HOP_S
from engine.core.beat_grid import PHRASE_BARS, BeatGrid, ClockSource, leading
from engine.core.messages import ShowState
from tpos_models.beats.meter import BarFilter
from tpos_models.beats.network import DELAY_HOPS, Activations, load_network
from tpos_models.beats.opening import Opening
from tpos_models.beats.pointer import LATE_HOPS, Pointer, PointerFilter
from tpos_models.beats.repetition import Repetition

_FRAMES = 768  # 8.9 s of activations
_WEIGH_HOPS = DELAY_HOPS + 2
"""A beat is weighed as a downbeat when the network has named it and the hop after."""
_SURE, _UNSURE = 0.6, 0.3
_HOLD_S, _QUIET_HOLD_S = 30.0, 3.0
"""How long a tempo outlives its beats: where music goes on, and where there is nothing that could have a beat."""
_DOUBT_S, _PATIENCE_S = 1.5, 1.5
_FOLLOW, _BEND = 0.04, 0.004
"""Shares of the phase's error by which phase and period are put right in a hop."""
_GLIDE_S = 3.0
"""For so long after another clock is gone the operator's tempo is not jumped to."""
_SOMETIMES = 16  # hops between what need not be done at each
_SAME_TAP_S = 0.05  # a log rounds taps, and its clock drifts; fingers are slower
_FAINT = 0.06
"""What the strongest hundredth of the flux passes with drums, and not with a voice or a tone that trembles."""
_WEAK, _CLEAR = 0.1, 0.35
"""Beats of the last seconds that are less likely than this are not followed at all, from that on fully."""
_LEAST, _RECENT = 1e-4, math.exp(-HOP_S / 1.5)
_OVERRULED = 2.5
"""Log odds by which the network must find beats likelier elsewhere than where a loop began."""
_EXACT = 0.06
"""What a loop's beginning and the filter's phase are exact to, in beats."""
_LOOSELY = 1 / 8
"""A loop's tempo is exact: the filter's phase is followed slowly, and not at all where it leaves the loop's."""
_ALIKE, _CLOSE = 0.08, 0.025
"""Tempi are one and the same up to this part; the filter's is taken where the oscillator's differs more than this."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """Where the music is: `bpm` 0 while unknown, `confidence` and `phase` 0..1 (0 at the beat), `beat` counts beats.

    `bar` counts bars and changes exactly at a downbeat; `bar_beat` is 0 there, and at most `beats_per_bar` - 1. `clock`
    says whose beat it is.
    """

    bpm: float = 0.0
    confidence: float = 0.0
    phase: float = 0.0
    beat: int = 0
    bar: int = 0
    bar_beat: int = 0
    beats_per_bar: int = 4
    clock: ClockSource = ClockSource.EAR


class BeatTracker:
    """Follows tempo, beat and bar hop by hop; owned by the analysis thread.

    The operator's tempo (two or more taps, or a fixed bpm) overrides the music's as long as it is given; the phase
    still follows the music under a fixed bpm, and only small errors (a fifth of a beat) under a tapped one. Another
    clock's grid overrides both; all of it in the order that the state says. There is one oscillator: it glides to
    whoever leads, and goes on by itself where one is gone, so that a clock hands over without a jump.
    """

    def __init__(self) -> None:
        self._network, self._filter, self._bars = load_network(), PointerFilter(), BarFilter()
        self._opening, self._beat_odds = Opening(), 0.0
        self._repetition, self._pinned, self._aside = Repetition(), 0.0, 0.0
        self._heard, self._flux = np.zeros((_FRAMES, 2)), np.zeros(_FRAMES)
        self._has_notes = False
        self._count = 0
        self._period = 0.0
        self._operator_period = self._glide_s = 0.0
        self._clock: ClockSource | None = ClockSource.EAR
        self._grid: BeatGrid | None = None
        self._grid_beats = 0.0
        self._taps_s: tuple[float, ...] = ()
        self._confidence = self._clarity = 0.0
        self._phase, self._beat, self._bar = 0.0, 0, 0
        self._since_beat = math.inf
        self._doubt_s = self._miss_s = self._absent_s = 0.0

    def push(self, magnitudes: np.ndarray, flux: float, time_s: float, asked: ShowState) -> Tempo:
        """A hop that ends at `time_s`: (513,) magnitudes and onset flux; the operator's tempo, taps and clocks."""
        heard = self._network.push(magnitudes)
        self._flux[self._count % _FRAMES] = flux
        self._heard[self._count % _FRAMES] = _probability(heard.beat), _probability(heard.downbeat)
        self._count += 1
        self._opening.push(float(magnitudes @ magnitudes))
        self._repeat()
        self._filter.push(heard)
        self._choose(asked, time_s)
        self._advance(1.0)
        self._obey(asked.tempo_bpm, asked.taps_s, time_s)
        self._lead()
        self._follow(self._filter.pointer(), heard)
        self._weigh()
        return self._tempo()

    def _repeat(self) -> None:
        """What a loop says of tempo and phase."""
        if self._opening.began:
            self._repetition.begin()
        self._repetition.push(self._network.logs)
        self._filter.expect(self._repetition.lag_hops)

    def _choose(self, asked: ShowState, time_s: float) -> None:
        """Who leads."""
        operator = asked.tempo_bpm > 0 or len(asked.taps_s) > 1
        sure = self._confidence > (_UNSURE if self._clock is ClockSource.EAR else _SURE)
        leader = leading(asked.clock, asked.grids, operator, sure)
        self._grid = leader if isinstance(leader, BeatGrid) else None
        self._clock = leader.source if isinstance(leader, BeatGrid) else leader
        self._grid_beats = self._grid.at(time_s) if self._grid else 0.0

    def _obey(self, bpm: float, taps_s: tuple[float, ...], time_s: float) -> None:
        """Take the tempo that the operator, or a clock without a beat, asks for; a new tap is a beat."""
        wanted = 0.0
        if self._grid and not self._grid.anchored:
            wanted = 60 / (self._grid.bpm * HOP_S)
        elif self._clock is ClockSource.TAP:
            wanted = 60 / (bpm * HOP_S) if bpm > 0 else (taps_s[-1] - taps_s[0]) / (len(taps_s) - 1) / HOP_S
        self._set_operator_period(wanted)
        is_new = taps_s[-1:] > tuple(tap_s + _SAME_TAP_S for tap_s in self._taps_s[-1:]) and not self._grid
        self._taps_s = taps_s
        period = self._operator_period or self._period
        if is_new and period:
            self._count_beat(period)
            self._phase = (time_s - taps_s[-1]) / HOP_S / period % 1

    def _set_operator_period(self, wanted: float) -> None:
        """At once, but for a while after another clock led; what it led to is what the ear goes on from."""
        before = self._operator_period or self._period
        if (self._grid or self._glide_s > 0) and self._operator_period and not wanted:
            self._period = self._operator_period
        glides = self._glide_s > 0 and wanted and before
        self._operator_period = before + _FOLLOW * (wanted - before) if glides else wanted
        self._glide_s = _GLIDE_S if self._grid else max(0.0, self._glide_s - HOP_S)

    def _lead(self) -> None:
        """Glide to where another clock is; at once where there was no tempo."""
        grid = self._grid
        if grid is None or not grid.anchored:
            return
        period = 60 / (grid.bpm * HOP_S)
        self._doubt_s = self._miss_s = 0.0
        self._absent_s = _QUIET_HOLD_S - _HOLD_S  # its tempo outlives it for long in quiet too
        if not self._period:
            self._period, self._phase = period, self._grid_beats % 1
            return
        self._period += _FOLLOW * (period - self._period)
        self._turn(_FOLLOW * _apart(self._grid_beats, self._phase), self._period)

    def _tempo(self) -> Tempo:
        period = self._operator_period or self._period
        clock = self._clock or ClockSource.EAR
        bar = self._bar, self._bars.bar_beat, self._bars.beats_per_bar, clock
        if not period:
            return Tempo(0.0, self._confidence, 0.0, self._beat, *bar)
        confidence = 1.0 if self._operator_period or self._grid else self._confidence
        return Tempo(60 / (period * HOP_S), confidence, self._phase, self._beat, *bar)

    def _advance(self, hops: float) -> None:
        period = self._operator_period or self._period
        if not period:
            return
        self._since_beat += hops
        self._turn(hops / period, period)

    def _turn(self, by: float, period: float) -> None:
        """Move the phase, never back over a beat."""
        self._phase = max(0.0, self._phase + by)
        if self._phase >= 1:
            self._phase -= 1
            self._count_beat(period)

    def _count_beat(self, period: float) -> None:
        if self._since_beat <= 0.5 * period:
            return
        self._beat += 1
        self._since_beat = 0.0
        self._opening.beat()
        self._bars.next()
        grid = self._grid if self._grid and self._grid.anchored else None
        if grid:
            self._bars.put(round(self._grid_beats) % grid.beats_per_bar, grid.beats_per_bar)
        if self._bars.bar_beat == 0:
            self._bar += 1
            number = round(self._grid_beats) // grid.beats_per_bar if grid else self._bar
            self._bar += (number - self._bar) % PHRASE_BARS

    def _weigh(self) -> None:
        """Tell the bar what was heard at the newest beat, once it has been; the opening, what half a beat later."""
        beside = round((self._operator_period or self._period) / 2)
        if self._since_beat not in (_WEIGH_HOPS, _WEIGH_HOPS + beside):
            return
        around = self._heard[(self._count - 1 - np.arange(5)) % _FRAMES]
        beat, downbeat = around.max(0)
        odds = math.log(max(beat, _LEAST) / max(1 - beat, _LEAST))
        if self._since_beat == _WEIGH_HOPS:
            self._bars.weigh(beat, downbeat)
            self._beat_odds = odds
        elif not self._pinned:
            self._opening.weigh(odds - self._beat_odds)

    def _follow(self, pointer: Pointer, heard: Activations) -> None:
        """Let tempo and phase follow the filter; keep them for a while where it has lost the beat."""
        self._confidence += 0.03 * (pointer.presence * pointer.focus - self._confidence)
        self._clarity = max(_probability(heard.beat), self._clarity * _RECENT)
        if self._count % _SOMETIMES == 0:
            self._has_notes = self._repetition.is_played or bool(np.quantile(self._flux[: self._count], 0.99) > _FAINT)
        trust = self._has_notes * min(1.0, max(0.0, (self._clarity - _WEAK) / (_CLEAR - _WEAK)))
        if (self._grid and self._grid.anchored) or self._clock is None:
            return
        if self._operator_period:
            if self._count % _SOMETIMES == 0:
                self._follow_phase(_comb_phase(self._recent(), self._operator_period), _SOMETIMES * trust)
            return
        if pointer.presence * pointer.focus > _UNSURE:
            self._follow_tempo(pointer, trust)
            alike = self._period and abs(pointer.interval_hops / self._period - 1) < _ALIKE
            if alike and self._pin(pointer):
                if abs(_apart(pointer.phase + self._aside, self._phase)) > _EXACT:
                    self._aside = _apart(self._phase, pointer.phase)
                self._period = pointer.interval_hops
                self._follow_phase((pointer.phase + self._aside) % 1, _LOOSELY * trust)
            elif alike:
                beside = self._opening.believed and abs(_apart(pointer.phase, self._phase)) > 0.3
                self._follow_phase((pointer.phase + 0.5 * beside) % 1, trust)
            if trust:
                self._absent_s = 0.0
                return
        self._absent_s += HOP_S
        if self._absent_s > (_HOLD_S if _probability(heard.rhythm) > 0.3 else _QUIET_HOLD_S):
            self._period = 0.0

    def _pin(self, pointer: Pointer) -> bool:
        """Whether the loop that is heard since its beginning is taken to have begun on a beat.

        Decided once: what it says again says nothing new.
        """
        if not self._repetition.whole:
            self._pinned = 0.0
            return False
        interval = pointer.interval_hops
        if self._pinned and abs(interval / abs(self._pinned) - 1) < _ALIKE:
            return self._pinned > 0
        since = self._opening.since(interval)
        if since is None or self._glide_s > 0:
            return False
        likelier = self._odds(pointer.phase, interval) - self._odds(since, interval)
        self._pinned = interval if likelier < _OVERRULED else -interval
        self._opening.believed = self._pinned > 0
        if self._pinned > 0:
            apart = _apart(since, self._phase)
            if abs(apart) > _EXACT:
                self._phase = since % 1
            else:
                self._turn(0.5 * apart, interval)  # near each other, both are as exact
            self._aside = _apart(self._phase, pointer.phase)
            self._bars.begin(round(since - self._phase))
        return self._pinned > 0

    def _odds(self, phase: float, period: float) -> float:
        """Mean log odds of beats where the last ones, or hops beside them, were if the newest hop has that phase."""
        recent = self._recent()
        ago = np.arange(phase % 1, (len(recent) - 2) / period - 1, 1.0) * period
        at = len(recent) - 1 - np.round(ago - LATE_HOPS).astype(int)
        at = at[at < len(recent) - 1]
        beats = recent[at[:, None] + np.arange(-1, 2)].max(1).clip(_LEAST, 1 - _LEAST)
        return float(np.log(beats / (1 - beats)).mean())

    def _follow_tempo(self, pointer: Pointer, trust: float) -> None:
        """Take a tempo that is sure, bend with it, or change it where another has been surer for a while."""
        if not self._period:
            if self._confidence > _SURE and trust:
                self._take(pointer)
            return
        off = abs(pointer.interval_hops / self._period - 1)
        if off < _ALIKE:
            self._doubt_s = 0.0
            if off > _CLOSE:
                self._period += 0.05 * trust * (pointer.interval_hops - self._period)
            return
        self._doubt_s += trust * HOP_S
        if self._doubt_s > _DOUBT_S and self._confidence > _SURE:
            self._take(pointer)

    def _take(self, pointer: Pointer) -> None:
        """Its tempo and phase anew, beats and bars where they are since the sound began."""
        self._period, self._doubt_s = pointer.interval_hops, 0.0
        self._phase, begun = self._opening.place(pointer.phase, self._period)
        self._bars.begin(begun)

    def _recent(self) -> np.ndarray:
        count = min(self._count, _FRAMES)
        return np.roll(self._heard[:, 0], -(self._count % _FRAMES))[-count:]

    def _follow_phase(self, phase: float, trust: float) -> None:
        """Make good a share of a small error; believe a great one when it lasts."""
        period = self._operator_period or self._period
        error = _apart(phase, self._phase)
        if abs(error) < 0.2:
            self._miss_s = 0.0
            self._turn(_FOLLOW * trust * error, period)
            if not self._operator_period:
                self._period *= 1 - _BEND * trust * error
        elif len(self._taps_s) < 2:
            self._miss_s += trust * HOP_S
            if self._miss_s > _PATIENCE_S:
                self._miss_s, self._phase = 0.0, phase


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(30.0, max(-30.0, log_odds))))


def _apart(phase: float, of: float) -> float:
    """How far a phase is ahead of another, -0.5..0.5."""
    return (phase - of + 0.5) % 1 - 0.5


_SMOOTH = np.exp(-0.5 * (np.arange(-4, 5) / 1.4) ** 2)
_SMOOTH /= _SMOOTH.sum()


def _at(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation at fractional positions; past the end counts as nothing."""
    left = np.minimum(positions.astype(int), len(values) - 2)
    part = positions - left
    return np.where(positions < len(values) - 1, values[left] * (1 - part) + values[left + 1] * part, 0.0)


def _comb_phase(beats: np.ndarray, period: float) -> float:
    """Phase 0..1 reached at the last hop if beats fall where a comb of this period finds most of them, newest first."""
    offsets = np.arange(0, period, period / 64)
    teeth = np.arange(max(1, min(8, int((len(beats) - 1) / period))))
    back = offsets[:, None] + period * teeth
    smooth = np.convolve(beats, _SMOOTH, "same")
    energy = _at(smooth[::-1], back) @ (0.88**teeth)
    return float((offsets[int(np.argmax(energy))] + LATE_HOPS) / period % 1)
