"""How long a loop is, of bursts of noise that are repeated exactly, or not."""

from __future__ import annotations

import numpy as np
import pytest

from tpos_models.beats.bands import BANDS, HOP, SAMPLE_RATE, band_powers, log_powers
from tpos_models.beats.repetition import LAGS, Repetition


def bursts(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Noise through a short filter of its own, four to eight a second, at no regular times."""
    sound = 1e-4 * rng.standard_normal(round(seconds * SAMPLE_RATE))
    at = 0
    while at < len(sound):
        colour = rng.standard_normal(int(rng.integers(2, 60)))
        burst = np.convolve(rng.standard_normal(6000), colour / np.linalg.norm(colour), "same")
        part = sound[at : at + len(burst)]
        part += (0.2 * burst * np.exp(-np.arange(len(burst)) / 1500))[: len(part)]
        at += round(rng.uniform(0.12, 0.25) * SAMPLE_RATE)
    return sound


def heard(sound: np.ndarray) -> list[tuple[float, bool]]:
    """Length in seconds and whether all is a loop, at every hop."""
    repetition, found = Repetition(), []
    for logs in log_powers(band_powers(sound)):
        repetition.push(logs)
        found.append((repetition.lag_hops * HOP / SAMPLE_RATE, repetition.whole))
    return found


@pytest.mark.parametrize("length_s", [1.6337, 2.6621, 6.8571])
def test_a_loop_is_as_long_as_it_is(length_s: float) -> None:
    loop = bursts(np.random.default_rng(1), length_s)
    found = heard(np.tile(loop, int(14 / length_s) + 1))
    once = found[: round(length_s * SAMPLE_RATE / HOP)]
    assert not any(lag for lag, _ in once)
    lag, whole = found[-1]
    assert lag == pytest.approx(len(loop) / SAMPLE_RATE, rel=1e-3)
    assert whole


def test_what_never_repeats_is_no_loop_and_neither_is_a_tone() -> None:
    assert not any(lag for lag, _ in heard(bursts(np.random.default_rng(2), 12.0)))
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE)
    assert not any(lag for lag, _ in heard(tone))


def test_a_loop_after_something_else_is_one_and_not_all_that_was_heard() -> None:
    rng = np.random.default_rng(3)
    before, loop = bursts(rng, 6.0), bursts(rng, 2.0)
    lag, whole = heard(np.concatenate([before, np.tile(loop, 5)]))[-1]
    assert lag == pytest.approx(2.0, rel=1e-3)
    assert not whole


def test_a_loop_that_gives_way_to_something_else_is_lost_within_a_second() -> None:
    rng = np.random.default_rng(4)
    loop, after = bursts(rng, 2.0), bursts(rng, 4.0)
    found = heard(np.concatenate([np.tile(loop, 5), after]))
    second = round(SAMPLE_RATE / HOP)
    assert found[10 * second - 1][0] > 0
    assert not any(lag for lag, _ in found[11 * second :])


def swelling(first_hops: float, last_hops: float, hops: int, noise: float, seed: int) -> np.ndarray:
    """The loop's length at every hop of a sound that swells: a period that goes from one to another."""
    rng = np.random.default_rng(seed)
    colours, begin = 3 * rng.standard_normal(BANDS), rng.uniform(0, 2 * np.pi, BANDS)
    repetition, phase, found = Repetition(), 0.0, []
    for hop in range(hops):
        phase += 2 * np.pi / (first_hops * (last_hops / first_hops) ** (hop / hops))
        swell = colours * np.sin(phase + begin) + noise * rng.standard_normal(BANDS)
        repetition.push(swell.astype(np.float32))
        found.append(repetition.lag_hops)
    return np.array(found)


@pytest.mark.parametrize("period_hops", [302.4, 408.4, 532.6, 900.0])
def test_what_swells_slowly_is_as_long_as_its_swell_and_has_no_shorter_loop(period_hops: float) -> None:
    """A pad hardly differs from itself a moment ago; its swell of 10 s is longer than any loop that is looked for."""
    loops = [lag for lag in swelling(period_hops, period_hops, 1000, 0.05, seed=5) if lag]
    assert bool(loops) == (period_hops < LAGS)
    assert all(lag == pytest.approx(period_hops, abs=0.2) for lag in loops)


def test_a_tremble_that_becomes_too_fast_to_be_a_loop_is_none_any_more() -> None:
    """A quarter of a second is the shortest; it is noticed within a hop."""
    found = swelling(30, 8, 6000, 0.0, seed=0)
    assert found[found > 0].min() > 0.25 * SAMPLE_RATE / HOP - 1
    assert not found[-1000:].any()


@pytest.mark.parametrize("seed", range(4))
def test_a_swell_that_becomes_faster_is_followed_and_not_jumped_with(seed: int) -> None:
    found = swelling(287, 178, 1460, 0.3, seed)
    followed = np.abs(np.diff(found))[(found[1:] > 0) & (found[:-1] > 0)]
    assert len(followed)
    assert followed.max() <= 2
