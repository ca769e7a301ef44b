"""How long after a sound its picture moves: the lag of two curves, told apart from the beat before and the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_LAG_S = 0.5
"""Correlations are taken up to here, in both directions."""
EARLIEST_S = -0.25
"""Pictures follow sound; a film whose frames lie around their sound may be this early."""
LEAST_ERRORS = 3.0
"""A peak under so many standard errors of no correlation, 1 / sqrt(frames) each, is noise."""
LEAST_PERIOD_S, LEAST_PERIODICITY = 0.2, 0.3
"""Sound repeats where its loudness correlates this well with itself; 0.2 s are 300 BPM."""
LEAST_LIKENESS = 0.8
"""A peak this high beside the highest is as good: beats fall between frames, which alone costs as much."""


@dataclass(frozen=True)
class Lag:
    """Where a curve of correlations peaks, and what else it may mean."""

    seconds: float
    """Picture after sound where positive; NaN where no lag between EARLIEST_S and MAX_LAG_S stands out."""
    correlation: float
    """Pearson's r there; NaN where loudness or picture do not vary."""
    alias_s: float
    """Lags this far off fit as well, because the sound repeats itself; NaN where none does."""


def lagged_correlation(cause: np.ndarray, effect: np.ndarray, most: int) -> np.ndarray:
    """Pearson's r (2 most + 1,) of cause(t) and effect(t + lag), lags -most..most; NaN where one does not vary."""
    correlations = []
    for lag in range(-most, most + 1):
        a = cause[max(0, -lag) : len(cause) - max(0, lag)]
        b = effect[max(0, lag) : len(effect) - max(0, -lag)]
        vary = len(a) > 2 and a.std() > 1e-12 and b.std() > 1e-12
        correlations.append(float(np.corrcoef(a, b)[0, 1]) if vary else float("nan"))
    return np.array(correlations)


def find_lag(correlations: np.ndarray, loudness: np.ndarray, fps: float) -> Lag:
    """The lag of `lagged_correlation` of loudness (frames,) and picture, between EARLIEST_S and MAX_LAG_S.

    It is the highest peak. Where the sound has a period, peaks a number of periods away fit as well unless they are
    lower by two standard errors (Fisher 1915; a period counts as one observation) and by a fifth. Of those that fit,
    it is the one from a quarter of a period early to three quarters late.
    """
    half = len(correlations) // 2
    lags = np.arange(-half, half + 1)
    r = np.nan_to_num(correlations, nan=-1.0)
    sensible = lags >= EARLIEST_S * fps - 1e-9
    inner, least = r[1:-1], LEAST_ERRORS / np.sqrt(len(loudness))
    peaks = np.flatnonzero((inner >= r[:-2]) & (inner >= r[2:]) & (inner > least) & sensible[1:-1]) + 1
    if not len(peaks):
        return Lag(float("nan"), float(correlations[sensible].max()), float("nan"))
    best = int(peaks[r[peaks].argmax()])
    period = _period(loudness, fps)
    fitting = _aliases(r, best, period, len(loudness)) if period else {}
    if not fitting:
        return Lag(float(lags[best]) / fps, float(correlations[best]), float("nan"))
    apart = period * min(abs(k) for k in fitting)
    possible = [at for at in (best, *fitting.values()) if sensible[at]]
    chosen = min(possible, key=lambda at: abs(lags[at] - apart / 4))
    return Lag(float(lags[chosen]) / fps, float(correlations[chosen]), apart / fps)


def _period(loudness: np.ndarray, fps: float) -> float:
    """The shortest time in frames after which loudness repeats; 0 where it does not."""
    most = min(len(loudness) // 2, round(2 * MAX_LAG_S * fps))
    smooth = np.convolve(loudness, (0.25, 0.5, 0.25), "same")  # beats fall between frames
    r = np.nan_to_num(lagged_correlation(smooth, smooth, most)[most:])
    inner = r[1:-1]
    peaks = np.flatnonzero((inner >= r[:-2]) & (inner > r[2:]) & (inner >= LEAST_PERIODICITY)) + 1
    peaks = peaks[peaks >= LEAST_PERIOD_S * fps]
    if not len(peaks):
        return 0.0
    at = int(peaks[r[peaks] >= r[peaks].max() / 2][0])
    bend = r[at - 1] - 2 * r[at] + r[at + 1]
    return float(at + (0.5 * (r[at - 1] - r[at + 1]) / bend if bend else 0.0))


def _aliases(r: np.ndarray, best: int, period: float, frames: int) -> dict[int, int]:
    """Where, k periods from `best`, correlations are as good within what chance, or a beat between frames, allows."""
    tolerated, z = 2 * np.sqrt(2 / max(1.0, frames / period - 3)), np.arctanh(np.clip(r, -0.999, 0.999))
    blurred = np.convolve(np.pad(r, 1, "edge"), (0.25, 0.5, 0.25), "valid")
    as_good = (z >= z[best] - tolerated) | (blurred >= LEAST_LIKENESS * blurred[best])
    found, most = {}, int(len(r) / period)
    for k in (k for k in range(-most, most + 1) if k):
        centre = round(best + k * period)
        near = [at for at in range(centre - 1, centre + 2) if 0 <= at < len(r) and as_good[at] and r[at] > 0]
        if near:
            found[k] = max(near, key=lambda at: r[at])
    return found
