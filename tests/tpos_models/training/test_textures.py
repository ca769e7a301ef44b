"""Sounds that nobody recorded: what is kept of a recording, and that no two are alike."""

import numpy as np
import pytest

from tpos_models.training.audio.textures import crossed, grains, stretched, texture

RATE = 44_100
N = 2 * RATE


def tone(hz: float, n: int = N) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(n) / RATE).astype(np.float32)


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * RATE / samples.size


def centroid_hz(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(samples.size, 1 / RATE)).sum() / power.sum())


def course(samples: np.ndarray, every_s: float = 0.02) -> np.ndarray:
    """Power in steps of 20 ms."""
    every = round(every_s * RATE)
    return (samples[: samples.size // every * every].reshape(-1, every) ** 2).mean(1)


def test_textures_differ_in_spectrum_and_course() -> None:
    drawn = [texture(np.random.default_rng(seed), N) for seed in range(80)]
    assert all(one.dtype == np.float32 and one.shape == (N,) and np.isfinite(one).all() for one in drawn)
    centres = np.log2([centroid_hz(one) for one in drawn])
    assert np.ptp(centres) > 5  # octaves
    uneven = np.array([course(one).std() / course(one).mean() for one in drawn])
    assert uneven.min() < 0.3  # as even as rain
    assert uneven.max() > 3  # as uneven as a clock
    same = texture(np.random.default_rng(5), N)
    np.testing.assert_array_equal(same, drawn[5])


@pytest.mark.parametrize("length", [200, RATE // 10, 3 * RATE])
def test_grains_keep_the_pitch_and_fill_the_time(length: int) -> None:
    for seed in range(6):
        out = grains(np.random.default_rng(seed), tone(1000.0, length), N)
        assert out.dtype == np.float32
        assert out.shape == (N,)
        assert centroid_hz(out) == pytest.approx(1000.0, rel=0.5)
    dense = [np.mean(course(grains(np.random.default_rng(s), tone(1000.0, 3 * RATE), N)) > 1e-3) for s in range(12)]
    assert max(dense) > 0.9


def test_grains_come_in_another_order() -> None:
    rising = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 4000, 2 * N)) / RATE).astype(np.float32)
    heard = grains(np.random.default_rng(4), rising, N)
    pitches = [centroid_hz(part) for part in np.array_split(heard, 12) if np.abs(part).max() > 1e-2]
    assert not np.all(np.diff(pitches) > 0)


def test_a_sound_crossed_with_itself_is_itself() -> None:
    noise = np.random.default_rng(0).standard_normal(N).astype(np.float32)
    out = crossed(np.random.default_rng(1), noise, noise)
    assert np.corrcoef(out[2000:-2000], noise[2000:-2000])[0, 1] > 0.99


def test_a_crossed_sound_has_the_courses_of_the_first_and_the_tone_of_the_second() -> None:
    noise = np.random.default_rng(0).standard_normal(N).astype(np.float32)
    gated = noise * (np.arange(N) < N // 2)
    for seed in range(6):
        before, after = np.array_split(course(crossed(np.random.default_rng(seed), gated, noise)), 2)
        assert before.mean() > 4 * after[len(after) // 2 :].mean()
        assert peak_hz(crossed(np.random.default_rng(seed), noise, tone(700.0))) == pytest.approx(700.0, abs=10)


def test_stretched_changes_the_speed_by_at_most_two_and_the_pitch_by_at_most_a_fourth() -> None:
    swelling = np.random.default_rng(0).standard_normal(6 * RATE) * (
        1 + np.cos(2 * np.pi * 8 * np.arange(6 * RATE) / RATE)
    )
    rates, pitches = [], []
    for seed in range(30):
        modulation = np.abs(np.fft.rfft(course(stretched(np.random.default_rng(seed), swelling, N), 0.01)))
        rates.append((4 + int(np.argmax(modulation[4:60]))) / 2)
        pitches.append(peak_hz(stretched(np.random.default_rng(seed), tone(1000.0, 6 * RATE), N)))
    assert np.ptp(np.log2(rates)) > 0.8
    assert 3.5 <= min(rates) <= max(rates) <= 17
    assert 1000 * 0.73 < min(pitches) < 900 < 1100 < max(pitches) < 1000 * 1.37
    assert 0.25 < np.mean([abs(pitch - 1000) < 15 for pitch in pitches]) < 0.75
    assert stretched(np.random.default_rng(0), tone(500.0, 4000), N).shape == (N,)
