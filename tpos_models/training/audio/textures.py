"""Sounds that nobody recorded: random textures, and recordings strewn, crossed and stretched into others.

What a few thousand recordings do not hold, a teacher can hear here: it is told of no class, so a sound need be of none.
Rates and sizes are those of the encoder (44.1 kHz mono); `rng` decides everything.
"""

from __future__ import annotations

import math

import numpy as np

from tpos_models.pocket.audio_networks import WINDOW

RATE = WINDOW.sample_rate
N_FFT, HOP = 1024, 256
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0


def texture(rng: np.random.Generator, n: int) -> np.ndarray:
    """One to three layers of noise, impulses, ticks or tones, each of a spectrum and a course of its own, float32 (n,).

    What summary statistics of sounds leave free is random (McDermott & Simoncelli, 2011).
    """
    out = _layer(rng, n)
    for _ in range(rng.choice(3, p=(0.45, 0.35, 0.2))):
        out = out + 10 ** (-rng.uniform(0, 12) / 20) * _layer(rng, n)
    return out.astype(np.float32)


def grains(rng: np.random.Generator, samples: np.ndarray, n: int) -> np.ndarray:
    """A sound cut into grains of 15 to 350 ms and strewn anew, dense or sparse: float32 (n,); granular synthesis."""
    size = min(round(_between(rng, 0.015, 0.35) * RATE), samples.size)
    hann, falling = np.hanning(size), np.exp(-4 * np.arange(size) / size) * np.minimum(1, np.arange(size) / 30)
    envelope = hann if rng.uniform() < 0.7 else falling
    count = min(1500, max(2, round(_between(rng, 0.7, 6.0) * n / size)))
    around, width = rng.uniform(0, samples.size - size + 1), _between(rng, 0.05, 4.0) * RATE
    out = np.zeros(n + size)
    for at in rng.integers(0, n, count):
        start = int(np.clip(around + rng.uniform(-0.5, 0.5) * width, 0, samples.size - size))
        out[at : at + size] += rng.exponential() * envelope * samples[start : start + size]
    return out[:n].astype(np.float32)


