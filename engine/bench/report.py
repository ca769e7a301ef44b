"""What a benchmark says: times, bars, the machine."""

from __future__ import annotations

import platform
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

Notify = Callable[[str], None]
WARM_UP_S, SAMPLE_S = 60.0, 1.0


@dataclass(frozen=True)
class Bar:
    """One line of the table: `least` or `most` says on which side of `bar` the measurement should lie."""

    what: str
    measured: float
    side: str
    bar: float
    unit: str

    @property
    def reached(self) -> bool:
        """Whether the measurement lies on the right side."""
        return self.measured >= self.bar if self.side == "least" else self.measured <= self.bar

    def line(self) -> str:
        """For people."""
        sign = ">=" if self.side == "least" else "<="
        mark = "reached" if self.reached else "MISSED"
        return f"  {self.what:<58} {self.measured:8.2f} {sign} {self.bar:g} {self.unit}  {mark}"


@dataclass(frozen=True)
class Times:
    """How long something took, over `count` calls."""

    median_ms: float
    p95_ms: float
    count: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Times:
        """Sum up at least one duration."""
        taken_ms = 1000 * np.array(list(seconds))
        median, p95 = np.percentile(taken_ms, [50, 95])
        return cls(float(median), float(p95), len(taken_ms))


def hardware() -> str:
    """The machine in one line."""
    memory = psutil.virtual_memory().total / 2**30
    gpu = f"{torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU"
    return f"{_processor()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {gpu}, {platform.system()}"


def _processor() -> str:
    """Its full name where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def as_dicts(bars: list[Bar]) -> list[dict[str, Any]]:
    """For --json."""
    return [{**asdict(bar), "reached": bar.reached} for bar in bars]


def only(bars: list[Bar]) -> tuple[dict[str, Any], list[str]]:
    """A report of bars alone, for --json and for people."""
    return {"hardware": hardware(), "bars": as_dicts(bars)}, [hardware(), *(bar.line() for bar in bars)]


def peak_memory() -> dict[str, float]:
    """MiB at the worst moment of this process; on the GPU also what all its libraries hold now."""
    peak = {"host_peak_mib": _host_peak_bytes() / 2**20}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        peak["gpu_peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
        peak["gpu_in_use_mib"] = (total - free) / 2**20
    return peak


def _host_peak_bytes() -> float:
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)


def growth(taken: list[tuple[float, float]]) -> float:
    """Per cent from the end of the first minute (the first third of a short soak) to the largest later value."""
    warm_s = min(WARM_UP_S, taken[-1][0] / 3)
    base = next(rss for at, rss in taken if at >= warm_s)
    return 100 * (max(rss for at, rss in taken if at >= warm_s) / base - 1)


@contextmanager
def memory() -> Iterator[list[tuple[float, float]]]:
    """Resident memory of this process, sampled while the body runs: (seconds, bytes)."""
    taken: list[tuple[float, float]] = []
    done = threading.Event()
    process = psutil.Process()

    def watch() -> None:
        at = 0.0
        while not done.wait(SAMPLE_S):
            at += SAMPLE_S
            taken.append((at, float(process.memory_info().rss)))

    thread = threading.Thread(target=watch, name="memory-watch", daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as they need, numbers to the right."""
    grid = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in grid
    ]
