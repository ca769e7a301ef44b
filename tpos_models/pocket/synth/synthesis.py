"""The bricks sounds are made of: shaped noise, sparse clicks, ringing bodies, glides, notes and rooms.

Everything is vectorised numpy, filtered in the frequency domain, and draws its randomness from one generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Signal = np.ndarray


def _fast_length(n: int) -> int:
    """The next length that the FFT likes: 2^k or 3 * 2^k."""
    power = 1 << max(4, int(n - 1).bit_length())
    return 3 * power // 4 if 3 * power // 4 >= n else power


def unit(x: Signal) -> Signal:
    """Scale to RMS 1; silence stays silence."""
    return x / max(float(np.sqrt(np.mean(x**2))), 1e-9)


def hump(n: int, rise: float) -> Signal:
    """A swell of n samples: a smooth rise over the fraction `rise`, then a smooth fall."""
    x = np.linspace(0, 1, n, endpoint=False)
    return np.sin(np.pi / 2 * np.minimum(x / rise, (1 - x) / (1 - rise))) ** 2


@dataclass(frozen=True)
class Studio:
    """A length, a sample rate and a generator: what every brick needs. One studio belongs to one call."""

    rng: np.random.Generator
    n: int
    sample_rate: int

    @property
    def seconds(self) -> float:
        return self.n / self.sample_rate

    @property
    def time_s(self) -> Signal:
        return np.arange(self.n) / self.sample_rate

    def short(self, seconds: float) -> Studio:
        """The same generator, another length."""
        return Studio(self.rng, max(2, round(seconds * self.sample_rate)), self.sample_rate)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def octaves(self, low: float, high: float) -> float:
        """A random value, uniform in its logarithm: for frequencies, rates and decays."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def noise(self, low_hz: float, high_hz: float, tilt_db: float = 0.0) -> Signal:
        """Gaussian noise of RMS 1 between two frequencies (24 dB/octave skirts), tilted by `tilt_db` per octave."""
        size = _fast_length(self.n)
        hz = np.fft.rfftfreq(size, 1 / self.sample_rate)
        hz[0] = hz[1] / 2
        gain = (hz / 1000) ** (tilt_db / 6.02) / (1 + (low_hz / hz) ** 4) / (1 + (hz / high_hz) ** 4)
        spectrum = gain * (self.rng.standard_normal(hz.size) + 1j * self.rng.standard_normal(hz.size))
        return unit(np.fft.irfft(spectrum, size)[: self.n])

    def drift(self, rate_hz: float, low: float = 0.0, high: float = 1.0) -> Signal:
        """A smooth random curve between two values that turns `rate_hz` times a second."""
        knots = self.rng.uniform(low, high, int(self.seconds * rate_hz) + 3)
        at = self.time_s * rate_hz + self.rng.uniform()
        i = at.astype(int)
        blend = (1 - np.cos(np.pi * (at - i))) / 2
        return knots[i] * (1 - blend) + knots[i + 1] * blend

    def clicks(self, per_s: float, spread: float = 0.8, density: Signal | None = None) -> Signal:
        """A Poisson train of one-sample clicks, log-normal in size; `density` 0..1 thins it over time."""
        at = self.rng.integers(0, self.n, self.rng.poisson(per_s * self.seconds))
        if density is not None:
            at = at[self.rng.uniform(size=at.size) < density[at]]
        sizes = np.exp(np.minimum(spread * self.rng.standard_normal(at.size), 2.5))
        return np.bincount(at, sizes * self.rng.choice((-1.0, 1.0), at.size), self.n)

    def ring(self, x: Signal, kernel: Signal) -> Signal:
        """x as heard through a body that answers a click with `kernel`."""
        size = _fast_length(x.size + kernel.size)
        return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(kernel, size), size)[: x.size]

    def body(self, hz: Sequence[float], decay_s: Sequence[float], rise: float = 0.0) -> Signal:
        """Damped modes that fall by 1/e in `decay_s`; `rise` lifts the pitch as bubbles do while they close."""
        t = self.short(5 * max(decay_s)).time_s
        parts = [
            np.exp(-t / d) * np.sin(2 * np.pi * f * t * (1 + rise * t / d)) for f, d in zip(hz, decay_s, strict=True)
        ]
        return unit(np.sum(parts, axis=0)) * 0.1

    def puff(self, low_hz: float, high_hz: float, decay_s: float) -> Signal:
        """A burst of noise that falls by 1/e in `decay_s`."""
        short = self.short(5 * decay_s)
        return short.noise(low_hz, high_hz) * np.exp(-short.time_s / decay_s)

    def glide(self, hz: Signal | float) -> Signal:
        """A sine whose frequency follows a curve."""
        curve = np.broadcast_to(np.asarray(hz, dtype=float), self.n)
        return np.sin(2 * np.pi * (np.cumsum(curve) / self.sample_rate + self.rng.uniform()))

    def voice(self, hz: Signal | float, harmonics: int, tilt: float = 1.0) -> Signal:
        """Harmonics 1..n of a gliding pitch, each 1/k**tilt, those above hearing left out."""
        curve = np.broadcast_to(np.asarray(hz, dtype=float), self.n)
        phase = 2 * np.pi * (np.cumsum(curve) / self.sample_rate + self.rng.uniform())
        top = min(harmonics, int(0.45 * self.sample_rate / float(curve.max())))
        return np.sum([np.sin(k * phase) / k**tilt for k in range(1, top + 1)], axis=0)

    def place(self, events: Sequence[tuple[float, Signal]]) -> Signal:
        """Mix events (start in seconds, signal) onto silence; what runs over the end is cut."""
        out = np.zeros(self.n)
        for start_s, x in events:
            first = round(start_s * self.sample_rate)
            end = min(self.n, first + x.size)
            if 0 <= first < end:
                out[first:end] += x[: end - first]
        return out

    def times(self, every_s: float, jitter: float, first_s: float = 0.15) -> Signal:
        """Start times about `every_s` apart, the first within `first_s`."""
        steps = every_s * (1 + jitter * self.rng.uniform(-1, 1, int(self.seconds / every_s / (1 - jitter)) + 2))
        at = self.rng.uniform(0, first_s) + np.concatenate([[0.0], np.cumsum(steps)])
        return at[at < self.seconds]

    def room(self, x: Signal, seconds: float, wet: float, high_hz: float = 6000.0) -> Signal:
        """Add the diffuse tail of a room that takes `seconds` to fall by 60 dB."""
        short = self.short(seconds)
        tail = short.noise(100, high_hz) * np.exp(-6.9 * short.time_s / seconds)
        return x + wet * self.ring(x, tail / np.sqrt(np.sum(tail**2)))

    def filtered(self, x: Signal, low_hz: float, high_hz: float) -> Signal:
        """Band-pass with 12 dB/octave skirts."""
        size = _fast_length(x.size)
        hz = np.maximum(np.fft.rfftfreq(size, 1 / self.sample_rate), 1e-3)
        gain = 1 / (1 + (low_hz / hz) ** 2) / (1 + (hz / high_hz) ** 2)
        return np.fft.irfft(np.fft.rfft(x, size) * gain, size)[: x.size]


def mix(*parts: tuple[float, Signal]) -> Signal:
    """Sum of parts, each brought to RMS 1 and then to its level in dB."""
    return np.sum([10 ** (db / 20) * unit(x) for db, x in parts], axis=0)


def chord(st: Studio, root_hz: float, semitones: Sequence[int], bright: int) -> Signal:
    """A held chord of detuned pairs with slow beating."""
    notes = [root_hz * 2 ** (k / 12) for k in semitones]
    return np.sum(
        [st.voice(hz * (1 + d), bright, 1.4) for hz in notes for d in (-0.003, st.between(0.001, 0.004))], axis=0
    )
