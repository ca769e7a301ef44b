"""Other clocks lead the beat: jittered MIDI clock and grids against the generator's own truth, hop by hop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import mido
import numpy as np
import pytest

from engine.audio import HOP, HOP_S, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.control.midi.song_clock import SongClock
from engine.control.show import Show
from engine.core.beat_grid import BeatGrid, ClockSource
from engine.core.messages import AudioFeatures, ShowState

STARTED_S = 100.3
"""When the generator's beat 0 was, on the show's clock."""
LATE_S = 0.004
"""Ticks come up to so much late."""


def ticks(bpm: float, until_s: float, since_beat: float = 0.0) -> Iterator[tuple[float, str]]:
    """When the ticks of a clock come, the first at a beat's place in the song, each late by chance."""
    late = np.random.default_rng(3)
    for n in range(math.ceil(since_beat * 24), 100_000):
        at_s = STARTED_S + (n / 24 - since_beat) * 60 / bpm
        if at_s > until_s:
            return
        yield at_s + LATE_S * late.random(), "clock"


class Rig:
    """A clock on its way through the show into the analysis of a sound, on a clock of its own."""

    def __init__(self, order: str = "link,midi,tap,ear") -> None:
        self.show, self.clock, self.analyser = Show(base=ShowState(clock=order)), SongClock(), Analyser()
        self.now_s = STARTED_S - 0.1
        self.features: list[AudioFeatures] = []

    def play(
        self,
        until_s: float,
        messages: Iterable[tuple[float, str]] = (),
        sound: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
    ) -> list[AudioFeatures]:
        rest, made = iter(messages), []
        coming = next(rest, None)
        while self.now_s < until_s:
            self.now_s += HOP_S
            while coming and coming[0] <= self.now_s:
                kind, _, number = coming[1].partition(" ")
                message = mido.Message(kind, pos=int(number)) if number else mido.Message(kind)
                self.clock.take(message, coming[0])
                coming = next(rest, None)
            self.show.keep_time(ClockSource.MIDI, self.clock.grid(self.now_s))
            at_s = self.now_s + (np.arange(HOP) - HOP) / SAMPLE_RATE
            made += self.analyser.process(sound(at_s).astype(np.float32), self.now_s, self.show.state)
        self.features += made
        return made


def error_ms(one: AudioFeatures, bpm: float, beat: float = 0.0) -> float:
    """How far the beat's phase is from that of a clock whose `beat` was at STARTED_S, ticks' mean lateness allowed."""
    true = (one.time_s - STARTED_S - LATE_S / 2) * bpm / 60 + beat
    return abs(math.remainder(one.beat_phase - true, 1.0)) * 60_000 / bpm


