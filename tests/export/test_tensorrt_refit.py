"""Engines that take other weights while they play: built so, checked so, and on a GPU torch's own answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from real_parts import missing
from small_diffusers import CONV, LINEAR, write_lora

from export import onnx_export, tensorrt
from tpos_models.errors import DeviceError, MissingPart, RunError
from tpos_models.network import Network, max_relative_error, run_in_torch
from tpos_models.stable_diffusion import Lora, open_model
from tpos_models.stable_diffusion.live_lora import LiveLoras
from tpos_models.stable_diffusion.networks import Placement


def with_lora(folder: Path, placement: Placement | None = None) -> tuple[LiveLoras, Network]:
    """A denoiser and the LoRA that changes it, as strong as 0.25."""
    live = LiveLoras([Lora(write_lora(folder / "style.safetensors", LINEAR, CONV), 0.25)])
    recipe = open_model("random:tiny-lcm", placement, (64, 64)).recipe
    return live, replace(recipe, adapters=live.adapters).denoiser()


def test_an_engine_that_is_to_be_refitted_is_compared_with_and_without_what_is_added(tmp_path):
    """One that goes on with the weights it had is found; strengths are afterwards what they were."""
    live, network = with_lora(tmp_path)
    stuck, stamp = run_in_torch(replace(network, adapters=None)), tmp_path / "denoiser.checked"
    with pytest.raises(RunError, match=r"denoiser-64x64: its engine's answer is 0\.\d+ off torch's"):
        tensorrt.check_once(stuck, network, "fp16", stamp, "RTX 4090")
    following = run_in_torch(network)
    want = following(*network.example(1))[0]
    tensorrt.check_once(following, network, "fp16", stamp, "RTX 4090")
    assert stamp.exists()
    assert live.adapters["unet"].strengths == (0.25,)
    assert torch.equal(following(*network.example(1))[0], want)
    assert len(live.adapters["unet"]._attached) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_engines_that_are_refitted_are_others_and_are_built_on_a_gpu(tmp_path):
    rtx: tensorrt.Library = "tensorrt_rtx"
    try:
        tensorrt.load_library(rtx)
    except MissingPart as error:
        missing(error)
    _, network = with_lora(tmp_path)
    plain, fitted = (tensorrt.identify(one, rtx, "8.9") for one in (replace(network, adapters=None), network))
    assert "REFIT=1" in fitted.flags.split(",")
    assert "REFIT=0" in plain.flags.split(",")
    assert fitted.graph == plain.graph
    with pytest.raises(DeviceError, match="denoiser-64x64: with --lora an engine is built on a GPU only; torch"):
        tensorrt.ensure_engine(network, rtx, "8.9", folder=tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_recorded_engine_is_refitted_and_answers_as_torch_does(precision, tmp_path):
    found = [library for library in tensorrt.LIBRARIES if tensorrt.available(library)[0]]
    if not found:
        pytest.skip("; ".join(tensorrt.available(library)[1] for library in tensorrt.LIBRARIES))
    placed = Placement(torch.device("cuda"), torch.float16 if precision == "fp16" else torch.float32)
    live, network = with_lora(tmp_path, placed)
    run, reference, example = (
        tensorrt.runner(found[0], precision, tmp_path)(network),
        run_in_torch(network),
        network.example(2),
    )
    answers = []
    for strength in (0.0, 0.9, -0.5, 0.0):
        live.set({"style": strength})
        answers.append(run(*example))
        assert max_relative_error(answers[-1], reference(*example)) < onnx_export.TOLERANCE[precision]
    assert torch.equal(answers[0][0], answers[-1][0])
    assert not torch.equal(answers[0][0], answers[1][0])
