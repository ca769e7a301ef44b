"""Where sound acts, against a plain float64 statement of the guidance's mask; the picture as if nobody had asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from export.cuda_graphs import Replayed
from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.plms import PlmsSampler
from tpos_models.diffusion.sampler import Sampled, Sampler, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.step import StepSampler, step_network
from tpos_models.diffusion.stream_batch import StreamBatch
from tpos_models.network import run_in_torch
from tpos_models.stable_diffusion import open_model

SPEC = ModelSpec(
    "test", guidance=Guidance(), prediction_type="epsilon", schedule="scaled_linear", tokens=3, token_size=4
)
TELLING = (Tier.SEMANTIC, Tier.REFERENCE)


class Denoiser:
    """A smooth function of everything it is given; keeps what it answered, call by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, np.ndarray]] = []

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        bias = tokens.mean((1, 2))[:, None, None, None]
        e = torch.tanh(x_t.roll(1, -1) * (0.5 + bias) + 0.3 * torch.sin(3 * x_t * bias) + t[:, None, None, None] / 2000)
        self.calls.append((int(t[0]), e.numpy()))
        return e


def request(tier: Tier, guidance: Guidance, weight: float = 0.7, steps: int = 4, seed: int = 0) -> SampleRequest:
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 4, 12, 16, generator=g, dtype=torch.float64)
    text, null, sound = torch.randn(3, 3, 4, generator=g, dtype=torch.float64)
    conditions = Conditions(text, null, null, (AudioTerm(sound, weight),))
    return SampleRequest(noise, conditions, tier, guidance, steps, mask=True)


def statement(denoiser: Denoiser, tier: Tier, k: float, quantile: float, warm: Any) -> np.ndarray:
    """The paper's mask of each guided prediction, channel by channel, and the mean of them all.

    With q > 0 a cell counts where |d| reaches the channel's q-quantile over space. With q = 0 every cell is kept: it
    counts by its power beside that of the 0.9-quantile, at most wholly.
    """
    shares = []
    for i, (t, e) in enumerate(denoiser.calls):
        if warm(i, t):
            continue
        base, sound = (e[0], e[1]) if tier is Tier.SEMANTIC else (e[0], e[2])
        for d in k * (sound - base):
            size = np.sort(np.abs(d).ravel())[::-1]
            threshold = size[round((1 - (quantile or 0.9)) * size.size) - 1]
            shares.append(np.abs(d) >= threshold if quantile else np.minimum(1, d**2 / threshold**2))
    return np.mean(shares, 0)


@pytest.mark.parametrize("tier", TELLING)
@pytest.mark.parametrize("quantile", [0.8, 0.95, 0.0])
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (4, 0.0), (4, 0.5)])
def test_it_is_the_share_of_channels_and_steps_in_which_sound_acts(tier, quantile, steps, warmup):
    denoiser = Denoiser()
    guidance = Guidance(guidance_scale=1.7, audio_scale=2.0, quantile=quantile, warmup=warmup)
    got = LcmSampler(denoiser, NoiseSchedule(SPEC))(request(tier, guidance, steps=steps)).mask
    want = statement(denoiser, tier, 2.0, quantile, lambda i, t: i < warmup * steps)
    assert got is not None
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), want, atol=1e-6)
    if quantile:
        assert want.mean() == pytest.approx(1 - quantile, abs=0.01), "as much of it as the guidance keeps"


def test_the_papers_sampler_tells_it_of_every_prediction_after_its_warm_up():
    denoiser = Denoiser()
    asked = request(Tier.REFERENCE, Guidance(guidance_scale=2.0))
    got = PlmsSampler(denoiser, NoiseSchedule(SPEC), 10)(asked).mask
    assert got is not None
    want = statement(denoiser, Tier.REFERENCE, 5.0, 0.95, lambda i, t: t >= 800)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-6)