def started(messages: Iterator[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    yield STARTED_S - 0.01, "start"
    yield from messages


@pytest.mark.parametrize("bpm", [120.0, 128.0, 174.0])
def test_a_jittered_clock_is_followed_and_its_tempo_outlives_it(bpm: float) -> None:
    rig = Rig()
    end_s = STARTED_S + 8
    led = [one for one in rig.play(end_s, started(ticks(bpm, end_s))) if one.time_s > STARTED_S + 4]
    assert max(error_ms(one, bpm) for one in led) < 10
    assert {one.clock for one in led} == {ClockSource.MIDI}
    assert all(abs(one.bpm - bpm) < 0.5 for one in led)
    after = rig.play(end_s + 8)
    assert after[-1].clock is ClockSource.EAR
    assert max(error_ms(one, bpm) for one in after) < 10  # 8 s on by itself
    assert all(abs(one.bpm - bpm) < 0.3 for one in after)
    places = [one.beat + one.beat_phase for one in rig.features if one.bpm]
    steps = np.diff(places[100:]) * 60 / bpm / HOP_S
    assert steps.min() > 0.8
    assert steps.max() < 1.2


def test_a_stall_that_delivers_ticks_late_and_at_once_moves_nothing() -> None:
    rig = Rig()
    end_s = STARTED_S + 8
    stalled = ((max(at_s, at_s // 0.7 * 0.7 + 0.08), kind) for at_s, kind in ticks(128, end_s))
    led = [one for one in rig.play(end_s, started(stalled)) if one.time_s > STARTED_S + 4]
    assert max(error_ms(one, 128) for one in led) < 10
    assert all(abs(one.bpm - 128) < 0.5 for one in led)


def test_bars_are_the_songs_and_a_position_is_gone_on_from() -> None:
    rig = Rig()
    end_s = STARTED_S + 6

    def song() -> Iterator[tuple[float, str]]:
        yield STARTED_S - 0.03, "stop"
        yield STARTED_S - 0.02, "songpos 34"  # sixteenths: two bars and two sixteenths
        yield STARTED_S - 0.01, "continue"
        yield from ticks(120, end_s, since_beat=8.5)

    late = [one for one in rig.play(end_s, song()) if one.time_s > STARTED_S + 4]
    for one in late:
        beats = (one.time_s - STARTED_S - LATE_S / 2) * 2 + 8.5
        if 0.1 < beats % 1 < 0.9:
            assert one.bar_beat == int(beats) % 4
            assert one.bar % 16 == int(beats // 4) % 16
    assert max(error_ms(one, 120, 8.5) for one in late) < 10


def test_a_clock_that_stops_no_longer_leads_and_one_that_was_never_started_gives_the_tempo_only() -> None:
    rig = Rig()
    end_s = STARTED_S + 3
    rig.play(end_s, ticks(126, end_s))
    assert [grid.anchored for grid in rig.show.state.grids] == [False]
    assert rig.features[-1].bpm == pytest.approx(126, abs=0.5)
    assert rig.features[-1].clock is ClockSource.MIDI
    stopped = iter([(end_s + 0.001, "stop"), *((at_s + 3, kind) for at_s, kind in ticks(126, end_s))])
    rig.play(end_s + 0.1, stopped)
    assert rig.show.state.grids == ()
    assert rig.features[-1].bpm == pytest.approx(126, abs=0.5)


def told(clock: SongClock, at_s: float, *kinds: str) -> None:
    for kind in kinds:
        name, _, number = kind.partition(" ")
        clock.take(mido.Message(name, pos=int(number)) if number else mido.Message(name), at_s)


def ticked(clock: SongClock, from_s: float, until_s: float) -> BeatGrid | None:
    """What a clock of 120 BPM says that ticked exactly from then, which is a tick, until then."""
    for n in range(round((until_s - from_s) * 48)):
        told(clock, from_s + n / 48, "clock")
    return clock.grid(until_s)


@pytest.mark.parametrize(
    ("said", "beats"),
    [([], None), (["start"], 8.0), (["songpos 6"], 9.5), (["stop", "songpos 6", "continue"], 9.5)],
)
def test_after_a_cable_was_out_the_beat_is_known_when_it_is_told_again(said: list[str], beats: float | None) -> None:
    """It was started at 10 s, and out for 3.3 s: how many ticks were lost nobody knows."""
    clock = SongClock()
    told(clock, 9.99, "start")
    grid = ticked(clock, 10.0, 15.0)
    assert grid is not None
    assert (grid.anchored, grid.at(15.0)) == (True, pytest.approx(10.0, abs=0.01))
    grid = ticked(clock, 18.3, 22.3)
    assert grid is not None
    assert (grid.anchored, grid.bpm) == (False, pytest.approx(120, abs=0.1))
    told(clock, 22.299, *said)
    grid = ticked(clock, 22.3, 26.3)
    assert grid is not None
    assert grid.anchored == (beats is not None)
    assert beats is None or grid.at(26.3) == pytest.approx(beats, abs=0.01)


@pytest.mark.parametrize(("said", "beats"), [("continue", 18.0), ("start", 8.0)])
def test_a_clock_that_ticks_only_while_it_plays_keeps_its_place(said: str, beats: float) -> None:
    clock = SongClock()
    told(clock, 9.99, "start")
    ticked(clock, 10.0, 15.0)
    told(clock, 15.0, "stop")
    told(clock, 24.99, said)
    grid = ticked(clock, 25.0, 29.0)
    assert grid is not None
    assert (grid.anchored, grid.at(29.0)) == (True, pytest.approx(beats, abs=0.01))


def test_a_single_tap_puts_the_beat_right_and_leaves_the_tapped_tempo_alone() -> None:
    rig = Rig()
    for tap_s in (1.0, 1.5, 2.0, 2.5, 7.7):
        rig.play(STARTED_S + tap_s)
        rig.show.command("/tpos/tempo/tap", (), STARTED_S + tap_s)
        rig.show.current()
    after = rig.play(STARTED_S + 12)
    assert {one.clock for one in after} == {ClockSource.TAP}
    assert all(one.bpm == pytest.approx(120, abs=0.01) for one in after)
    off = (math.remainder(one.beat_phase - (one.time_s - STARTED_S - 7.7) * 2, 1.0) for one in after)
    assert max(map(abs, off)) < 0.01


@pytest.mark.parametrize("bpm", [97.3, 120.0, 174.0])
def test_what_a_clock_of_late_ticks_said_last_is_gone_on_from_for_seconds(bpm: float) -> None:
    """Each tick is late by chance, by 8 ms on average and now and then by 40, as over a busy USB."""
    off_ms = []
    for seed in range(12):
        chance, clock, arrived_s = np.random.default_rng(seed), SongClock(), 0.0
        clock.take(mido.Message("start"), 9.99)
        for n in range(int(8 * bpm / 60 * 24)):
            arrived_s = max(arrived_s, 10.0 + n / 24 * 60 / bpm + chance.exponential(0.008))
            clock.take(mido.Message("clock"), arrived_s)
        last = clock.grid(arrived_s)
        assert last is not None
        off_ms.append(abs(last.at(22.008) - 12 * bpm / 60) * 60_000 / bpm)
    assert max(off_ms) < 10


def test_a_tempo_that_is_bent_is_followed_while_it_bends() -> None:
    """120 to 126 BPM within two seconds, as with a pitch fader."""
    chance, clock, at_s, off_ms = np.random.default_rng(2), SongClock(), 10.0, []
    clock.take(mido.Message("start"), 9.99)
    for n in range(600):
        clock.take(mido.Message("clock"), at_s + LATE_S * chance.random())
        if at_s > 14 and n % 5 == 0 and (grid := clock.grid(at_s + LATE_S)):
            off_ms.append(abs(grid.at(at_s + LATE_S / 2) - n / 24) * 500)
        at_s += 60 / (120 + 3 * min(2.0, max(0.0, at_s - 16))) / 24
    assert max(off_ms) < 8


def test_a_tempo_that_would_lead_astray_within_seconds_is_another() -> None:
    """Two clocks that part by 1 ms a second."""
    show = Show()
    for bpm in (120.0, 120.12):
        show.keep_time(ClockSource.MIDI, grid(ClockSource.MIDI, bpm))
    assert show.state.grids[0].bpm == 120.12
    before = show.state
    show.keep_time(ClockSource.MIDI, grid(ClockSource.MIDI, 120.13))
    assert show.state is before


def test_a_changed_tempo_is_followed_within_two_beats() -> None:
    clock = SongClock()
    at_s = 10.0
    clock.take(mido.Message("start"), at_s)
    for n in range(152):
        clock.take(mido.Message("clock"), at_s)
        at_s += 60 / (120 if n < 104 else 132) / 24
    grid = clock.grid(at_s)
    assert grid is not None
    assert grid.bpm == pytest.approx(132, abs=0.5)
    assert grid.at(at_s) == pytest.approx(152 / 24, abs=0.02)


def grid(source: ClockSource, bpm: float, beats: float = 0.0) -> BeatGrid:
    return BeatGrid(source, STARTED_S, beats, bpm)


def test_the_order_says_who_leads_and_who_takes_over_without_a_jump() -> None:
    rig = Rig("midi,link,tap")
    rig.show.set(tempo_bpm=100.0)
    rig.show.keep_time(ClockSource.LINK, grid(ClockSource.LINK, 124, 0.3))
    leaders = [rig.play(STARTED_S + 3)[-1]]
    late = [tick for tick in ticks(118, STARTED_S + 8) if tick[0] > rig.now_s]
    leaders.append(rig.play(STARTED_S + 8, iter([(late[0][0] - 0.001, "start"), *late]))[-1])
    leaders.append(rig.play(STARTED_S + 13)[-1])
    rig.show.keep_time(ClockSource.LINK, None)
    leaders.append(rig.play(STARTED_S + 18)[-1])
    assert [one.clock for one in leaders] == ["link", "midi", "link", "tap"]
    assert [round(one.bpm) for one in leaders] == [124, 118, 124, 100]
    link = (leaders[2].time_s - STARTED_S) * 124 / 60 + 0.3
    assert abs(math.remainder(leaders[2].beat_phase - link, 1.0)) * 60 / 124 < 0.010
    known = [one for one in rig.features if one.bpm][1:]
    places, bpm = np.array([one.beat + one.beat_phase for one in known]), np.array([one.bpm for one in known])
    assert np.abs(np.diff(places) - bpm[1:] * HOP_S / 60).max() < 0.021  # 0.04 of half a beat at the most
    assert np.abs(np.diff(bpm)).max() < 1.5


def test_what_the_order_leaves_out_is_not_followed() -> None:
    rig = Rig("ear")
    rig.show.keep_time(ClockSource.LINK, grid(ClockSource.LINK, 124))
    assert rig.play(STARTED_S + 1)[-1].bpm == 0


def clicks(at_s: np.ndarray) -> np.ndarray:
    """Every half second, the first 60 ms after STARTED_S."""
    into_s = (at_s - STARTED_S - 0.06) % 0.5
    return 0.6 * np.exp(-into_s / 0.01) * np.random.default_rng(1).standard_normal(len(at_s))


def test_an_ear_that_comes_first_leads_only_where_it_is_sure() -> None:
    rig = Rig("ear,link")
    rig.show.keep_time(ClockSource.LINK, grid(ClockSource.LINK, 150))
    silent = rig.play(STARTED_S + 1)[-1]
    assert (silent.clock, round(silent.bpm)) == ("link", 150)
    heard = rig.play(STARTED_S + 11, sound=clicks)[-1]
    assert (heard.clock, round(heard.bpm)) == ("ear", 120)


def test_the_ear_goes_on_in_the_music_from_where_a_clock_left() -> None:
    """Clicks at the clock's tempo, 60 ms behind it: the ear takes over, and finds where they really are."""
    rig = Rig()
    end_s = STARTED_S + 8
    rig.play(end_s, started(ticks(120, end_s)), clicks)
    assert error_ms(rig.features[-1], 120) < 10
    after = rig.play(end_s + 10, sound=clicks)
    assert after[-1].clock is ClockSource.EAR
    behind = math.remainder(after[-1].beat_phase - (after[-1].time_s - STARTED_S - 0.06) * 2, 1.0)
    assert abs(behind) * 500 < 20
    assert np.abs(np.diff([one.beat + one.beat_phase for one in after]) - HOP_S * 2).max() < 0.01
