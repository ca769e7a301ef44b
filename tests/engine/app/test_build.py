"""`tpos build`: every network a model plays with, on real inputs, as files that a person can find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from real_parts import missing
from typer.testing import CliRunner

from engine.app.build import BuildOptions, _ears, build_model, choose_library, record
from engine.cli.commands import app
from tpos_models.errors import DeviceError, InputError, MissingPart

MODEL, SIZE_PX = "random:tiny-lcm", (64, 64)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("out")
    return out, build_model(BuildOptions(MODEL, out=out, size_px=SIZE_PX), None)


def test_every_network_leaves_checked_and_those_that_play_on_real_inputs(built):
    out, report = built
    rows = {row["network"]: row for row in report["networks"]}
    assert list(rows) == ["text_encoder", "denoiser-64x64", "decoder-64x64", "tpos-segment", "tpos-temporal"]
    assert {name for name, row in rows.items() if row["real"]} == {"text_encoder", "denoiser-64x64", "decoder-64x64"}
    for name, row in rows.items():
        assert row["path"] == str(out / f"{name}.onnx")
        assert row["bytes"] == Path(row["path"]).stat().st_size > 10_000
        assert 0 <= row["error"] < 1e-3


def test_engines_are_built_of_whole_steps_and_of_pixels():
    plays = record(BuildOptions(MODEL, to="tensorrt", size_px=SIZE_PX))
    assert list(plays.networks) == ["text_encoder", "step-64x64", "pixels-64x64"]
    assert set(plays.inputs) == set(plays.networks)
    pocket = record(BuildOptions(to="tensorrt"))
    assert list(pocket.networks) == ["pocket-segment", "pocket-temporal", "pocket-step", "pocket-pixels"]


def test_with_sdxl_two_tokenizers_feed_one_network_and_pockets_encoder_hears():
    """The paper's writes 76 tokens of 768."""
    plays = record(BuildOptions("random:tiny-sdxl", to="tensorrt", size_px=SIZE_PX))
    assert list(plays.networks) == ["text_encoder", "step-64x64", "pixels-64x64"]
    ids, ids_2 = plays.inputs["text_encoder"]
    assert ids.shape == ids_2.shape == (1, 77)
    assert not torch.equal(ids, ids_2)
    assert [network.name for network in _ears("random:tiny-sdxl")] == ["pocket-segment", "pocket-temporal"]


def test_what_is_said_and_what_is_json(built, tmp_path):
    command = ["build", "--model", MODEL, "--model-size", "64x64", "--out", str(tmp_path / "x")]
    wrong = CliRunner().invoke(app, [*command, "--to", "coreml"])
    assert isinstance(wrong.exception, InputError)
    assert "onnx or tensorrt" in str(wrong.exception)
    assert json.dumps(built[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "openvino"}, "onnx or tensorrt"),
        ({"precision": "int4"}, "fp32 or fp16"),
        ({"gpu": "8.9"}, "for --to tensorrt only"),
    ],
)
def test_what_cannot_be_built_is_told_before_any_work(options, words):
    with pytest.raises(InputError, match=words):
        BuildOptions(MODEL, **options)


def test_the_library_is_chosen_by_the_gpu_named():
    try:
        assert choose_library("12.0") == "tensorrt_rtx"
    except MissingPart as error:
        missing(error)
    with pytest.raises(DeviceError, match=r"compute capability .*8\.9"):
        choose_library("9.0")
