"""The built-in soundtrack: what is heard when, by the encoder and by the beat tracker; and that it plays."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.capture import Capture
from engine.audio.soundtrack import DURATION_S, SECTIONS, soundtrack, stream
from engine.audio.sources import SynthSource
from engine.core.messages import AudioFeatures
from engine.inference.loading import open_model

NAMED = {
    "sunny": ("birds singing",),
    "fire": ("crackling fire",),
    "rain": ("rain",),
    "thunder": ("thunder",),
    "waves": ("sea waves",),
    "wind": ("wind",),
    "night": ("crickets at night",),
    "beat": ("a drum beat", "music"),
}
OPENING_S = 20.0
HEARD_WITHIN_S = 1.5


@pytest.fixture(scope="module")
def piece() -> np.ndarray:
    return soundtrack()


@pytest.fixture(scope="module")
def opening(piece) -> list[AudioFeatures]:
    """What the analysis says of the first 20 s, hop by hop."""
    return list(Analyser().process(piece[: round(OPENING_S * SAMPLE_RATE)], OPENING_S))


def test_it_is_whole_and_loud_enough(piece):
    assert piece.shape == (round(DURATION_S * SAMPLE_RATE),)
    assert np.abs(piece).max() <= 1
    for section in SECTIONS:
        part = piece[round((section.start_s + 1) * SAMPLE_RATE) : round(section.end_s * SAMPLE_RATE)]
        assert 20 * np.log10(np.sqrt((part**2).mean())) > -32, section.name


def test_one_section_runs_into_the_next_without_a_click(piece):
    steps = np.abs(np.diff(piece))
    for section in SECTIONS[1:]:
        seam = round(section.start_s * SAMPLE_RATE)
        assert steps[seam - 2 : seam + 2].max() <= np.quantile(steps[seam - 20_000 : seam + 20_000], 0.9999) + 1e-3


def test_its_second_pass_fades_in_from_the_first():
    parts = stream()
    first = [next(parts) for _ in SECTIONS]
    again = next(parts)
    overlap = SAMPLE_RATE // 2
    assert again.shape == first[0].shape
    np.testing.assert_array_equal(again[SAMPLE_RATE:], first[0][SAMPLE_RATE:])
    assert np.abs(again[:overlap] - first[0][:overlap]).max() > 0.01  # the last section is still heard


def test_once_through_it_ends_in_silence():
    *_, tail = stream(loop=False)
    assert 0.3 < len(tail) / SAMPLE_RATE < 2
    assert np.abs(tail[-100:]).max() < 1e-3


def test_a_scene_weather_fire_and_a_beat_are_in_the_first_twenty_seconds():
    heard = [section.name for section in SECTIONS if section.start_s < OPENING_S - 5]
    assert heard[0] == "sunny"  # birds: the scene as it is, in daylight
    assert {"rain", "fire", "beat"} < set(heard)
    assert all(section.start_s <= 15 for section in SECTIONS if section.name in ("rain", "fire"))


@pytest.mark.parametrize("number", range(len(SECTIONS)), ids=lambda number: f"{number}-{SECTIONS[number].name}")
def test_the_encoder_names_each_section_soon_after_its_start(piece, number):
    section = SECTIONS[number]
    model = open_model("pocket")
    end = round((section.start_s + HEARD_WITHIN_S) * SAMPLE_RATE)
    window = model.audio.window
    length = window.segments * window.segment_samples
    embedding = model.audio.hear(piece[max(0, end - length) : end], end, section.start_s + HEARD_WITHIN_S)
    phrases = list(model.audio.phrases)
    weights = model.audio.score(embedding, model.text.encode(phrases).joint)
    assert phrases[int(np.argmax(weights))] in NAMED[section.name]
    assert sum(weights[phrases.index(name)] for name in NAMED[section.name]) > 0.3


def test_the_beat_tracker_finds_the_beat_before_the_opening_ends(piece, opening):
    """Against the time after which the samples' own loudness repeats."""
    beat = next(section for section in SECTIONS if section.name == "beat")
    found = next(features.time_s for features in opening if features.time_s > beat.start_s and features.bpm > 0)
    assert found < beat.start_s + 5.5
    period_s = _repeats_every_s(piece[round((beat.start_s + 1) * SAMPLE_RATE) : round(beat.end_s * SAMPLE_RATE)])
    assert opening[-1].bpm == pytest.approx(60 / period_s, rel=0.01)
    counted = opening[-1].beat - next(features.beat for features in opening if features.time_s >= found)
    assert counted == pytest.approx((OPENING_S - found) * opening[-1].bpm / 60, abs=1.5)


def test_it_plays():
    with Capture(SynthSource()) as capture:
        deadline_s = time.monotonic() + 30
        while not capture.latest().level > 0.3:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)


def _repeats_every_s(samples: np.ndarray) -> float:
    """The lag, 0.3 to 0.7 s, at which the loudness in blocks of 1 ms resembles itself most."""
    block = SAMPLE_RATE // 1000
    loudness = (samples[: len(samples) // block * block].reshape(-1, block) ** 2).mean(1)
    loudness -= loudness.mean()
    lags = range(300, 701)
    alike = [float(loudness[lag:] @ loudness[:-lag]) / (len(loudness) - lag) for lag in lags]
    return lags[int(np.argmax(alike))] * block / SAMPLE_RATE
