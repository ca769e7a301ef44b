"""Whatever a show asks for can be captured: steps and decode, on the meta device, of every tier and architecture."""

from __future__ import annotations

import pytest
import torch
from capture_lint import META, CaptureLint

from engine.inference.cuda_graph import CALLS_TO_CAPTURE, CapturedSampler
from engine.inference.plan import decoding
from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import Run, as_function
from tpos_models.stable_diffusion import open_model
from tpos_models.stable_diffusion.networks import Placement


def on_meta(architecture: str) -> tuple[ModelSpec, Run, Run]:
    """A model's denoiser and decoder in half precision, without weights."""
    opened = open_model(f"random:{architecture}", Placement(META, torch.float16))
    with META:
        denoiser, decoder = opened.recipe.denoiser().build(), opened.recipe.decoder().build()
    return opened.spec, as_function(denoiser), as_function(decoder)


def lint(execute: Run) -> Run:
    """As a capture is made: all inputs lie on the device."""

    def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        on_device = [torch.empty(tensor.shape, dtype=tensor.dtype, device=META) for tensor in tensors]
        with CaptureLint():
            return execute(*on_device)

    return run


@pytest.mark.parametrize("architecture", ["sd15", "sd21"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("sounds", [0, 2])
def test_what_a_show_does_around_its_denoiser_can_be_captured(architecture, tier, sounds, steps):
    spec = open_model(f"random:{architecture}").spec
    tokens = torch.empty(spec.tokens, spec.token_size, device=META)
    noise = torch.empty(1, spec.latent_channels, *spec.sample_size, device=META)
    conditions = Conditions(tokens, tokens, tokens, (AudioTerm(tokens, 0.5),) * sounds)
    sampler = CapturedSampler(LcmSampler(lambda x_t, t, tokens: x_t + 1, NoiseSchedule(spec)), lint)
    for start in (None, noise):
        request = SampleRequest(noise, conditions, tier, Guidance(guidance_scale=2.0), steps, start, 0.7)
        for _ in range(CALLS_TO_CAPTURE):
            assert sampler(request).x0.shape == noise.shape


@pytest.mark.parametrize("architecture", ["sd15", "sd21", "lcm"])
def test_networks_of_full_size_can_be_captured(architecture):
    spec, denoiser, decoder = on_meta(architecture)
    x_t = torch.empty(2, spec.latent_channels, *spec.sample_size, device=META)
    tokens = torch.empty(2, spec.tokens, spec.token_size, device=META)
    with CaptureLint():
        (prediction,) = denoiser(x_t, torch.empty(2, dtype=torch.int64, device=META), tokens)
        pixels = decoding(lambda x0: decoder(x0)[0])(prediction[:1])
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda x: x * float(x.sum()), "the host waits"),
        (lambda x: x + torch.randn(x.shape, device=META), "random numbers"),
        (lambda x: x[x > 0], "depends on data"),
        (lambda x: x * torch.tensor(2.0), "on cpu"),
    ],
)
def test_what_cannot_be_captured_is_found(wrong, why):
    with pytest.raises(AssertionError, match=why), CaptureLint():
        wrong(torch.empty(3, device=META))
