"""The stage chart: one bar for each stage, its median, with a whisker to the 95th percentile."""

from __future__ import annotations

from pathlib import Path

from engine.bench.stages import Stages
from tpos_models.errors import StorageError


def draw_chart(stages: Stages, title: str, path: Path) -> None:
    """Write a PNG; raises `StorageError` where that cannot be written."""
    from matplotlib.figure import Figure

    rows = {**stages.stages, "a whole frame": stages.frame, "its networks alone": stages.bare}
    names, medians = list(rows), [times.median_ms for times in rows.values()]
    late = [max(0.0, times.p95_ms - times.median_ms) for times in rows.values()]
    colours = ["#3b6ea5"] * len(stages.stages) + ["#c0562b", "#8a8a8a"]
    figure = Figure(figsize=(10, 0.42 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(names, medians, xerr=[[0.0] * len(late), late], color=colours, capsize=3)
    axes.invert_yaxis()
    axes.bar_label(bars, [f"{ms:.2f}" for ms in medians], padding=4, fontsize=9)
    axes.margins(x=0.15)
    axes.set_xlabel("milliseconds: median, whisker to the 95th percentile")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise StorageError(f"--plot {path}: cannot be written ({error}); a name ending in .png is accepted") from error
