"""What one hop's spectrum says: four bands, and how strongly something new began."""

from __future__ import annotations

import numpy as np

from engine.audio import HOP, HOP_S, SAMPLE_RATE

N_FFT = 2 * HOP
BAND_EDGES_HZ = (20.0, 150.0, 1500.0, 6000.0, 16000.0)

_FLUX_BANDS = 28
_LOG_GAIN = 300.0
_REFRACTORY_S = 0.09
_MEMORY = round(1.2 / HOP_S)


class Spectrum:
    """Magnitudes of the newest 1024 samples, Hann window."""

    def __init__(self) -> None:
        self._window = np.hanning(N_FFT + 1)[:-1].astype(np.float32) * np.float32(2 / N_FFT)
        self.samples = np.zeros(N_FFT, np.float32)
        """The newest, another array after every `push`."""

    def push(self, hop: np.ndarray) -> np.ndarray:
        """HOP new samples in, (513,) magnitudes out; a full-scale sine peaks at 0.5."""
        self.samples = np.concatenate([self.samples[HOP:], hop])
        return np.abs(np.fft.rfft(self.samples * self._window))


class Bands:
    """Four band levels, each 0..1 between the quiet and the loud of its own recent past.

    The loud edge falls 1.5 dB/s, the quiet one rises as slowly, and they stay 18 to 30 dB apart, so that noise does
    not flicker over the whole range and a neighbour's leakage does not count.
    """

    _DRIFT_DB = 1.5 * HOP_S
    _LEAST_SPAN_DB, _MOST_SPAN_DB, _FLOOR_DB = 18.0, 30.0, -78.0
    _RELEASE = float(np.exp(-HOP_S / 0.1))

    def __init__(self) -> None:
        bins = np.round(np.array(BAND_EDGES_HZ) * N_FFT / SAMPLE_RATE).astype(int).clip(1)
        self._starts, self._end = bins[:-1], bins[-1]
        self._loud_db = np.full(4, -30.0)
        self._quiet_db = np.full(4, -70.0)
        self._levels = np.zeros(4)

    def push(self, magnitudes: np.ndarray) -> tuple[float, float, float, float]:
        """(513,) magnitudes of one hop to bass, mid, high-mid, high."""
        power = np.add.reduceat(np.square(magnitudes[: self._end]), self._starts)
        level_db = np.maximum(10 * np.log10(power + 1e-10), self._FLOOR_DB)
        self._loud_db = np.maximum(level_db, self._loud_db - self._DRIFT_DB)
        self._quiet_db = np.minimum(level_db, self._quiet_db + self._DRIFT_DB)
        span = np.clip(self._loud_db - self._quiet_db, self._LEAST_SPAN_DB, self._MOST_SPAN_DB)
        bottom = np.maximum(self._loud_db - span, self._FLOOR_DB)
        self._levels = np.maximum(np.clip((level_db - bottom) / span, 0, 1), self._levels * self._RELEASE)
        bass, mid, high_mid, high = self._levels.tolist()
        return bass, mid, high_mid, high


class Onsets:
    """Spectral flux over log-spaced bands against the last 1.2 s.

    After each `push`: `flux` (raw, for the tempo), `strength` 0..1 with a 150 ms tail, `hit`. Flux compares with the
    loudest of the neighbouring bands one hop ago, so that vibrato and glides are not onsets (Böck & Widmer,
    "Maximum filter vibrato suppression for onset detection", DAFx 2013).
    """

    _RELEASE = float(np.exp(-HOP_S / 0.15))
    _PEAK_DECAY = float(np.exp(-HOP_S / 10.0))
    _LEAST = 0.05
    """Flux that counts as an onset in silence."""

    def __init__(self) -> None:
        self.flux = self.strength = 0.0
        self.hit = False
        self._bank = _filter_bank()
        self._before = np.zeros(_FLUX_BANDS + 2, np.float32)
        self._past = np.zeros(_MEMORY, np.float32)
        self._at = 0
        self._peak = 4 * self._LEAST
        self._since_hit_s = _REFRACTORY_S

    def push(self, magnitudes: np.ndarray) -> None:
        """(513,) magnitudes of one hop."""
        before = self.flux
        bands = np.log10(1 + _LOG_GAIN * (self._bank @ magnitudes))
        rise = bands - np.maximum(np.maximum(self._before[:-2], self._before[1:-1]), self._before[2:])
        self._before[1:-1] = bands
        self.flux = float(np.maximum(rise, 0).mean())
        threshold = self._threshold()
        self._past[self._at] = self.flux
        self._at = (self._at + 1) % _MEMORY
        self._decide(threshold, rising=self.flux > before)

    def _threshold(self) -> float:
        """What the last 1.2 s would lead one to expect, and clearly more."""
        return float(self._past.mean() + 1.7 * self._past.std()) + self._LEAST

    def _decide(self, threshold: float, rising: bool) -> None:
        self._since_hit_s += HOP_S
        self._peak = max(self.flux, self._peak * self._PEAK_DECAY, 4 * self._LEAST)
        self.hit = rising and self.flux > threshold and self._since_hit_s >= _REFRACTORY_S
        if self.hit:
            self._since_hit_s = 0.0
        fresh = min(1.0, self.flux / self._peak) if self.flux > threshold else 0.0
        self.strength = max(fresh, self.strength * self._RELEASE)


def _filter_bank() -> np.ndarray:
    """(28, 513) rows of sum 1: triangles from 30 Hz to 16 kHz, evenly spaced on the mel scale, at least a bin wide."""
    mel = np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 16000 / 700), _FLUX_BANDS + 2)
    centres = 700 * (10 ** (mel / 2595) - 1) * N_FFT / SAMPLE_RATE
    bins = np.arange(N_FFT // 2 + 1)[None]
    low, mid, high = (centres[i : i + _FLUX_BANDS, None] for i in range(3))
    rows = np.minimum((bins - low) / np.maximum(mid - low, 1), (high - bins) / np.maximum(high - mid, 1)).clip(0)
    return (rows / np.maximum(rows.sum(1, keepdims=True), 1e-6)).astype(np.float32)
