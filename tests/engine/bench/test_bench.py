"""The benchmark measures what it says: real stages, the same weights on both sides, finite numbers, a chart."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from engine.app.options import LookOptions
from engine.bench import BenchOptions, run_bench
from engine.bench.stages import NetworkProfiler, measure_stages
from engine.core.messages import GuidanceTier, ShowState
from engine.inference.fallback import Backend
from engine.inference.loading import open_on
from tpos_models.errors import InputError, StorageError

MODEL, SIZE_PX = "random:tiny-turbo", (64, 64)
LOOK = LookOptions(MODEL, "64x64", settings={"guidance": "blend", "steps": 1})


def test_a_frames_networks_are_the_ones_that_its_tier_and_steps_ask_for():
    profiler = NetworkProfiler()
    model = open_on(Backend("torch"), MODEL, SIZE_PX, profiler)
    stages = measure_stages(model, ShowState(guidance=GuidanceTier.REFERENCE, steps=2), profiler, 0.01)
    assert [call.network.split("-")[0] for call in stages.calls] == ["denoiser", "denoiser", "decoder"]
    assert [len(call.tensors[0]) for call in stages.calls] == [3, 3, 1]
    assert [int(call.tensors[1][0]) for call in stages.calls[:2]] == [999, 499]
    assert stages.evaluations == 6
    assert {"analysis, a hop", "audio hop", "denoiser, 3 evaluations", "decode", "hand-over"} <= stages.stages.keys()
    assert all(0 <= times.median_ms <= times.p95_ms for times in (*stages.stages.values(), stages.frame, stages.bare))


def test_beside_diffusers_pipeline_the_pictures_are_the_same(tmp_path):
    chart = tmp_path / "stages.png"
    options = BenchOptions(LOOK, seconds=0.3, compare="diffusers", plot=chart)
    said: list[str] = []
    threads = torch.get_num_threads()
    report, lines = run_bench(options, said.append)
    torch.set_num_threads(threads)
    json.dumps(report, allow_nan=False)
    assert report["diffusers"]["largest_difference"] <= 1.0
    assert report["diffusers"]["ratio"] > 0
    assert len(report["diffusers"]["rounds"]) == 6
    assert report["frame"]["bare_networks_ms"] > 0
    assert report["host_peak_mib"] > 100
    assert report["size"] == "64x64"
    assert any("LatentConsistencyModelPipeline" in line for line in lines)
    assert any("round 6 of 6" in line for line in said)
    with Image.open(chart) as image:
        assert image.width > 800


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BenchOptions(compare="comfy"),
        lambda: BenchOptions(LookOptions(model_size="8x8")),
        lambda: BenchOptions(LookOptions(settings={"steps": 0})),
        lambda: BenchOptions(LookOptions(settings={"guidance": "psychic"})),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_loads(wrong):
    with pytest.raises(InputError, match="would be accepted"):
        wrong()


def test_a_chart_that_cannot_be_written_says_so(tmp_path):
    options = BenchOptions(LOOK, seconds=0.01, compare="diffusers", plot=tmp_path / "no" / "folder.png")
    with pytest.raises(StorageError, match=r"folder\.png"):
        run_bench(options)
