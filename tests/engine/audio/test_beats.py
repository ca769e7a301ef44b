"""Beats and the operator's taps, on click tracks whose every beat is known."""

from __future__ import annotations

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
