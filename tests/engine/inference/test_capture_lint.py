"""Whatever a show asks for can be captured: steps and decode, on the meta device, of every tier and architecture."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from capture_lint import META, CaptureLint, NothingSent
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from engine.inference.cuda_graph import CALLS_TO_CAPTURE
from engine.inference.plan import Plan, captured, to_bytes
from export.cuda_graphs import Replayed
from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.step import NUMBERS, TOKEN_SETS, StepSampler, pixels_network, step_network
from tpos_models.network import Network, Run, as_function
from tpos_models.stable_diffusion import open_model
from tpos_models.stable_diffusion.networks import Placement


@cache
def on_meta(architecture: str) -> tuple[ModelSpec, Run, Run]:
    """A model's denoiser and decoder in half precision, without weights."""
    opened = open_model(f"random:{architecture}", Placement(META, torch.float16))
    with META:
        denoiser, decoder = opened.recipe.denoiser().build(), opened.recipe.decoder().build()
    return opened.spec, linted_once(as_function(denoiser)), linted_once(as_function(decoder))


def linted_once(network: Run) -> Run:
    """A network that is looked at when it first is given certain shapes: with the same ones it does the same again."""
    answers = dict[tuple[torch.Size, ...], tuple[torch.Tensor, ...]]()

    def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert all(tensor.device == META for tensor in tensors), "a tensor is left on the host"
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in answers:
            with NothingSent(), CaptureLint():
                answers[shapes] = network(*tensors)
        return answers[shapes]

    return call


def lint(execute: Run) -> Run:
    """As a capture is made: all inputs lie on the device."""

    def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        on_device = [torch.empty(tensor.shape, dtype=tensor.dtype, device=META) for tensor in tensors]
        with NothingSent(), CaptureLint():
            return execute(*on_device)

    return run


@pytest.mark.parametrize("architecture", ["sd15", "sd21", "lcm", "sdxl"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("sounds", [0, 2])
def test_a_whole_frame_of_full_size_can_be_captured(architecture, tier, sounds, steps):
    spec, denoiser, decoder = on_meta(architecture)
    tokens = torch.empty(spec.tokens, spec.token_size, device=META)
    noise = torch.empty(1, spec.latent_channels, *spec.sample_size, device=META)
    conditions = Conditions(tokens, tokens, tokens, (AudioTerm(tokens, 0.5),) * sounds)
    sampler = LcmSampler(lambda *tensors: denoiser(*tensors)[0], NoiseSchedule(spec))
    plan = captured(Plan(sampler, lambda x0: to_bytes(decoder(x0)[0]), spec.guidance), lint)
    for start in (None, noise):
        request = SampleRequest(noise, conditions, tier, Guidance(guidance_scale=2.0), steps, start, 0.7, mask=True)
        for _ in range(CALLS_TO_CAPTURE):
            sampled, pixels = plan.draw(request)
        assert (sampled.mask is None) is (tier is Tier.BLEND)
        assert sampled.mask is None or sampled.mask.shape == spec.sample_size
        assert sampled.x0.shape == noise.shape
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (*(8 * side for side in spec.sample_size), 4)


class Launches(TorchDispatchMode):
    """Counts what the GPU is given to do on the meta device: neither views nor memory are."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        views = any(given.alias_info and not given.alias_info.is_write for given in func._schema.arguments)
        leaves = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
        if any(leaf.device == META for leaf in leaves) and not views and "empty" not in func.name():
            self.names.append(func.name())
        return out


def compiled(network: Network) -> Run:
    """A network's module without weights, none of whose operations is anybody's business."""
    with META:
        run = as_function(network.build())

    def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert all(tensor.device == META for tensor in tensors), "a tensor is left on the host"
        with _disable_current_modes():
            return run(*tensors)

    return call


@pytest.fixture(scope="module")
def whole() -> tuple[ModelSpec, Run, Run]:
    """Stable Diffusion 1.5's step and pixels."""
    opened = open_model("random:sd15", Placement(META, torch.float16))
    step = step_network(opened.recipe.denoiser(), opened.spec.guidance.quantile)
    return opened.spec, compiled(step), compiled(pixels_network(opened.recipe.decoder()))


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("tier", Tier)
def test_a_frame_of_whole_steps_is_few_launches_around_them(whole, tier, steps):
    """What is left: noise to the GPU, then noise, tokens and numbers to where the recording reads them.

    With the pixels' way to the host, which is not counted here, they are five.
    """
    spec, step, pixels = whole
    sampler = StepSampler(step, spec, LcmSampler(lambda x_t, t, tokens: x_t, NoiseSchedule(spec)))
    plan = captured(
        Plan(sampler, lambda x0: pixels(x0)[0][0], Guidance()),
        lambda run: Replayed(run, lambda call: (lambda: None, call()), META, lends=True),
    )
    text, null, uncond, sound = (torch.empty(spec.tokens, spec.token_size, device=META) for _ in range(4))
    conditions = Conditions(text, null, uncond, (AudioTerm(sound, 0.5),))
    latents = (1, spec.latent_channels, *spec.sample_size)

    def draw() -> torch.Tensor:
        return plan.draw(SampleRequest(torch.empty(latents).to(META), conditions, tier, spec.guidance, steps))[1]

    draw()
    with Launches() as launches:
        assert draw().shape == (512, 512, 4)
    assert len(launches.names) <= 4, launches.names
    numbers = torch.empty(steps, 2, TOKEN_SETS + len(NUMBERS), device=META)
    with Launches() as recorded, CaptureLint():
        sampler._steps(numbers, torch.empty(latents, device=META), torch.empty(TOKEN_SETS, *text.shape, device=META))
    assert recorded.names == [], "and nothing is recorded but the networks"
    with CaptureLint(), NothingSent():
        sampler._steps(
            numbers,
            torch.empty(latents, device=META),
            torch.empty(TOKEN_SETS, *text.shape, device=META),
            masked=True,
        )
    sampler(SampleRequest(torch.empty(latents, device=META), conditions, tier, spec.guidance, steps))  # nor uncaptured


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda x: x * float(x.sum()), "the host waits"),
        (lambda x: x + torch.randn(x.shape, device=META), "random numbers"),
        (lambda x: x[x > 0], "depends on data"),
        (lambda x: x * torch.ones(3), "on cpu"),
        (lambda x: x[[0, 2]], "a list of numbers"),
        (lambda x: x * torch.tensor(2.0), "numbers are sent"),
    ],
)
def test_what_cannot_be_captured_is_found(wrong, why):
    with pytest.raises(AssertionError, match=why), NothingSent(), CaptureLint():
        wrong(torch.empty(3, device=META))
