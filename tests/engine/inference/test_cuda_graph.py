"""A frame as one function of tensors: on the CPU without a graph, on a GPU with one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from engine.inference.cuda_graph import MOST, WholeFrame, to_bytes
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import TIERS, Guidance
from tpos_models.diffusion.lcm import sample
from tpos_models.diffusion.noise_motion import Start
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import Run, run_in_torch
from tpos_models.pocket.model import load


@pytest.fixture(scope="module")
def model() -> Model:
    return load(run_in_torch, "torch")


def conditions(model: Model, *weights: float) -> Conditions:
    beach, night, fire, nothing = model.text.encode(["a beach", "a city at night", "fire", ""]).tokens
    terms = (AudioTerm(fire, weights[0]), AudioTerm(night, weights[1])) if weights else ()
    return Conditions(beach, nothing, nothing, terms)


def noise(model: Model) -> torch.Tensor:
    return torch.randn(1, 4, *model.spec.sample_size, generator=torch.Generator().manual_seed(3))


class Recorder:
    """Counts what is recorded; plays it by calling it again."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, draw: Run) -> Run:
        self.count += 1
        return draw


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("weights", [(), (0.7, 0.0), (0.7, 0.3)])
def test_it_is_the_frame_that_the_sampler_draws(model, tier, weights):
    schedule, guidance = NoiseSchedule(model.spec), Guidance(guidance_scale=2.0, quantile=0.8)
    now, start = conditions(model, *weights), Start(None, noise(model), 1.0)
    want = sample(model.denoiser, schedule, start.noise, now, tier, guidance, 2)
    drawn = WholeFrame(model, schedule, Recorder())(start, now, tier, guidance, 2)
    torch.testing.assert_close(drawn.x0, want.x0, rtol=1e-4, atol=1e-4)
    assert drawn.evaluations == want.evaluations
    assert (drawn.pixels.int() - to_bytes(model.decoder(want.x0)).int()).abs().max() <= 1


def test_it_starts_from_latents_as_far_as_it_is_told(model):
    schedule, guidance, now = NoiseSchedule(model.spec), Guidance(), conditions(model, 0.5, 0.0)
    whole, latents = WholeFrame(model, schedule, Recorder()), 0.5 * noise(model).flip(-1)
    for strength in (0.5, 1.0):
        want = sample(model.denoiser, schedule, noise(model), now, "blend", guidance, 4, None, latents, strength)
        drawn = whole(Start(latents, noise(model), strength), now, "blend", guidance, 4)
        torch.testing.assert_close(drawn.x0, want.x0, rtol=1e-4, atol=1e-4)


def test_a_kind_is_recorded_when_it_comes_twice_in_a_row_and_few_are_kept():
    model = registry.load("random:tiny-lcm", run_in_torch, "cpu")  # a hundred frames and more: small ones
    recorder, start, now = Recorder(), Start(None, noise(model), 1.0), conditions(model, 0.5, 0.0)
    whole = WholeFrame(model, NoiseSchedule(model.spec), recorder)

    def draw(scale: float) -> torch.Tensor:
        return whole(start, now, "blend", Guidance(guidance_scale=scale), 1).pixels

    for scale in (1.0, 1.5, 2.0, 1.0):
        draw(scale)
    assert recorder.count == 0, "a moving fader is not recorded"
    frames = [draw(1.0) for _ in range(3)]
    assert recorder.count == 1
    assert all(torch.equal(one, other) for one, other in pairwise(frames))
    for scale in range(MOST):
        draw(2.0 + scale)
        draw(2.0 + scale)
    assert recorder.count == 1 + MOST
    for scale in range(100):
        draw(10.0 + scale)
    assert len(whole._evaluations) <= MOST + 1, "a fader moved all night leaves nothing behind"
    draw(1.0)
    draw(1.0)
    assert recorder.count == 2 + MOST, "the oldest was let go"


@pytest.mark.gpu
@pytest.mark.parametrize("tier", TIERS)
def test_a_graph_of_the_whole_frame_follows_prompt_sound_and_noise(tier):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    from export import cuda_graphs as cuda

    model = registry.load("random:tiny-lcm", cuda.runner(), "cuda")
    schedule, guidance = NoiseSchedule(model.spec), Guidance(guidance_scale=2.0)
    whole = WholeFrame(model, schedule)
    for weight in (0.2, 0.2, 0.9, 0.5):
        z = torch.randn(1, 4, *model.spec.sample_size, device="cuda")
        now = conditions(model, weight, 0.0)
        want = sample(model.denoiser, schedule, z, now, tier, guidance)
        drawn = whole(Start(None, z, 1.0), now, tier, guidance, 1)
        torch.testing.assert_close(drawn.x0, want.x0, rtol=2e-2, atol=2e-2)