def crossed(rng: np.random.Generator, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The second sound, more or less with the first's course and spectrum, broadly or in detail: float32 (n,)."""
    size = round(_between(rng, 1, 60)), round(_between(rng, 2, 200))
    spectrum = _stft(other)
    wanted, found = (_smoothed(np.abs(each) ** 2, size) for each in (_stft(one), spectrum))
    floors = 1e-5 * wanted.max() + 1e-20, 1e-4 * found.max() + 1e-20
    gain = ((wanted + floors[0]) / (found + floors[1])) ** (0.5 * rng.uniform(0.4, 1))
    return _istft(gain * spectrum, one.size)


def stretched(rng: np.random.Generator, samples: np.ndarray, n: int) -> np.ndarray:
    """Up to twice as slow or fast at its pitch, of which a half are moved by up to a fourth: float32 (n,).

    Phases are random, so tones blur a little.
    """
    magnitude = np.abs(_stft(np.pad(samples, (0, max(0, n - samples.size)))))
    speed, columns = float(np.exp(rng.uniform(-0.7, 0.7))), math.ceil(n / HOP) + 4
    start = rng.uniform(0, max(1e-3, len(magnitude) - columns * speed))
    out = _read(magnitude, np.clip(start + speed * np.arange(columns), 0, len(magnitude) - 1))
    if rng.uniform() < 0.5:
        bins = np.arange(out.shape[1]) / np.exp(rng.uniform(-0.3, 0.3))
        out = _read(out.T, np.minimum(bins, out.shape[1] - 1)).T * (bins < out.shape[1] - 1)
    return _istft(out * np.exp(2j * np.pi * rng.uniform(size=out.shape)), n)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Any number between, in even ratios."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _layer(rng: np.random.Generator, n: int) -> np.ndarray:
    """One of four sorts at RMS 1."""
    sort = (_noise, _impulses, _ticks, _tones)[int(rng.choice(4, p=(0.4, 0.3, 0.12, 0.18)))]
    out = _filtered(rng, sort(rng, n)) * _course(rng, n)
    if rng.uniform() < 0.4:
        out *= _course(rng, n)
    return out / max(1e-9, float(np.sqrt(np.mean(out**2))))


def _noise(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal(n)


def _impulses(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two to 6000 a second at any times; a half of them ring, as noise or as a tone."""
    count = max(1, int(rng.poisson(_between(rng, 2, 6000) * n / RATE)))
    out, heights = np.zeros(n), rng.exponential(1, count) ** rng.uniform(0.5, 3)
    np.add.at(out, rng.integers(0, n, count), rng.choice((-1, 1), count) * heights)
    if rng.uniform() < 0.5:
        return out
    decay_s, t = _between(rng, 5e-4, 0.05), np.arange(n) / RATE
    ringing = rng.standard_normal(n) if rng.uniform() < 0.5 else np.sin(2 * np.pi * _between(rng, 200, 6000) * t)
    return convolved(out, np.exp(-t / decay_s) * ringing)


def _ticks(rng: np.random.Generator, n: int) -> np.ndarray:
    """One to 120 a second, more or less regular, each a burst of noise."""
    every_s = 1 / _between(rng, 1, 120)
    steps = every_s * (1 + rng.uniform(0, 0.2) * rng.standard_normal(round(1.1 * n / RATE / every_s) + 2))
    at = (np.cumsum(steps) * RATE).astype(int)
    at = at[(at >= 0) & (at < n)]
    out = np.zeros(n)
    out[at] = 1 + 0.3 * rng.standard_normal(at.size)
    return convolved(out, np.exp(-np.arange(n) / RATE / _between(rng, 2e-3, 0.1)) * rng.standard_normal(n))


def _tones(rng: np.random.Generator, n: int) -> np.ndarray:
    """Up to twenty harmonics of one wandering pitch, and a breath of noise."""
    first_hz, bend = _between(rng, LOWEST_HZ, 3000), rng.uniform(0, 0.6) * _wander(rng, n, int(rng.integers(2, 12)))
    vibrato = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(3, 9) * np.arange(n) / RATE)
    phase, tilt = 2 * np.pi * np.cumsum(first_hz * 2 ** (bend + vibrato)) / RATE, rng.uniform(0.3, 2)
    harmonics = range(1, 1 + int(min(20, HIGHEST_HZ / first_hz)))
    out = np.sum([np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k**tilt for k in harmonics], axis=0)
    return out / max(1e-6, float(np.abs(out).max())) + rng.uniform(0, 0.3) * rng.standard_normal(n)


def _filtered(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """Mostly tilted, through up to six resonances, sometimes limited to a band."""
    spectrum, hz = np.fft.rfft(samples), np.fft.rfftfreq(samples.size, 1 / RATE) + 1
    gain = hz ** -rng.uniform(0, 1.2) if rng.uniform() < 0.6 else np.ones(hz.size)
    if rng.uniform() < 0.7:
        peaks = np.full(hz.size, 10 ** (-rng.uniform(5, 60) / 20))
        for _ in range(rng.integers(1, 7)):
            centre_hz, q = _between(rng, LOWEST_HZ, HIGHEST_HZ), _between(rng, 0.5, 60)
            peaks += rng.uniform(0.1, 1) / np.sqrt(1 + (q * (hz / centre_hz - centre_hz / hz)) ** 2)
        gain = gain * peaks
    if rng.uniform() < 0.4:
        low, high = sorted(_between(rng, LOWEST_HZ, HIGHEST_HZ) for _ in range(2))
        gain = gain / (1 + (low / hz) ** rng.uniform(1, 8)) / (1 + (hz / high) ** rng.uniform(1, 8))
    return np.fft.irfft(spectrum * gain, samples.size)


def _course(rng: np.random.Generator, n: int) -> np.ndarray:
    """A gain (n,) of at most 1 over time: even, swelling, wandering, one decay, one every period, or a part."""
    t, kind = np.arange(n) / RATE, int(rng.integers(6))
    if kind == 1:
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * (_between(rng, 0.1, 40) * t + rng.uniform()))
        return swell ** _between(rng, 0.4, 7)
    if kind == 2:
        level_db = rng.uniform(2, 12) * _wander(rng, n, round(_between(rng, 3, 200)))
        return 10 ** ((level_db - level_db.max()) / 20)
    if kind == 3:
        since_s = t - rng.uniform(0, 0.75 * n / RATE)
        return np.exp(-np.maximum(since_s, 0) / _between(rng, 0.02, 1.5)) * (since_s > 0)
    if kind == 4:
        every_s = _between(rng, 0.06, 1.5)
        return np.exp(-((t + rng.uniform(0, every_s)) % every_s) / _between(rng, 0.005, every_s))
    first, last = sorted(rng.uniform(0, n / RATE, 2))
    part = (t > first) & (t < last) if kind == 5 and last - first > 0.1 else t >= 0
    return part.astype(float)


def _wander(rng: np.random.Generator, n: int, points: int) -> np.ndarray:
    """Random numbers (n,) about 0, straight between so many points."""
    return np.interp(np.linspace(0, points - 1, n), np.arange(points), rng.standard_normal(points))


def convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Samples (n,) through a response of at most as many: (n,), the tail cut off."""
    n = samples.size
    return np.fft.irfft(np.fft.rfft(samples, 2 * n) * np.fft.rfft(response, 2 * n), 2 * n)[:n]


def _stft(samples: np.ndarray) -> np.ndarray:
    """(columns, bins), a window before the first sample and one behind the last."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, N_FFT), N_FFT)[::HOP]
    return np.fft.rfft(frames * np.hanning(N_FFT + 1)[:-1])


def _istft(spectrum: np.ndarray, n: int) -> np.ndarray:
    """Overlapped and added, without the window before: float32 (n,)."""
    frames = np.fft.irfft(spectrum, N_FFT) * np.hanning(N_FFT + 1)[:-1] / 1.5
    out = np.zeros(max(n + N_FFT, (len(frames) - 1) * HOP + N_FFT))
    for k in range(N_FFT // HOP):
        part = frames[k :: N_FFT // HOP].reshape(-1)
        out[k * HOP : k * HOP + part.size] += part
    return out[N_FFT : N_FFT + n].astype(np.float32)


def _smoothed(power: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means over so many neighbours on each axis, edges repeated."""
    for axis, width in enumerate(size):
        before = [(0, 0), (0, 0)]
        before[axis] = (width // 2 + 1, width - 1 - width // 2)
        sums = np.cumsum(np.pad(power, before, mode="edge"), axis)
        count = power.shape[axis]
        power = np.take(sums, range(width, width + count), axis) - np.take(sums, range(count), axis)
        power = np.maximum(power / width, 0)
    return power


def _read(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows at places between them."""
    low = np.minimum(at.astype(int), len(rows) - 2)
    share = (at - low)[:, None]
    return (1 - share) * rows[low] + share * rows[low + 1]
