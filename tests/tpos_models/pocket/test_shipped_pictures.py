"""The shipped codec and denoiser, in what plays them, on seeds never trained on.

They learned an earlier world, of eighteen places. How well the world is drawn is the field's to say: test_field.py.
"""

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
    denoiser, decoder = (onnx_runner.runner(Precision.FP32)(network) for network in picture_networks()[:2])
    return lambda *tensors: denoiser(*tensors)[0], lambda latents: decoder(latents)[0]


@pytest.fixture(scope="module")
def draw(drawing: Drawing) -> evaluate.Draw:
    return evaluate.in_one_step(*drawing)


def test_the_codec_rebuilds_pictures(codec: Codec, world: World) -> None:
    assert evaluate.codec_fidelity(codec, world, 8)["codec_psnr_db"] > 30


def test_motion_explains_what_changes_as_in_the_world(draw: evaluate.Draw, world: World) -> None:
    assert evaluate.motion_error_ratio(draw, world)["motion_warp_error_ratio"] <= 1.5


def test_more_steps_are_no_worse_or_are_refused(draw: evaluate.Draw, drawing: Drawing, world: World) -> None:
    one = evaluate.one_step_fidelity(draw, world, 6)["one_step_psnr_db"]
    more = evaluate.few_steps_fidelity(*drawing, world, 6)
    assert SPEC.most_steps == (None if min(more.values()) >= one else 1)
