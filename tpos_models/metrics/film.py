"""How well a film follows its sound: the measures of the field, each with its source.

| measure         | what                                                              | after                    |
|-----------------|-------------------------------------------------------------------|--------------------------|
| `av_align`      | onsets and peaks of motion matched within a frame, IoU, 0..1      | Yariv et al., AAAI 2024  |
| `correlation`   | Pearson's r of loudness and picture change at the best lag        | Knapp & Carter 1976      |
| `warp_error`    | squared difference left after following the motion, lower is calm | Lai et al., ECCV 2018    |
| `clip_direction`| from quiet to loud frames, towards what was heard, -1..1          | Gal et al., TOG 2022     |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from tpos_models.errors import InputError, ModelError
from tpos_models.metrics.optical_flow import optical_flow, warp

SIDE_PX = 128
"""Pictures are measured at this longer side."""
MAX_LAG_S = 0.5
LEAST_FRAMES = 4
BATCH = 16
"""Pairs of frames measured at once."""
CLIP_HZ = 4.0
"""CLIP looks at so many frames a second."""
LEAST_PEAK = 0.1
"""Peaks of motion under this share of the largest are compression noise (the original counts all)."""

_ONSET_HOP, _ONSET_FFT = 512, 2048
_OCCLUDED = (0.01, 0.5)  # Ruder et al. 2016, forward-backward check


class Clip(Protocol):
    """Pictures and phrases in one joint space, unit vectors (n, size)."""

    def images(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """RGB uint8 (H, W, 3)."""
        ...

    def texts(self, phrases: Sequence[str]) -> torch.Tensor:
        """Phrases of any length."""
        ...


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
    """The measures of one film. NaN where there is nothing to measure; `lag_s` > 0: the picture follows the sound."""

    fps: float
    frames: int
    av_align: float
    correlation: float
    lag_s: float
    warp_error: float
    clip_direction: float | None
    curves: Curves

    def rows(self) -> list[Row]:
        """The table, best read beside the module's."""
        found = f"{len(self.curves.onsets_s)} onsets, {len(self.curves.peaks_s)} peaks of motion, {self.fps:g} fps"
        rows = [
            Row("AV-Align", f"{self.av_align:.3f}", f"{found}; IoU within one frame, 1 = all meet"),
            Row("correlation", f"{self.correlation:+.3f}", "loudness and picture change at the best lag"),
            Row("lag", f"{1000 * self.lag_s:+.0f} ms", "picture after sound where positive"),
            Row("warp error", f"{1000 * self.warp_error:.3f}e-3", "squared, RGB 0..1; lower is calmer"),
        ]
        if self.clip_direction is not None:
            rows.append(Row("CLIP direction", f"{self.clip_direction:+.3f}", "quiet to loud frames, towards the heard"))
        return rows


def evaluate(
    frames: Iterable[np.ndarray],
    fps: float,
    samples: np.ndarray,
    sample_rate: int,
    clip: Clip | None = None,
    prompt: str = "",
    heard: str = "",
) -> Evaluation:
    """Measure a film: RGB uint8 frames (H, W, 3) at `fps`, and its sound, mono float (n,), both from time 0.

    With `clip` and `heard`, a phrase for what sounds, the CLIP direction from `prompt` to `prompt`, `heard` is
    measured between the quietest and the loudest quarter of the frames. Raises `InputError` under 4 frames.
    """
    pictures, seen, seen_at = Pictures(), [], []
    for i, frame in enumerate(frames):
        pictures.add(frame)
        if clip is not None and heard and i % max(1, round(fps / CLIP_HZ)) == 0:
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
    best = int(np.nanargmax(correlations)) if np.isfinite(correlations).any() else len(correlations) // 2
    return Evaluation(
        fps=fps,
        frames=count,
        av_align=av_align(onsets, peaks, fps),
        correlation=float(correlations[best]),
        lag_s=(best - len(correlations) // 2) / fps,
        warp_error=error,
        clip_direction=clip_direction(clip, torch.cat(seen), loudness[seen_at], prompt, heard)
        if clip and seen
        else None,
        curves=Curves(loudness, change, motion, onsets, peaks, correlations),
    )


def _shrunk(frame: np.ndarray) -> torch.Tensor:
    """(3, h, w) uint8 with the longer side at most SIDE_PX."""
    image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    scale = min(1.0, SIDE_PX / max(image.shape[-2:]))
    size = [max(16, round(side * scale)) for side in image.shape[-2:]]
    return F.interpolate(image, size, mode="area")[0].round().to(torch.uint8)


def loudness_per_frame(samples: np.ndarray, sample_rate: int, fps: float, frames: int) -> np.ndarray:
    """RMS (frames,) of the sound under each frame, 0 after its end."""
    edges = np.round(np.arange(frames + 1) * sample_rate / fps).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.nan_to_num(samples).astype(np.float64) ** 2)])
    edges = np.minimum(edges, len(samples))
    return np.sqrt(np.maximum(0, power[edges[1:]] - power[edges[:-1]]) / np.maximum(1, np.diff(edges)))


