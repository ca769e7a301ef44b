"""The lag of films whose truth is known: on a beat, off one, and where the sound alone cannot tell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tpos_models.metrics.film import loudness_per_frame
from tpos_models.metrics.lag import Lag, find_lag, lagged_correlation

RATE, SECONDS = 16_000, 12
BEAT_S = 60 / 130
ON_THE_BEAT = np.arange(0.4, SECONDS - 0.4, BEAT_S)
OFF_ANY_BEAT = 0.4 + np.cumsum([0.21, 0.53, 0.87, 0.34, 0.97, 0.41, 0.66, 0.29, 1.1, 0.75, 0.48, 0.93, 0.37, 0.81])


def measured(times: np.ndarray, late_s: float, fps: float, loud: np.ndarray | None = None, noise: float = 0.3) -> Lag:
    """Clicks at `times`; a picture that changes in the frame that is `late_s` after each, as much as it is loud."""
    rng = np.random.default_rng(0)
    sound, change = np.zeros(SECONDS * RATE), noise * rng.uniform(0, 1, round(SECONDS * fps))
    for time, force in zip(times, np.ones(len(times)) if loud is None else loud, strict=True):
        at, decay = round(time * RATE), np.exp(-np.arange(RATE // 8) / (RATE / 25))
        sound[at : at + decay.size] += force * decay * rng.normal(size=decay.size)
        change[int((time + late_s) * fps)] += force
    loudness = loudness_per_frame(sound, RATE, fps, len(change))
    return find_lag(lagged_correlation(loudness, change, round(0.5 * fps)), loudness, fps)


@pytest.mark.parametrize("fps", [25.0, 26.0, 30.0, 60.0])
@pytest.mark.parametrize("late_s", [-0.08, 0.0, 0.12, 0.3])
def test_on_a_beat_it_is_that_of_the_beat_and_not_the_one_before_or_after(late_s, fps):
    lag = measured(ON_THE_BEAT, late_s, fps)
    assert lag.seconds == pytest.approx(late_s, abs=1.01 / fps)
    assert lag.correlation > 0.4


def test_on_a_beat_it_says_that_others_fit():
    assert measured(ON_THE_BEAT, 0.0, 26.0).alias_s == pytest.approx(BEAT_S, abs=0.01)


@pytest.mark.parametrize("fps", [25.0, 60.0])
@pytest.mark.parametrize("late_s", [-0.2, 0.0, 0.12, 0.3, 0.44])
def test_off_any_beat_it_is_the_truth_and_no_other_fits(late_s, fps):
    lag = measured(OFF_ANY_BEAT, late_s, fps)
    assert lag.seconds == pytest.approx(late_s, abs=1.01 / fps)
    assert math.isnan(lag.alias_s)


def test_accents_tell_a_late_picture_from_an_early_one():
    accents = np.random.default_rng(1).uniform(0.05, 1, len(ON_THE_BEAT)) ** 2
    for late_s in (-0.2, 0.42):  # nearer to the neighbouring beat than its own
        assert measured(ON_THE_BEAT, late_s, 26.0, accents, 0.0).seconds == pytest.approx(late_s, abs=0.04)


def test_where_nothing_follows_there_is_no_lag():
    nothing = measured(OFF_ANY_BEAT, 0.1, 25.0, np.full(len(OFF_ANY_BEAT), 1e-6), 1.0)
    assert math.isnan(nothing.seconds)
    assert math.isnan(nothing.alias_s)
    too_early = measured(OFF_ANY_BEAT, -0.4, 25.0)
    assert math.isnan(too_early.seconds)
    still = find_lag(np.full(25, np.nan), np.ones(100), 25.0)
    assert math.isnan(still.seconds)
    assert math.isnan(still.correlation)


def test_the_correlation_is_pearsons():
    x = np.random.default_rng(0).normal(size=200)
    r = lagged_correlation(x, np.roll(x, 4), 10)
    assert r.argmax() - 10 == 4
    assert r.max() > 0.99
    y = np.random.default_rng(1).normal(size=200)
    assert lagged_correlation(x, y, 3)[3 + 2] == pytest.approx(np.corrcoef(x[:-2], y[2:])[0, 1])
