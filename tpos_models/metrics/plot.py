"""Evaluated films as pictures: the curves of one, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpos_models.metrics.film import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, MARGIN_IN = 11.0, 0.45
_TITLE_IN, _CURVES_IN, _SPACE_IN = 0.5, 0.9, 0.12


@dataclass(frozen=True, eq=False)
class Strip:
    """A film in a picture of several: RGB uint8 frames (h, w, 3) from the middles of equal parts, at these times."""

    name: str
    evaluation: Evaluation
    frames: tuple[np.ndarray, ...]
    at_s: tuple[float, ...]

    @property
    def length_s(self) -> float:
        """Until the end of the last frame."""
        return self.evaluation.frames / self.evaluation.fps


def plot(evaluation: Evaluation, path: Path) -> None:
    """Write the curves as a PNG: loudness and picture change, motion with onsets and peaks, correlation by lag."""
    from matplotlib.figure import Figure

    curves, t = evaluation.curves, np.arange(evaluation.frames) / evaluation.fps
    figure = Figure(figsize=(10, 7), layout="constrained")
    above, middle, below = figure.subplots(3, 1)
    _loudness_and_change(above, evaluation)
    lag = next(row.value for row in evaluation.rows() if row.name == "lag")
    above.set(xlabel="s", title=f"r = {evaluation.correlation:+.2f}, lag = {lag}")
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


def plot_side_by_side(strips: Sequence[Strip], path: Path) -> None:
    """Write films as a PNG: for each its measures, its frames above the times they are from, loudness and change.

    The time axis is one for all: a film half as long is half as wide. Curves are scaled to their largest.
    """
    from matplotlib.figure import Figure

    longest_s, across = max(strip.length_s for strip in strips), WIDTH_IN - 2 * MARGIN_IN
    frames_in = [across * strip.length_s / longest_s * _shape(strip) for strip in strips]
    height = sum(frames_in) + len(strips) * (_TITLE_IN + _CURVES_IN + _SPACE_IN) + MARGIN_IN
    figure, top = Figure(figsize=(WIDTH_IN, height)), height
    for strip, tall in zip(strips, frames_in, strict=True):
        shown = _panel(figure, top - _TITLE_IN - tall, tall)
        below = _panel(figure, top - _TITLE_IN - tall - _CURVES_IN, _CURVES_IN)
        shown.set(xlim=(0, longest_s), ylim=(0, 1))
        shown.axis("off")
        share = strip.length_s / max(1, len(strip.frames))
        for i, frame in enumerate(strip.frames):
            shown.imshow(frame, extent=((i + 0.01) * share, (i + 0.99) * share, 0, 1), aspect="auto")
        _caption(shown, strip)
        _loudness_and_change(below, strip.evaluation)
        below.plot(strip.at_s, np.zeros(len(strip.at_s)), "k^", markersize=4, clip_on=False)
        below.set(xlim=(0, longest_s), ylim=(0, 1.05), yticks=[])
        below.spines[["top", "right", "left"]].set_visible(False)
        below.tick_params(labelbottom=strip is strips[-1], labelsize=8)
        top -= _TITLE_IN + tall + _CURVES_IN + _SPACE_IN
    below.set_xlabel("s", fontsize=8)
    figure.legend(handles=below.get_lines()[:2], loc="upper right", fontsize=8, ncols=2, frameon=False)
    figure.savefig(path, format="png", dpi=200)


def _panel(figure: Figure, bottom_in: float, height_in: float) -> Axes:
    """The figure's whole width between its margins."""
    width, height = figure.get_size_inches()
    return figure.add_axes((MARGIN_IN / width, bottom_in / height, 1 - 2 * MARGIN_IN / width, height_in / height))


def _shape(strip: Strip) -> float:
    """Height over width of a film's frames side by side."""
    height, width = strip.frames[0].shape[:2] if strip.frames else (1, 1)
    return height / width / max(1, len(strip.frames))


def _caption(axes: Axes, strip: Strip) -> None:
    measures = "   ".join(f"{row.name} {row.value}" for row in strip.evaluation.rows())
    axes.annotate(
        strip.name, (0, 1), (0, 16), "axes fraction", "offset points", fontsize=10, weight="bold", parse_math=False
    )
    axes.annotate(measures, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=8)


def _loudness_and_change(axes: Axes, evaluation: Evaluation) -> None:
    t = np.arange(evaluation.frames) / evaluation.fps
    axes.plot(t, _unit(evaluation.curves.loudness), label="loudness", color="tab:blue")
    axes.plot(t, _unit(evaluation.curves.change), label="picture change", color="tab:orange")


def _unit(curve: np.ndarray) -> np.ndarray:
    return curve / (curve.max() or 1)
