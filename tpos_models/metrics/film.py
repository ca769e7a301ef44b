"""How well a film follows its sound: the measures of the field, each with its source.

| measure         | what                                                              | after                    |
|-----------------|-------------------------------------------------------------------|--------------------------|
| `av_align`      | onsets and peaks of motion matched within a frame, IoU, 0..1      | Yariv et al., AAAI 2024  |
| `correlation`   | Pearson's r of loudness and picture change at their lag           | Knapp & Carter 1976      |
| `warp_error`    | squared difference left after following the motion, lower is calm | Lai et al., ECCV 2018    |
| `clip.direction`| from quiet to loud frames, towards what was heard, -1..1          | Gal et al., TOG 2022     |
| `clip.score`    | frames and what was asked for and heard, 0..100                   | Hessel et al., EMNLP 2021|
| `clip.recall`   | sound segments whose own picture is the nearest, 0..1             | Girdhar et al., CVPR 2023|
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tpos_models.errors import InputError
from tpos_models.metrics.clip import Clip, ClipMeasures, Heard, look
from tpos_models.metrics.lag import EARLIEST_S, MAX_LAG_S, find_lag, lagged_correlation
from tpos_models.metrics.motion import PictureMeasures

LEAST_FRAMES = 4
CLIP_HZ = 4.0
"""CLIP looks at so many frames a second."""
LEAST_PEAK = 0.1
"""Peaks of motion under this share of the largest are compression noise (the original counts all)."""

_ONSET_HOP, _ONSET_FFT = 512, 2048


@dataclass(frozen=True, eq=False)
class Curves:
    """What the measures were taken from, one value per frame except `onsets_s` and `peaks_s` (seconds)."""

    loudness: np.ndarray
    change: np.ndarray
    motion: np.ndarray
    onsets_s: np.ndarray
    peaks_s: np.ndarray
    correlations: np.ndarray
    """Per lag, from -MAX_LAG_S to MAX_LAG_S in frames."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The measures of one film. NaN where there is nothing to measure.

    `lag_s` > 0: the picture follows the sound; where that repeats itself, lags `lag_alias_s` further fit as well.
    """

    fps: float
    frames: int
    av_align: float
    correlation: float
    lag_s: float
    lag_alias_s: float
    warp_error: float
    clip: ClipMeasures | None
    curves: Curves

    def rows(self) -> list[Row]:
        """The table, best read beside the module's; without what could not be measured."""
        found = f"{len(self.curves.onsets_s)} onsets, {len(self.curves.peaks_s)} peaks of motion, {self.fps:g} fps"
        rows = [
            Row("AV-Align", f"{self.av_align:.3f}", f"{found}; IoU within one frame, 1 = all meet"),
            Row("correlation", f"{self.correlation:+.3f}", "loudness and picture change at the lag"),
            Row("lag", *self._lag()),
            Row("warp error", f"{1000 * self.warp_error:.3f}e-3", "squared, RGB 0..1; lower is calmer"),
        ]
        if self.clip is not None:
            chance = f"sounds to their pictures by the words heard; chance {self.clip.chance:.3f}"
            rows += [
                Row("CLIP score", f"{self.clip.score:.2f}", "100 cos of frames and words, mean"),
                Row("CLIP direction", f"{self.clip.direction:+.3f}", "quiet to loud frames, towards the heard"),
                Row("recall@1", f"{self.clip.recall:.3f}", chance),
            ]
        return [row for row in rows if "nan" not in row.value]

    def _lag(self) -> tuple[str, str]:
        if np.isnan(self.lag_s):
            return "none", f"no lag from {1000 * EARLIEST_S:+.0f} to {1000 * MAX_LAG_S:+.0f} ms stands out"
        also = (
            "" if np.isnan(self.lag_alias_s) else f"; the sound repeats, {1000 * self.lag_alias_s:.0f} ms off fits too"
        )
        return f"{1000 * self.lag_s:+.0f} ms", f"picture after sound where positive{also}"


