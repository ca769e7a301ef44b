"""What the beat network is shown of a hop: log powers of mel bands, and how much each has risen."""

from __future__ import annotations

import numpy as np

SAMPLE_RATE, N_FFT, HOP = 44_100, 1024, 512
HOP_S = HOP / SAMPLE_RATE
BANDS = 40
FEATURES = 2 * BANDS
_EDGES_HZ = (30.0, 16_000.0)
_LOG_GAIN = 500.0
_FLOOR, _SPREAD = 0.6, 2.0
"""About the mean and the inverse deviation of music's log powers: the network sees numbers around 0 of size 1."""


def filter_bank() -> np.ndarray:
    """(BANDS, 513) float32: triangles evenly spaced on the mel scale, at least a bin wide, rows of sum 1."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in _EDGES_HZ)
    mel = np.linspace(low, high, BANDS + 2)
    centres = 700 * (10 ** (mel / 2595) - 1) * N_FFT / SAMPLE_RATE
    left, middle, right = (centres[i : i + BANDS, None] for i in range(3))
    bins = np.arange(N_FFT // 2 + 1)[None]
    rising, falling = (bins - left) / np.maximum(middle - left, 1), (right - bins) / np.maximum(right - middle, 1)
    rows = np.minimum(rising, falling).clip(0)
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)


def band_powers(samples: np.ndarray) -> np.ndarray:
    """(n,) samples to (n // HOP, BANDS) mean power of each band in each hop's window, as a live stream would give it.

    A hop's window are the newest N_FFT samples at its end; a full-scale sine peaks at 0.25.
    """
    hops = len(samples) // HOP
    padded = np.concatenate([np.zeros(N_FFT - HOP, np.float32), samples[: hops * HOP].astype(np.float32)])
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32) * np.float32(2 / N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    bank, powers = filter_bank().T, np.empty((hops, BANDS), np.float32)
    for start in range(0, hops, 1024):
        spectra = np.fft.rfft(frames[start : start + 1024] * window)
        powers[start : start + 1024] = (spectra.real**2 + spectra.imag**2).astype(np.float32) @ bank
    return powers


def log_powers(powers: np.ndarray) -> np.ndarray:
    """Band powers of any shape to numbers about 0; silence is -1.2."""
    return (np.log10(1 + _LOG_GAIN * np.sqrt(powers)) - np.float32(_FLOOR)) * np.float32(_SPREAD)