class Pictures:
    """The measures of a film's pictures, taken as they come: an hour needs no more memory than a minute."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[torch.Tensor] = []
        self._change, self._motion = [0.0], [0.0]
        self._squared = self._visible = 0.0

    def add(self, frame: np.ndarray) -> None:
        """The next frame, RGB uint8 (H, W, 3)."""
        self.count += 1
        self._waiting.append(_shrunk(frame))
        if len(self._waiting) > BATCH:
            self._measure()

    def measures(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Picture change (frames,), motion (frames,) and the warp error, of at least two frames.

        Change is the mean absolute difference to the frame before, 0..1; motion the mean length of the optical flow
        into each frame in px of the small picture; both 0 for the first. The error is the mean squared difference
        between a frame and its successor followed back along the flow, where the backward flow agrees (elsewhere
        something was covered).
        """
        self._measure()
        return np.array(self._change), np.array(self._motion), self._squared / max(1.0, self._visible)

    def _measure(self) -> None:
        if len(self._waiting) < 2:
            return
        pictures = torch.stack(self._waiting).float() / 255
        self._waiting = self._waiting[-1:]
        a, b = pictures[:-1], pictures[1:]
        self._change += (b - a).abs().mean((1, 2, 3)).tolist()
        motion, squared, visible = follow(a, b)
        self._motion += motion.tolist()
        self._squared, self._visible = self._squared + squared, self._visible + visible