@pytest.fixture(scope="module")
def steps() -> tuple[ModelSpec, StepSampler, LcmSampler]:
    """A model with its guidance in one network, and the same evaluation by evaluation."""
    opened = open_model("random:tiny-sd15", size_px=(64, 64))
    denoiser, quantile = opened.recipe.denoiser(), opened.spec.guidance.quantile
    run, step = run_in_torch(denoiser), run_in_torch(step_network(denoiser, quantile))
    eager = LcmSampler(lambda x_t, t, tokens: run(x_t, t, tokens)[0], NoiseSchedule(opened.spec))
    return opened.spec, StepSampler(step, opened.spec, eager), eager


def of(spec: ModelSpec, tier: Tier, weights: tuple[float, ...], warmup: float = 0.3) -> SampleRequest:
    g = torch.Generator().manual_seed(len(weights))
    text, null, *sounds = torch.randn(2 + len(weights), spec.tokens, spec.token_size, generator=g)
    terms = tuple(AudioTerm(sound, weight) for sound, weight in zip(sounds, weights, strict=True))
    noise = torch.randn(1, 4, *spec.sample_size, generator=g)
    guidance = replace(spec.guidance, guidance_scale=2.0, warmup=warmup)
    return SampleRequest(noise, Conditions(text, null, null, terms), tier, guidance, 4, mask=True)


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("tier", TELLING)
@pytest.mark.parametrize("weights", [(0.7,), (0.7, 0.2), ()])
def test_a_step_that_is_one_network_gives_it_without_another_output(steps, tier, weights, captured):
    """A cell on the very edge of the quantile may fall to its other side in float32."""
    spec, step, eager = steps
    if captured:
        host = torch.device("cpu")
        step = step.captured(
            lambda run: Replayed(run, lambda call: (lambda: None, call()), host, lends=True), lambda x0: x0 + 1, eager
        )
    for warmup in (0.3,) if captured else (0.0, 0.3, 0.6):
        got, want = step(of(spec, tier, weights, warmup)), eager(of(spec, tier, weights, warmup))
        assert got.mask is not None
        assert want.mask is not None
        assert ((got.mask - want.mask).abs() < 1e-3).double().mean() > 0.97
        assert bool(want.mask.any()) is bool(weights)
        assert (got.pixels is not None) is captured


@pytest.mark.parametrize("tier", Tier)
def test_the_picture_is_the_same_bit_for_bit_and_only_who_asks_is_told(steps, tier):
    spec, step, eager = steps
    samplers: list[tuple[Sampler, SampleRequest]] = [(step, of(spec, tier, (0.7,))), (eager, of(spec, tier, (0.7,)))]
    for sampler, asked in samplers:
        told, untold = sampler(asked), sampler(replace(asked, mask=False))
        assert torch.equal(told.x0, untold.x0)
        assert told.evaluations == untold.evaluations
        assert untold.mask is None
        assert (told.mask is None) is (tier is Tier.BLEND)


@pytest.mark.parametrize("tier", TELLING)
def test_without_sound_it_is_empty(tier):
    for asked in (request(tier, Guidance(), weight=0.0), request(tier, Guidance(warmup=1.0))):
        mask = LcmSampler(Denoiser(), NoiseSchedule(SPEC))(asked).mask
        assert mask is not None
        assert mask.shape == (12, 16)
        assert not mask.any()


def test_a_sound_that_changes_nothing_acts_nowhere():
    """The sound's tokens are the prompt's "": d is 0, and so is its quantile."""
    asked = request(Tier.REFERENCE, Guidance(quantile=0.0))
    now = asked.at(0)
    asked = replace(asked, conditions=replace(now, audio=(AudioTerm(now.null, 0.7),)))
    mask = LcmSampler(Denoiser(), NoiseSchedule(SPEC))(asked).mask
    assert mask is not None
    assert not mask.any()


def test_a_frame_that_comes_later_has_its_own():
    stream, plain = (make(Denoiser(), NoiseSchedule(SPEC)) for make in (StreamBatch, LcmSampler))
    requests = [replace(request(Tier.SEMANTIC, Guidance(), steps=4, seed=k), metadata=k) for k in range(6)]
    for asked in requests:
        got: Sampled = stream(asked)
        want = plain(requests[got.request.metadata]).mask
        torch.testing.assert_close(got.mask, want)
    assert got.request.metadata == 2