def evaluate(
    frames: Iterable[np.ndarray],
    fps: float,
    samples: np.ndarray,
    sample_rate: int,
    clip: Clip | None = None,
    prompt: str = "",
    heard: str = "",
    segments: Sequence[Heard] = (),
) -> Evaluation:
    """Measure a film: RGB uint8 frames (H, W, 3) at `fps`, and its sound, mono float (n,), both from time 0.

    With `clip` it is looked at as well; `heard` is a phrase for what sounds, `segments` what does when. Raises
    `InputError` under 4 frames.
    """
    pictures, seen, seen_at = PictureMeasures(), [], []
    for i, frame in enumerate(frames):
        pictures.add(frame)
        if clip is not None and i % max(1, round(fps / CLIP_HZ)) == 0:
            seen.append(clip.images([frame]))
            seen_at.append(i)
    count = pictures.count
    if count < LEAST_FRAMES or not fps > 0:
        raise InputError(
            f"{count} frames at {fps:g} fps cannot be evaluated; at least {LEAST_FRAMES} would be accepted"
        )
    change, motion, error = pictures.measures()
    loudness = loudness_per_frame(samples, sample_rate, fps, count)
    onsets, peaks = onset_times(samples, sample_rate), peak_times(motion, fps)
    onsets = onsets[onsets < count / fps]
    correlations = lagged_correlation(loudness, change, max(1, min(count - 3, round(MAX_LAG_S * fps))))
    lag = find_lag(correlations, loudness, fps)
    return Evaluation(
        fps=fps,
        frames=count,
        av_align=av_align(onsets, peaks, fps),
        correlation=lag.correlation,
        lag_s=lag.seconds,
        lag_alias_s=lag.alias_s,
        warp_error=error,
        clip=look(clip, torch.cat(seen), np.array(seen_at) / fps, loudness[seen_at], prompt, heard, segments)
        if clip
        else None,
        curves=Curves(loudness, change, motion, onsets, peaks, correlations),
    )


def loudness_per_frame(samples: np.ndarray, sample_rate: int, fps: float, frames: int) -> np.ndarray:
    """RMS (frames,) of the sound under each frame, 0 after its end."""
    edges = np.round(np.arange(frames + 1) * sample_rate / fps).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.nan_to_num(samples).astype(np.float64) ** 2)])
    edges = np.minimum(edges, len(samples))
    return np.sqrt(np.maximum(0, power[edges[1:]] - power[edges[:-1]]) / np.maximum(1, np.diff(edges)))


def onset_times(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Onsets in seconds: peaks of spectral flux (Dixon 2006), picked as librosa does by default.

    A peak is the largest within 30 ms, stands 0.07 of the range above the mean within 100 ms, 30 ms after the last.
    """
    flux = _spectral_flux(samples)
    if flux.size < 3 or flux.max() <= 1e-9:
        return np.zeros(0)
    flux = flux / flux.max()
    hop_s = _ONSET_HOP / sample_rate
    near, around = max(1, round(0.03 / hop_s)), max(1, round(0.1 / hop_s))
    onsets: list[int] = []
    for i, value in enumerate(flux):
        local = flux[max(0, i - around) : i + around + 1]
        is_peak = value >= flux[max(0, i - near) : i + near + 1].max() and value >= local.mean() + 0.07
        if is_peak and (not onsets or i - onsets[-1] > near):
            onsets.append(i)
    return np.array(onsets) * hop_s


def _spectral_flux(samples: np.ndarray) -> np.ndarray:
    """Summed rise of the log spectrum per hop; hop k is centred on sample k * hop."""
    padded = np.pad(np.nan_to_num(samples).astype(np.float32), _ONSET_FFT // 2)
    if len(padded) < _ONSET_FFT + _ONSET_HOP:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _ONSET_FFT)[::_ONSET_HOP]
    flux, block = [np.zeros(1)], 4096
    for at in range(0, len(windows) - 1, block):
        shape = np.fft.rfft(windows[at : at + block + 1] * np.hanning(_ONSET_FFT), axis=1)
        flux.append(np.maximum(0, np.diff(np.log1p(100 * np.abs(shape) / _ONSET_FFT), axis=0)).sum(1))
    return np.concatenate(flux)


def peak_times(motion: np.ndarray, fps: float) -> np.ndarray:
    """Local maxima of the motion, in seconds."""
    inner = motion[1:-1]
    is_peak = (inner > motion[:-2]) & (inner >= motion[2:]) & (inner > LEAST_PEAK * motion.max())
    return (np.flatnonzero(is_peak) + 1) / fps


def av_align(onsets_s: np.ndarray, peaks_s: np.ndarray, fps: float) -> float:
    """Intersection over union of two sets of times that meet within one frame; NaN when both are empty."""
    if not len(onsets_s) + len(peaks_s):
        return float("nan")
    if not len(onsets_s) or not len(peaks_s):
        return 0.0
    near = np.abs(onsets_s[:, None] - peaks_s[None]) <= 1 / fps + 1e-9
    common = (near.any(1).sum() + near.any(0).sum()) / 2
    return float(common / (len(onsets_s) + len(peaks_s) - common))
