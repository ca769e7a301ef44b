"""Beats and the operator's taps, on click tracks whose every beat is known."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from engine.audio import HOP, HOP_S, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.control.addresses import parse
from engine.control.show import apply
from engine.core.messages import AudioFeatures, ShowState

SETTLED_S = 8.0


def click_track(bpm: float, duration_s: float = 12.0) -> np.ndarray:
    """A click of 4 ms at every beat from time 0 on."""
    t = np.arange(round(0.02 * SAMPLE_RATE)) / SAMPLE_RATE
    click = 0.7 * np.sin(2 * np.pi * 1500 * t) * np.exp(-t / 0.004)
    sound = np.zeros(round(duration_s * SAMPLE_RATE) + len(click), np.float32)
    for time_s in np.arange(0, duration_s, 60 / bpm):
        at = round(float(time_s) * SAMPLE_RATE)
        sound[at : at + len(click)] += click
    return sound[: round(duration_s * SAMPLE_RATE)]


def hear(sound: np.ndarray) -> list[AudioFeatures]:
    features = Analyser().process(sound, len(sound) / SAMPLE_RATE)
    return [f for f in features if f.time_s > SETTLED_S]


def lateness_s(features: list[AudioFeatures], bpm: float, first_beat_s: float = 0.0) -> np.ndarray:
    """How far the tracker is ahead of the true beats, in seconds, at each hop."""
    beats = np.array([f.beat_phase - (f.time_s - first_beat_s) * bpm / 60 for f in features])
    return ((beats + 0.5) % 1 - 0.5) * 60 / bpm


def test_beats_come_when_the_clicks_do() -> None:
    off_s = [float(lateness_s(hear(click_track(bpm)), bpm).mean()) for bpm in (75, 100, 128, 174)]
    assert max(np.abs(off_s)) < 0.005
    assert abs(np.mean(off_s)) < 0.004


@pytest.mark.parametrize("bpm", [185, 190, 195])
def test_a_fast_beat_is_not_taken_for_half_as_fast(bpm: float) -> None:
    """Every second click repeats as well as every one: the clicks between say which reading is true."""
    assert all(f.bpm == pytest.approx(bpm, rel=0.02) for f in hear(click_track(bpm)))


def test_a_soft_bass_line_that_is_looped_has_a_tempo() -> None:
    """No attack in it is as hard as a drum's, but nothing else than music repeats exactly."""
    bpm, notes_hz = 124, (55, 55, 82, 55, 65, 55, 49, 98)
    t = np.arange(round(60 / bpm * SAMPLE_RATE)) / SAMPLE_RATE
    swell = np.minimum(1, np.minimum(t, t[-1] - t) / 0.03) * np.exp(-2 * t)
    loop = np.concatenate([swell * sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3)) for hz in notes_hz])
    heard = hear(np.tile(0.2 * loop, 6).astype(np.float32))
    assert [f.bpm for f in heard if f.time_s > 12] == pytest.approx([bpm] * sum(f.time_s > 12 for f in heard), rel=0.01)


class Tapped:
    """Silence that an operator taps over; a tap at `tap_s` reaches the analysis `late_s` afterwards."""

    def __init__(self) -> None:
        self.analyser = Analyser()
        self.state = ShowState()
        self.now_s = 0.0

    def silence_until(self, end_s: float) -> list[AudioFeatures]:
        hops = int((end_s - self.now_s) / HOP_S)
        self.now_s += hops * HOP_S
        return self.analyser.process(np.zeros(hops * HOP, np.float32), self.now_s, self.state)

    def taps(self, times_s: list[float], late_s: float) -> None:
        for tap_s in times_s:
            self.silence_until(tap_s + late_s)
            self.state = apply(self.state, parse("/tpos/tempo/tap", [], tap_s)[0])


@pytest.mark.parametrize("late_s", [0.02, 0.1, 0.17])
def test_a_tap_that_arrives_late_still_counts_from_when_it_was_made(late_s: float) -> None:
    tapped = Tapped()
    tapped.taps([1.0, 1.5, 2.0, 2.5], late_s)
    features = tapped.silence_until(6.0)
    assert features[-1].bpm == pytest.approx(120, rel=1e-3)
    assert np.abs(lateness_s(features, 120, first_beat_s=1.0)).max() < 0.003


def test_every_tap_is_a_beat_and_the_beats_go_on_after_the_last() -> None:
    tapped = Tapped()
    tapped.taps([1.0, 1.6, 2.2], 0.03)
    before = tapped.silence_until(2.3)[-1].beat
    after = tapped.silence_until(2.2 + 10 * 0.6 + 0.1)[-1].beat
    assert after - before == 10


def test_a_pause_of_two_seconds_begins_a_new_tempo() -> None:
    tapped = Tapped()
    tapped.taps([1.0, 1.4, 1.8], 0.0)
    tapped.taps([4.5, 5.3, 6.1], 0.0)
    assert tapped.silence_until(7.0)[-1].bpm == pytest.approx(75, rel=1e-3)


def test_one_tap_sets_no_tempo() -> None:
    tapped = Tapped()
    tapped.taps([1.0], 0.0)
    assert tapped.silence_until(3.0)[-1].bpm == 0


