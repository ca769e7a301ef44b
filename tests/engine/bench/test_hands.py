"""The benchmark of hands: it sees what it says it sees, on pictures made here and in a show of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.bench import BenchOptions, run_bench
from engine.bench.hands import first_other, turned


def seen(*values: float, step_s: float = 0.1) -> list[tuple[float, np.ndarray]]:
    return [(5.0 + n * step_s, np.full((3, 4, 3), value, np.float32)) for n, value in enumerate(values)]


def test_a_picture_that_is_another_is_found_and_noise_is_none() -> None:
    assert first_other(seen(50, 50, 50.3, 90, 90), 5.05) == pytest.approx(0.25)
    assert first_other(seen(50, 50, 50.3, 50.2, 50), 5.05) is None


def test_a_look_turned_when_it_was_half_way_there() -> None:
    assert turned(seen(10, 10, 10, 10, 40, 90, 110, 110, 110)) == pytest.approx(5.5)
    assert turned(seen(10, 10, 10, 11, 10, 11, 10)) is None


@pytest.mark.realtime
def test_a_show_of_its_own_is_measured() -> None:
    said: list[str] = []
    report, lines = run_bench(BenchOptions(seconds=0.5, hands=True), said.append)
    bars = {bar["what"]: bar for bar in report["bars"]}
    assert bars["1000/s over OSC: last values that landed"]["measured"] > 0
    assert all(math.isfinite(bar["measured"]) for bar in report["bars"])
    assert abs(bars["cue on the bar: off the line, worst"]["measured"]) <= 1000  # half a bar
    assert ("MIDI in to a picture drawn with it, median" in bars) != any(
        "MIDI is not measured" in line for line in said
    )
    assert len(lines) == 1 + len(bars)
