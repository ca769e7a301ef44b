"""Bands and onsets, by sounds whose frequencies and beginnings are known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.core.messages import AudioFeatures, ShowState

BANDS_HZ = ((20, 150), (150, 1500), (1500, 6000), (6000, 16000))
"""As `AudioFeatures.bands` documents them."""
BIN_HZ = SAMPLE_RATE / 1024
FAINT = 0.02
"""Under what a band starts out calling loud, so that a neighbour's leakage does not reach the top as well."""


def hear(samples: np.ndarray) -> list[AudioFeatures]:
    """The features of a sound that is left as loud as it is."""
    return Analyser().process(samples.astype(np.float32), len(samples) / SAMPLE_RATE, ShowState(agc=False))


def sine(hz: float, seconds: float = 0.5, amplitude: float = 0.3) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


def with_overtones(hz: np.ndarray, count: int) -> np.ndarray:
    """A voice that sings `hz`, one pitch for each sample, peak 0.5."""
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    sound = sum(np.sin(h * phase) / np.sqrt(h) for h in range(1, count + 1))
    return 0.5 * sound / np.abs(sound).max()


@pytest.mark.parametrize(("number", "edges_hz"), list(enumerate(BANDS_HZ)))
def test_a_band_reaches_from_edge_to_edge(number: int, edges_hz: tuple[int, int]) -> None:
    low_hz, high_hz = edges_hz
    for hz in np.geomspace(low_hz + 1.2 * BIN_HZ, high_hz - 1.2 * BIN_HZ, 9):
        bands = hear(sine(float(hz), amplitude=FAINT))[-1].bands
        assert bands[number] > 0.6, f"{hz:.0f} Hz"
        assert max(bands[:number] + bands[number + 1 :]) < bands[number], f"{hz:.0f} Hz"


@pytest.mark.parametrize("hz", [16_200, 18_000, 21_000])
def test_beyond_the_last_edge_nobody_listens(hz: float) -> None:
    assert max(hear(sine(hz))[-1].bands) < 0.5


@pytest.mark.parametrize(("low_hz", "high_hz"), [(100, 210), (1300, 1700), (5700, 6300)])
def test_an_edge_lies_between_what_belongs_to_either_side(low_hz: float, high_hz: float) -> None:
    loudest = [int(np.argmax(hear(sine(hz))[-1].bands)) for hz in (low_hz, high_hz)]
    assert loudest[1] == loudest[0] + 1


@pytest.mark.parametrize(("semitones", "rate_hz"), [(1, 5.5), (3, 6), (3, 7)])
def test_a_vibrato_is_neither_an_onset_nor_a_tempo(semitones: float, rate_hz: float) -> None:
    t = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE
    features = hear(with_overtones(700 * 2 ** (semitones / 12 * np.sin(2 * np.pi * rate_hz * t)), 5))
    assert max(f.bpm for f in features) == 0
    assert not any(f.hit for f in features if f.time_s > 0.2)
    assert sum(f.hit for f in features) == 1, "its beginning is one"


def test_a_glide_is_one_onset_and_a_scale_is_one_for_each_note() -> None:
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    glide = hear(with_overtones(300 * 4 ** (t / 2), 8))
    assert sum(f.hit for f in glide) == 1
    scale = [
        with_overtones(np.full(SAMPLE_RATE // 4, 300 * 2 ** (step / 12)), 8) for step in (0, 2, 4, 5, 7, 9, 11, 12)
    ]
    played = np.concatenate([note * np.exp(-np.arange(len(note)) / 3000) for note in scale])
    hits_s = [f.time_s for f in hear(played) if f.hit]
    assert len(hits_s) == 8
    np.testing.assert_allclose(hits_s, 0.25 * np.arange(8) + 0.012, atol=0.015)


def test_two_onsets_within_90_ms_are_one() -> None:
    rng = np.random.default_rng(0)
    burst = 0.5 * rng.standard_normal(800) * np.exp(-np.arange(800) / 150)
    sound = np.zeros(2 * SAMPLE_RATE)
    for start_s in (0.5, 0.55, 1.2, 1.35):
        at = round(start_s * SAMPLE_RATE)
        sound[at : at + len(burst)] += burst
    hits_s = [f.time_s for f in hear(sound) if f.hit]
    np.testing.assert_allclose(hits_s, [0.512, 1.212, 1.362], atol=0.015)
