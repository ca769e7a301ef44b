"""What the section network is shown, four times a second: levels and onsets of eight bands beside what they were.

Every number is a difference in dB, so that neither the input's level nor its tone matters.
"""

from __future__ import annotations

import math

import numpy as np

SAMPLE_RATE, N_FFT, HOP = 44_100, 1024, 512
TICK_HOPS = 22
TICK_S = TICK_HOPS * HOP / SAMPLE_RATE
EDGES_HZ = (20.0, 110.0, 240.0, 500.0, 1200.0, 3000.0, 6000.0, 10_000.0, 16_000.0)
BANDS = len(EDGES_HZ) - 1
LEVELS, ONSETS = BANDS + 1, 3
FEATURES = 4 * (LEVELS + ONSETS)
_STARTS = np.round(np.array(EDGES_HZ) * N_FFT / SAMPLE_RATE).astype(int).clip(1)
_GROUPS = (0, 2, 5)
"""First bands of lows, middles and highs, whose onsets are counted apart."""
_FLOOR = 1e-8
_MOST_RISE_DB, _LEAST_RISE_DB = 20.0, 0.1
_SPAN_DB = 30.0
_NOW, _BEFORE, _LONG, _FULL_UP, _FULL_DOWN = (1 - math.exp(-TICK_S / tau_s) for tau_s in (0.5, 3.0, 12.0, 3.0, 40.0))


def band_powers(magnitudes: np.ndarray) -> np.ndarray:
    """(..., 513) magnitudes to (..., BANDS) powers; a full-scale sine has 0.25 and what its window spreads."""
    return np.add.reduceat(np.square(magnitudes[..., : _STARTS[-1]]), _STARTS[:-1], axis=-1)


def tick(powers: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(..., hops, BANDS) powers, and (..., BANDS) of the hop before each, to (..., LEVELS + ONSETS) dB.

    The levels are those of the bands and of their sum; the onsets, in each of three groups of bands, the mean rise from
    hop to hop, in dB of dB.
    """
    mean = powers.mean(-2)
    level = 10 * np.log10(np.concatenate([mean, mean.sum(-1, keepdims=True)], axis=-1) + _FLOOR)
    log = 10 * np.log10(np.concatenate([before[..., None, :], powers], axis=-2) + _FLOOR)
    rise = np.clip(np.diff(log, axis=-2), 0, _MOST_RISE_DB).mean(-2)
    parts = np.add.reduceat(rise, _GROUPS, axis=-1) / np.diff([*_GROUPS, BANDS])
    return np.concatenate([level, 20 * np.log10(parts + _LEAST_RISE_DB)], axis=-1)


class Comparison:
    """One stream's ticks beside its own past."""

    def __init__(self) -> None:
        self._means = np.zeros((3, LEVELS + ONSETS))
        self._full = np.zeros(LEVELS + ONSETS)
        self._count = 0

    def push(self, newest: np.ndarray) -> np.ndarray:
        """(LEVELS + ONSETS,) of one tick to (FEATURES,) about -1..1.

        The newest half second beside the fullest of the last minute, beside the last seconds, and those beside the last
        quarter minute; the newest tick beside that half second. At a stream's start there is no past: whatever comes is
        the reference.
        """
        self._count += 1
        for mean, rate in zip(self._means, (_NOW, _BEFORE, _LONG), strict=True):
            mean += (newest - mean) * max(rate, 1 / self._count)
        rates = np.where(newest > self._full, _FULL_UP, _FULL_DOWN)
        self._full += (newest - self._full) * np.maximum(rates, 1 / self._count if self._count < 8 else 0)
        now, before, long = self._means
        compared = np.concatenate([now - self._full, now - before, before - long, newest - now])
        return (np.clip(compared, -_SPAN_DB, _SPAN_DB) * (2 / _SPAN_DB)).astype(np.float32)
