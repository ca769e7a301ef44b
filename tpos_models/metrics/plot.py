"""The curves of an evaluated film as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tpos_models.metrics.film import Evaluation


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
