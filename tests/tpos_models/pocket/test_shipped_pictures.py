"""The shipped picture weights, in what plays them, on seeds never trained on: the model card on fewer pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from export import onnx_runner
from tpos_models.pocket.codec import Codec, load_codec
from tpos_models.pocket.networks import SPEC, WEIGHTS, picture_networks
from tpos_models.pocket.world.world import World
from tpos_models.precision import Precision
from tpos_models.training.pictures import evaluation as evaluate


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(WEIGHTS)


Drawing = tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]]
"""Denoiser and decoder."""


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    """In ONNX Runtime, as a show on a CPU plays them."""
    denoiser, decoder = (onnx_runner.runner(Precision.FP32)(network) for network in picture_networks())
    return lambda *tensors: denoiser(*tensors)[0], lambda latents: decoder(latents)[0]


@pytest.fixture(scope="module")
def draw(drawing: Drawing) -> evaluate.Draw:
    return evaluate.in_one_step(*drawing)


def test_the_codec_rebuilds_pictures(codec: Codec, world: World) -> None:
    assert evaluate.codec_fidelity(codec, world, 8)["codec_psnr_db"] > 30


def test_one_step_draws_what_the_world_draws(draw: evaluate.Draw, world: World) -> None:
    fidelity = evaluate.one_step_fidelity(draw, world, 12)
    assert fidelity["one_step_psnr_db"] >= 26
    assert 0.75 <= fidelity["gradient_energy_ratio"] < 1.2


def test_motion_explains_what_changes_as_in_the_world(draw: evaluate.Draw, world: World) -> None:
    assert evaluate.motion_error_ratio(draw, world)["motion_warp_error_ratio"] <= 1.5


def test_more_steps_are_no_worse_or_are_refused(draw: evaluate.Draw, drawing: Drawing, world: World) -> None:
    one = evaluate.one_step_fidelity(draw, world, 6)["one_step_psnr_db"]
    more = evaluate.few_steps_fidelity(*drawing, world, 6)
    assert SPEC.most_steps == (None if min(more.values()) >= one else 1)


def test_more_steps_draw_the_scene_too(drawing: Drawing, world: World) -> None:
    more = evaluate.few_steps_fidelity(*drawing, world, 6)
    assert more["2_steps_psnr_db"] > 22
    assert more["4_steps_psnr_db"] > 17.5


def test_every_condition_shows_and_grows(draw: evaluate.Draw, world: World) -> None:
    assert evaluate.conditions_shown(draw, world, [0, 12])["condition_shown"] > 0.95
    assert all(evaluate.strengths_monotone(draw, place=4).values())