def follow(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Follow the motion from a to b (B, 3, h, w) in 0..1.

    Returns the flow's mean length (B,) in px; the squared difference that is left, summed over the pixels that are not
    covered; and the number of those.
    """
    grey_a, grey_b = a.mean(1), b.mean(1)
    forward = optical_flow(grey_a, grey_b)
    backward = warp(optical_flow(grey_b, grey_a), forward)
    length = (forward**2 + backward**2).sum(1)
    visible = (((forward + backward) ** 2).sum(1) <= _OCCLUDED[0] * length + _OCCLUDED[1]).float()
    squared = ((a - warp(b, forward)) ** 2).mean(1) * visible
    return forward.norm(dim=1).mean((1, 2)), float(squared.sum()), float(visible.sum())


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


def lagged_correlation(cause: np.ndarray, effect: np.ndarray, most: int) -> np.ndarray:
    """Pearson's r (2 most + 1,) of cause(t) and effect(t + lag), lags -most..most; NaN where one does not vary."""
    correlations = []
    for lag in range(-most, most + 1):
        a = cause[max(0, -lag) : len(cause) - max(0, lag)]
        b = effect[max(0, lag) : len(effect) - max(0, -lag)]
        vary = len(a) > 2 and a.std() > 1e-12 and b.std() > 1e-12
        correlations.append(float(np.corrcoef(a, b)[0, 1]) if vary else float("nan"))
    return np.array(correlations)


def clip_direction(clip: Clip, seen: torch.Tensor, loudness: np.ndarray, prompt: str, heard: str) -> float:
    """Cosine between the way of the pictures, quietest to loudest quarter, and of the words, without to with sound.

    `seen` (n, size) are CLIP's vectors of frames, `loudness` (n,) the sound's under each.
    """
    order, quarter = np.argsort(loudness, kind="stable"), max(1, len(seen) // 4)
    shown = seen[order[-quarter:].copy()].mean(0) - seen[order[:quarter].copy()].mean(0)
    said = clip.texts([f"{prompt}, {heard}" if prompt else heard]) - clip.texts([prompt])
    return float(F.cosine_similarity(shown, said[0], dim=0))


class HubClip:
    """CLIP (Radford et al. 2021) from a folder in transformers' layout, such as openai/clip-vit-large-patch14."""

    def __init__(self, folder: Path) -> None:
        import transformers

        try:
            model: Any = transformers.CLIPModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            )
            self._tokenizer = transformers.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{folder}: no CLIP model; config.json, model.safetensors and a tokenizer were expected"
            ) from error
        self._model = model.eval()
        self._side = int(model.config.vision_config.image_size)
        self._mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
        self._std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]

    @torch.inference_mode()
    def images(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit vectors (n, size), one picture at a time."""
        features = [self._model.vision_model(pixel_values=self._pixels(frame)).pooler_output for frame in frames]
        return F.normalize(self._model.visual_projection(torch.cat(features)), dim=-1)

    @torch.inference_mode()
    def texts(self, phrases: Sequence[str]) -> torch.Tensor:
        """Unit vectors (n, size)."""
        ids = self._tokenizer(list(phrases), padding=True, truncation=True, max_length=77, return_tensors="pt")
        return F.normalize(self._model.text_projection(self._model.text_model(**ids).pooler_output), dim=-1)

    def _pixels(self, frame: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 255
        side = min(image.shape[-2:])
        top, left = (image.shape[-2] - side) // 2, (image.shape[-1] - side) // 2
        square = image[:, :, top : top + side, left : left + side]
        resized = F.interpolate(square, (self._side, self._side), mode="bicubic", antialias=True).clamp(0, 1)
        return (resized - self._mean) / self._std


def plot(evaluation: Evaluation, path: Path) -> None:
    """Write the curves as a PNG: loudness and picture change, motion with onsets and peaks, correlation by lag."""
    from matplotlib.figure import Figure

    curves, t = evaluation.curves, np.arange(evaluation.frames) / evaluation.fps
    figure = Figure(figsize=(10, 7), layout="constrained")
    above, middle, below = figure.subplots(3, 1)
    above.plot(t, _unit(curves.loudness), label="loudness", color="tab:blue")
    above.plot(t, _unit(curves.change), label="picture change", color="tab:orange")
    above.set(xlabel="s", title=f"r = {evaluation.correlation:+.2f} at {1000 * evaluation.lag_s:+.0f} ms")
    middle.plot(t, curves.motion, color="tab:green", label="optical flow, px a frame")
    middle.vlines(curves.onsets_s, 0, curves.motion.max() or 1, colors="tab:blue", alpha=0.4, label="onsets")
    middle.plot(curves.peaks_s, np.interp(curves.peaks_s, t, curves.motion), "kv", markersize=4, label="peaks")
    middle.set(xlabel="s", title=f"AV-Align = {evaluation.av_align:.2f}, warp error = {evaluation.warp_error:.2g}")
    lags = (np.arange(len(curves.correlations)) - len(curves.correlations) // 2) / evaluation.fps
    below.plot(1000 * lags, curves.correlations, color="tab:red")
    below.axvline(0, color="0.7", linewidth=0.8)
    below.set(xlabel="lag, ms (picture after sound)", ylabel="r")
    for axes in (above, middle):
        axes.legend(loc="upper right", fontsize=8)
    figure.savefig(path, format="png", dpi=110)


def _unit(curve: np.ndarray) -> np.ndarray:
    return curve / (curve.max() or 1)