def struck(bpm: float, pattern: str, duration_s: float) -> np.ndarray:
    """Half beats of a bar, again and again: K a kick with a bass note, s a snare, h a hi-hat, C a kick and a crash."""
    rng, t = np.random.default_rng(0), np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    kick = 0.8 * np.sin(2 * np.pi * np.cumsum(50 + 90 * np.exp(-t / 0.03)) / SAMPLE_RATE) * np.exp(-t / 0.1)
    noise = rng.standard_normal(len(t))
    snare = 0.4 * noise * np.exp(-t / 0.05) + 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.06)
    hat = 0.3 * np.diff(noise, prepend=0) * np.exp(-t / 0.02)
    sounds = {"K": kick, "s": snare, "h": hat, "C": kick + 0.5 * np.diff(noise, prepend=0) * np.exp(-t / 0.3)}
    out = np.zeros(round((duration_s + 1) * SAMPLE_RATE))
    for step, time_s in enumerate(np.arange(0, duration_s, 30 / bpm)):
        if (sound := sounds.get(pattern[step % len(pattern)])) is not None:
            at = round(float(time_s) * SAMPLE_RATE)
            out[at : at + len(t)] += sound
    return (0.5 * out[: round(duration_s * SAMPLE_RATE)]).astype(np.float32)


@pytest.mark.parametrize(("pattern", "beats_per_bar"), [("ChshKhsh", 4), ("K.h.h.", 3)])
def test_bars_begin_where_they_begin(pattern: str, beats_per_bar: int) -> None:
    bpm = 126.0
    features = [f for f in hear(struck(bpm, pattern, 24.0)) if f.time_s > 12]
    assert {f.beats_per_bar for f in features} == {beats_per_bar}
    for before, now in itertools.pairwise(features):
        assert (now.bar != before.bar) == (now.beat != before.beat and now.bar_beat == 0)
        if now.beat != before.beat:
            assert now.bar_beat == round(now.time_s * bpm / 60) % beats_per_bar


def bass_line(bpm: float, pattern: str, begins_s: float, ends_s: float) -> np.ndarray:
    """Four places a beat: l and h are notes of a saw an octave apart."""
    t, orders = np.arange(round(0.12 * SAMPLE_RATE)) / SAMPLE_RATE, np.arange(1, 25)[:, None]
    sound = np.zeros(round((ends_s + 1) * SAMPLE_RATE))
    for step, time_s in enumerate(np.arange(begins_s, ends_s, 15 / bpm)):
        if (hz := {"l": 55.0, "h": 110.0}.get(pattern[step % len(pattern)])) is not None:
            saw = (np.sin(2 * np.pi * hz * orders * t) / orders).sum(0)
            at = round(float(time_s) * SAMPLE_RATE)
            sound[at : at + len(t)] += 0.4 * saw * np.minimum(1, t / 0.003) * np.exp(-t / 0.08)
    return sound.astype(np.float32)


def test_a_bass_line_that_begins_out_of_silence_begins_with_a_beat_and_a_bar() -> None:
    """Alone it fits a grid half a beat later as well."""
    bpm, begins_s = 140.0, 1.3
    features = hear(bass_line(bpm, "l.hl.hl.l.hl.hhh", begins_s, 21.0))
    assert np.abs(lateness_s(features, bpm, begins_s)).max() < 0.04
    for before, now in itertools.pairwise(features):
        if now.beat != before.beat:
            assert now.bar_beat == round((now.time_s - begins_s) * bpm / 60) % 4


@pytest.mark.parametrize("pattern", ["l.hll.hll.hll.hl", "l..h..h.l..h..h."])
def test_a_loop_is_heard_in_the_beats_it_lasts_and_from_its_first_note_on(pattern: str) -> None:
    """The first has its weight on every second half beat, the second is threes: alike in every bar, both last four."""
    bpm, begins_s = 125.0, 1.3
    features = [each for each in hear(bass_line(bpm, pattern, begins_s, 21.0)) if each.time_s > 12]
    assert np.abs(np.array([each.bpm for each in features]) / bpm - 1).max() < 0.01
    assert np.abs(lateness_s(features, bpm, begins_s)).max() < 0.04


def test_a_breakdown_without_drums_keeps_the_beat_and_silence_does_not() -> None:
    bpm, t = 124.0, np.arange(40 * SAMPLE_RATE) / SAMPLE_RATE
    drums = struck(bpm, "KhshKhsh", 40.0) * ((t < 15.5) | (t > 23.2))
    pad = 0.06 * sum(np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.0, 330.0))
    sound = np.where(t < 30, drums + pad, 0).astype(np.float32)
    features = Analyser().process(sound, 40.0)
    for f in features:
        if 8 < f.time_s < 30:
            assert f.bpm == pytest.approx(bpm, rel=0.02)
    held = [f for f in features if 15.5 < f.time_s < 30]
    assert np.abs(lateness_s(held, bpm)).max() < 0.04
    assert features[-1].bpm == 0


def test_the_analysis_needs_no_torch() -> None:
    """In a process of its own, whose modules are those that the analysis needs; `tpos bench` says how long it takes."""
    program = (
        "import sys, numpy as np\n"
        "from engine.audio.analysis import Analyser\n"
        "Analyser().process(np.random.default_rng(0).uniform(-.1, .1, 44100).astype(np.float32), 1.0)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
