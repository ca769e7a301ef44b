"""Breakdown, build-up and drop in a track made here, bar by bar: what is heard, when, and how strongly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.core.course import Section
from engine.core.messages import AudioFeatures, ShowState

BPM = 128.0
BEAT_S = 60 / BPM
BAR_S = 4 * BEAT_S
BREAKDOWN_BAR, BUILD_BAR, DROP_BAR, END_BAR = 8, 14, 18, 26


def decay(hz: float, seconds: float, tau_s: float, fall: float = 0.0) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * (hz * t + fall * 0.03 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / tau_s)


def put(track: np.ndarray, at_s: float, sound: np.ndarray) -> None:
    first = round(at_s * SAMPLE_RATE)
    part = track[first : first + len(sound)]
    part += sound[: len(part)]


def whole(track: np.ndarray, bar: int, rng: np.random.Generator) -> None:
    """Kick on every beat, a bass on every off-beat, hats in eighths, a stab."""
    for beat in range(4):
        at_s = bar * BAR_S + beat * BEAT_S
        put(track, at_s, 0.5 * decay(50, 0.3, 0.1, 120))
        put(track, at_s + BEAT_S / 2, 0.35 * decay(55, 0.22, 0.2))
        for half in (0, 0.5):
            noise = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 600)
            put(track, at_s + half * BEAT_S, 0.1 * np.diff(noise, prepend=0))
    pad(track, bar, 0.06)


def pad(track: np.ndarray, bar: int, loud: float) -> None:
    t = np.arange(round(BAR_S * SAMPLE_RATE)) / SAMPLE_RATE
    put(track, bar * BAR_S, loud * np.sin(2 * np.pi * np.outer((261.6, 311.1, 392.0, 523.3), t)).sum(0))


def rise(track: np.ndarray, rng: np.random.Generator) -> None:
    """A snare from quarters to sixteenths, and noise that swells and brightens."""
    bars = DROP_BAR - BUILD_BAR
    for bar in range(bars):
        pad(track, BUILD_BAR + bar, 0.08)
        parts = (1, 2, 4, 4)[bar]
        for hit in range(4 * parts):
            noise = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 1200)
            loud = 0.08 + 0.12 * (bar + hit / 4 / parts) / bars
            put(track, (BUILD_BAR + bar) * BAR_S + hit * BEAT_S / parts, loud * noise)
    n = round(bars * BAR_S * SAMPLE_RATE)
    x, noise = np.linspace(0, 1, n), rng.standard_normal(n)
    bright = np.diff(noise, prepend=0)
    put(track, BUILD_BAR * BAR_S, 0.12 * x**1.5 * ((1 - x) * noise + x * bright))


@pytest.fixture(scope="module")
def track() -> np.ndarray:
    rng = np.random.default_rng(5)
    sound = np.zeros(round(END_BAR * BAR_S * SAMPLE_RATE))
    for bar in (*range(BREAKDOWN_BAR), *range(DROP_BAR, END_BAR)):
        whole(sound, bar, rng)
    for bar in range(BREAKDOWN_BAR, BUILD_BAR):
        pad(sound, bar, 0.1)
    rise(sound, rng)
    return (0.6 * sound / np.abs(sound).max()).astype(np.float32)


def hear(sound: np.ndarray, state: ShowState | None = None) -> list[AudioFeatures]:
    return Analyser().process(sound, len(sound) / SAMPLE_RATE, state or ShowState())


def begun(features: list[AudioFeatures]) -> list[AudioFeatures]:
    """The hops in which a section begins."""
    return [b for a, b in pairwise(features) if b.sections != a.sections]


def test_each_section_is_said_within_a_bar_of_where_it_begins(track: np.ndarray) -> None:
    for state in (ShowState(), ShowState(tempo_bpm=BPM)):
        events = begun(hear(track, state))
        assert [event.section for event in events] == [Section.BREAKDOWN, Section.BUILD, Section.DROP]
        true_s = np.array([BREAKDOWN_BAR, BUILD_BAR, DROP_BAR]) * BAR_S
        np.testing.assert_allclose([event.section_s for event in events], true_s, atol=BAR_S)
        assert all(-0.1 <= event.time_s - at < BAR_S for event, at in zip(events, true_s, strict=True))


def test_levels_follow_the_sections(track: np.ndarray) -> None:
    features = hear(track, ShowState(tempo_bpm=BPM))
    for each in features:
        levels = (each.breakdown, each.build, each.drop)
        assert sum(level > 0 for level in levels) <= 1
        assert all(0 <= level <= 1 for level in levels)
    build = np.array([each.build for each in features if each.section is Section.BUILD])
    assert (np.diff(build) >= 0).all()
    assert build[-1] - build[0] > 0.3
    drop = np.array([each.drop for each in features if each.section is Section.DROP])
    assert drop[0] > 0.7
    assert (np.diff(drop) <= 0).all()
    assert drop[-1] < 0.02
    assert features[-1].section is Section.NONE


def test_how_loud_the_input_is_and_how_it_is_cut_make_no_difference(track: np.ndarray) -> None:
    once = [(e.section, round(e.section_s, 1)) for e in begun(hear(track))]
    soft = [(e.section, round(e.section_s, 1)) for e in begun(hear(track * np.float32(0.12)))]
    assert [kind for kind, _ in soft] == [kind for kind, _ in once]
    np.testing.assert_allclose([at for _, at in soft], [at for _, at in once], atol=BAR_S)


def test_what_never_changes_and_silence_have_no_sections() -> None:
    rng = np.random.default_rng(6)
    steady = np.zeros(round(24 * BAR_S * SAMPLE_RATE))
    for bar in range(24):
        whole(steady, bar, rng)
    steady[-round(6 * BAR_S * SAMPLE_RATE) :] = 0
    features = hear((0.6 * steady / np.abs(steady).max()).astype(np.float32))
    assert [event.section for event in begun(features)] in ([], [Section.BREAKDOWN])
    assert features[-1].section is Section.NONE
    assert not any(event.time_s < 17 * BAR_S for event in begun(features))
