"""A whole show with an NDI output, watched from a process of its own: the figures are those of real pictures."""

from __future__ import annotations

import pytest
from ndi_here import ndi_here

from engine.app.options import LookOptions
from engine.bench import BenchOptions, run_bench


@pytest.mark.realtime
def test_what_a_show_sends_arrives_late_by_little_and_comes_back_after_restarts(monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY", raising=False)
    said: list[str] = []
    options = BenchOptions(LookOptions("random:tiny-turbo", "64x64"), 0.5, outputs=True)
    with ndi_here(tmp_path):
        report, lines = run_bench(options, said.append)
    bars = {bar["what"]: bar for bar in report["bars"]}
    assert len(bars) == len(lines) - 1 == 8
    assert bars["NDI 1280x720: received a second"]["measured"] > 0
    assert bars["NDI: received against composed"]["measured"] >= 35
    assert 0 < bars["NDI: from a redraw to its picture there, median"]["measured"] < 60, "two seconds are a fault"
    for what in (
        "NDI: a receiver that starts anew has a picture",
        "NDI: a source that starts anew reaches its receiver",
    ):
        assert 0 < bars[what]["measured"] < 10
    assert "windows are not measured: there is no screen" in said
