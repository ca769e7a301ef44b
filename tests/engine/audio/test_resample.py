"""The way to 44.1 kHz keeps every second of a sound, and nothing that is no sound."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio import SAMPLE_RATE
from engine.audio.resample import Intake


def sine(hz: float, seconds: float, rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_a_sound_keeps_its_length_to_the_last_sample(rate: int) -> None:
    intake = Intake(rate, 1)
    parts = [intake.push(part) for part in np.array_split(sine(700, 1.5, rate), 40)]
    whole = np.concatenate([*parts, intake.push(np.zeros((0, 1), np.float32), last=True)])
    assert len(whole) == pytest.approx(1.5 * SAMPLE_RATE, abs=1)
    end = slice(round(1.45 * SAMPLE_RATE), round(1.49 * SAMPLE_RATE))
    np.testing.assert_allclose(whole[end], sine(700, 1.5, SAMPLE_RATE)[end], atol=0.01)


def test_what_is_60_db_over_full_scale_is_no_sound() -> None:
    samples = np.full((8, 2), 0.25, np.float32)
    samples[1, 0], samples[2, 1], samples[3, 0], samples[4, 1] = 999.0, -999.0, 1001.0, -2e6
    intake = Intake(SAMPLE_RATE, 2)
    heard = intake.push(samples)
    assert intake.bad_samples == 2
    np.testing.assert_array_equal(heard[3], [0, 0.25])
    np.testing.assert_array_equal(heard[4], [0.25, 0])
    assert (heard[1, 0], heard[2, 1]) == (999.0, -999.0)


def test_more_than_two_channels_are_folded_as_pairs() -> None:
    samples = np.array([[1, 10, 3, 30, 5, 50]], np.float32)
    np.testing.assert_allclose(Intake(SAMPLE_RATE, 6).push(samples), [[3, 30]])
    np.testing.assert_allclose(Intake(SAMPLE_RATE, 6, picks=(4,)).push(samples), [[5]])
    np.testing.assert_allclose(Intake(SAMPLE_RATE, 6, picks=(3, 0)).push(samples), [[30, 1]])
