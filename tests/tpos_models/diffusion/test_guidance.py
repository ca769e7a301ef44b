"""Guidance, schedule and sampler against plain float64 statements of their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions, blend, crossfade, mix
from tpos_models.diffusion.guidance import Guidance, Tier, keep_largest, warmup_steps
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule

SPEC = ModelSpec(
    "test", guidance=Guidance(), prediction_type="epsilon", schedule="scaled_linear", tokens=3, token_size=4
)
SHAPE = (1, 4, 16, 16)


def denoiser(x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """A smooth function of everything it is given: enough to tell one formula from another."""
    bias = tokens.mean((1, 2))[:, None, None, None]
    return torch.tanh(x_t.roll(1, -1) * (0.5 + bias) + 0.3 * torch.sin(3 * x_t * bias) + t[:, None, None, None] / 2000)


def conditions(weights: tuple[float, ...], seed: int = 0, negative: bool = False) -> Conditions:
    g = torch.Generator().manual_seed(seed)
    text, null, fog, *sounds = torch.randn(3 + len(weights), 3, 4, generator=g, dtype=torch.float64)
    return Conditions(
        text, null, fog if negative else null, tuple(AudioTerm(a, w) for a, w in zip(sounds, weights, strict=True))
    )


def sample(*request, **start) -> Sampled:
    return LcmSampler(denoiser, NoiseSchedule(SPEC))(SampleRequest(*request, **start))


def masked(d: np.ndarray, quantile: float) -> np.ndarray:
    """d where |d| reaches its quantile over space, channel by channel."""
    out = np.zeros_like(d)
    for channel in range(d.shape[1]):
        size = np.sort(np.abs(d[0, channel]).ravel())
        kept = max(1, round((1 - quantile) * size.size))
        keep = np.abs(d[0, channel]) >= size[-kept]
        out[0, channel][keep] = d[0, channel][keep]
    return out


def plain_statement(noise: np.ndarray, c: Conditions, tier: str, g: Guidance, steps: int, weights) -> np.ndarray:
    """The formulas as DESIGN and paper state them, in numpy float64, one evaluation at a time, thresholds by sorting.

    `weights[i]` are the sounds' weights at step i. Several sounds are evaluated as their weighted mean. Directions
    start at "", also beside a negative prompt; nothing gathers in the warm-up.
    """
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alpha_bar = np.cumprod(1 - betas)
    timesteps = [SPEC.timesteps[i * 4 // steps] for i in range(steps)]

    def e(x, t, tokens):
        return denoiser(torch.from_numpy(x), torch.tensor([t]), tokens[None]).numpy()

    v = np.zeros_like(noise)
    x = noise
    for i, t in enumerate(timesteps):
        blended = c.text + sum(w * (a.tokens - c.null) for w, a in zip(weights[i], c.audio, strict=True))
        if tier is Tier.BLEND:
            guided = e(x, t, blended)
        else:
            e_t = e(x, t, c.text)
            if tier is Tier.SEMANTIC:
                base, d = e_t, masked(g.audio_scale * (e(x, t, blended) - e_t), g.quantile)
            else:
                e_u = e(x, t, c.uncond)
                base = e_u + g.guidance_scale * (e_t - e_u)
                tokens = torch.stack([a.tokens for a in c.audio])
                mean = torch.from_numpy(np.average(tokens, axis=0, weights=weights[i]))
                d = masked(g.audio_scale * sum(weights[i]) * (e(x, t, mean) - e(x, t, c.null)), g.quantile)
            guided = base
            if i >= int(g.warmup * steps):
                gamma = d + g.momentum_scale * v
                v = g.momentum_beta * v + (1 - g.momentum_beta) * gamma
                guided = base + gamma
        a, s = np.sqrt(alpha_bar[t]), np.sqrt(1 - alpha_bar[t])
        x0 = (x - s * guided) / a
        c_skip, c_out = 0.25 / ((10 * t) ** 2 + 0.25), 10 * t / np.sqrt((10 * t) ** 2 + 0.25)
        x0 = c_skip * x + c_out * x0
        if i + 1 < steps:
            nxt = timesteps[i + 1]
            x = np.sqrt(alpha_bar[nxt]) * x0 + np.sqrt(1 - alpha_bar[nxt]) * noise
    return x0


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("weights", [(1.0,), (0.7, 0.4)])
@pytest.mark.parametrize("negative", [False, True])
def test_sampler_matches_the_formulas(tier, steps, weights, negative):
    guidance = Guidance(guidance_scale=1.7, audio_scale=2.0, quantile=0.8, warmup=0.25)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    c = conditions(weights, negative=negative)
    got = sample(noise, c, tier, guidance, steps).x0.numpy()
    want = plain_statement(noise.numpy(), c, tier, guidance, steps, [weights] * steps)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tier", Tier)
def test_amount_may_change_in_mid_frame(tier):
    guidance = Guidance(guidance_scale=1.7, audio_scale=2.0, quantile=0.8, warmup=0.25)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    amounts = [(1.0, 0.2), (0.6, 0.4), (0.3, 0.9), (0.1, 0.5)]
    at = [conditions(weights) for weights in amounts]
    got = sample(noise, lambda i: at[i], tier, guidance, 4).x0.numpy()
    want = plain_statement(noise.numpy(), at[0], tier, guidance, 4, amounts)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tier", Tier)
def test_amount_zero_is_the_plain_prompt_exactly(tier):
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))
    guidance = Guidance(guidance_scale=1.0)
    silent = sample(noise, conditions((0.0, 0.0)), tier, guidance, 4)
    plain = sample(noise, conditions(()), Tier.BLEND, guidance, 4)
    assert torch.equal(silent.x0, plain.x0)
    assert silent.evaluations == 4


@pytest.mark.parametrize("tier", Tier)
def test_guidance_grows_with_amount(tier):
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    guidance = Guidance(guidance_scale=1.0, audio_scale=1.0, quantile=0.5)
    plain = sample(noise, conditions((0.0,)), tier, guidance, 1).x0
    distances = [
        float((sample(noise, conditions((w,)), tier, guidance, 1).x0 - plain).norm()) for w in (0.1, 0.2, 0.4, 0.8)
    ]
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_evaluations_per_step_are_the_tiers_promise():
    noise = torch.randn(SHAPE)
    for weights in ((1.0,), (0.7, 0.4, 0.2), (0.7, 0.0)):
        counts = [sample(noise, conditions(weights), t, Guidance(), 2).evaluations for t in Tier]
        assert counts == [2, 4, 6]
    counts = [sample(noise, conditions((0.7, 0.4), negative=True), t, Guidance(), 2).evaluations for t in Tier]
    assert counts == [2, 4, 8], "what a negative prompt leads away from is not where a sound's direction starts"


@pytest.mark.parametrize("tier", [Tier.BLEND, Tier.SEMANTIC])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("starts", [False, True])
def test_residual_guidance_is_stream_diffusions_and_costs_nothing(tier, prediction_type, starts):
    """Kodaira et al. 2023: e = e_v + r (e_c - e_v) with e_v = (x_t - sqrt(abar) x_0) / sqrt(1 - abar), x_0 the input.

    In two steps, the second from the first one's x0 and the frame's own noise; v becomes the noise by its definition.
    """
    spec, r = replace(SPEC, prediction_type=prediction_type), 1.6
    g = torch.Generator().manual_seed(7)
    noise, picture = torch.randn(2, *SHAPE, generator=g, dtype=torch.float64)
    c = conditions(())
    request = SampleRequest(
        noise, c, tier, Guidance(residual_scale=r), 2, picture if starts else None, 1.0
    )  # fmt: skip
    got = LcmSampler(denoiser, NoiseSchedule(spec))(request)
    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
    x0 = picture if starts else torch.zeros_like(noise)
    x = alpha_bar[999].sqrt() * picture + (1 - alpha_bar[999]).sqrt() * noise if starts else noise
    for t in (999, 359):
        a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
        if t == 359:
            x = a * x0 + s * noise
        answer = denoiser(x, torch.tensor([t]), c.text[None])
        e_c = answer if prediction_type == "epsilon" else a * answer + s * x  # v = a e - s x0, x = a x0 + s e
        e_v = (x - a * (picture if starts else 0)) / s
        e = e_v + r * (e_c - e_v)
        skip = 0.25 / ((10 * t) ** 2 + 0.25)
        x0 = skip * x + 10 * t / ((10 * t) ** 2 + 0.25) ** 0.5 * (x - s * e) / a
    torch.testing.assert_close(got.x0, x0, rtol=1e-9, atol=1e-9)
    assert got.evaluations == 2


def test_the_papers_tier_has_its_own_guidance_and_no_residual():
    noise, c = torch.randn(*SHAPE, dtype=torch.float64), conditions((0.5,))
    one, other = (sample(noise, c, Tier.REFERENCE, Guidance(residual_scale=r), 2).x0 for r in (1.0, 3.0))
    assert torch.equal(one, other)


def test_one_step_is_guided_whatever_the_warmup():
    assert warmup_steps(Guidance(warmup=0.2), 1) == 0
    assert warmup_steps(Guidance(warmup=0.2), 50) == 10


def test_threshold_keeps_the_largest_share_per_channel():
    d = torch.randn(2, 4, 32, 32)
    kept = keep_largest(d, 0.95)
    assert ((kept != 0).flatten(2).sum(-1) == 51).all()
    threshold = np.quantile(d[1, 2].abs().numpy(), 0.95)
    assert kept[1, 2][kept[1, 2] != 0].abs().min() >= threshold - 1e-6
    assert torch.equal(keep_largest(d, 0.0), d)


def test_start_latents_skip_the_noisiest_steps():
    noise, start = torch.randn(SHAPE), torch.randn(SHAPE)
    few = sample(noise, conditions(()), Tier.BLEND, Guidance(), 4, start=start, strength=0.5)
    assert few.evaluations == 2


def test_blend_and_mix_are_linear():
    c = conditions((0.5, 0.25))
    torch.testing.assert_close(
        blend(c), c.text + 0.5 * (c.audio[0].tokens - c.null) + 0.25 * (c.audio[1].tokens - c.null)
    )
    two = torch.stack([c.text, c.uncond])
    torch.testing.assert_close(mix(two, [1.0, 1.0], c.null), two.mean(0))
    torch.testing.assert_close(mix(two, [0.25, 0.25], c.null), 0.25 * two.sum(0) + 0.5 * c.null)


def test_crossfade_is_exact_at_its_ends_and_keeps_length():
    a, b = torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=-1)
    assert crossfade(a, b, 0.0, True) is a
    assert crossfade(a, b, 1.0, True) is b
    torch.testing.assert_close(crossfade(a, b, 0.3, True).norm(dim=-1), torch.ones(5))
    zero = torch.zeros(5, 8)
    torch.testing.assert_close(crossfade(zero, b, 0.5, True), b / 2)


def test_bad_strengths_are_refused():
    with pytest.raises(ValueError, match="quantile is 2"):
        Guidance(quantile=2)
    with pytest.raises(ValueError, match="1 to 4 would be accepted"):
        NoiseSchedule(SPEC).timesteps(9)
