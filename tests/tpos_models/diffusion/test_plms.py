"""The reference sampler against a plain float64 statement, and against diffusers' PNDM scheduler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.plms import PlmsSampler, plms_timesteps
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule

SPEC = ModelSpec("test", prediction_type="epsilon", schedule="scaled_linear", tokens=3, token_size=4)
SHAPE = (1, 4, 12, 12)


def denoiser(x_t, t, tokens):
    bias = tokens.mean((1, 2))[:, None, None, None]
    return torch.tanh(x_t.roll(1, -1) * (0.5 + bias) + 0.3 * torch.sin(3 * x_t * bias) + t[:, None, None, None] / 2000)


def conditions(weights, dtype=torch.float64, negative=False):
    g = torch.Generator().manual_seed(0)
    text, null, fog, *sounds = torch.randn(3 + len(weights), 3, 4, generator=g, dtype=torch.float64).to(dtype)
    terms = tuple(AudioTerm(sound, weight) for sound, weight in zip(sounds, weights, strict=True))
    return Conditions(text, null, fog if negative else null, terms)


def noise(dtype=torch.float64):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def play(start_noise, c, guidance, steps=50, spec=SPEC, **start):
    """The frame as the reference sampler makes it; what a request says of tier and steps is not asked."""
    sampler = PlmsSampler(denoiser, NoiseSchedule(spec), steps)
    return sampler(SampleRequest(start_noise, c, Tier.BLEND, guidance, 1, **start))


def plain_statement(x, c, g, steps, weights, prediction_type="epsilon"):
    """The paper's formulas in numpy float64, step by step; `weights[i]` are the sounds' weights at step i."""
    alpha_bar = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    dt = 1000 // steps
    v = np.zeros_like(x)

    def model(x, t, tokens):
        return denoiser(torch.from_numpy(x), torch.tensor([t]), tokens[None]).numpy()

    def guided(x, t, i):
        nonlocal v
        e_u, e_t = model(x, t, c.uncond), model(x, t, c.text)
        out = e_u + g.guidance_scale * (e_t - e_u)
        if t < 1000 * (1 - g.warmup):
            total = sum(weights[i])
            tokens = sum(w * term.tokens for w, term in zip(weights[i], c.audio, strict=True)) / total
            difference = g.audio_scale * total * (model(x, t, tokens) - model(x, t, c.null))
            d = np.zeros_like(x)
            for channel in range(x.shape[1]):
                size = np.sort(np.abs(difference[0, channel]).ravel())
                kept = max(1, round((1 - g.quantile) * size.size))
                mask = np.abs(difference[0, channel]) >= size[-kept]
                d[0, channel] += np.where(mask, difference[0, channel], 0)
            gamma = d + g.momentum_scale * v
            v = g.momentum_beta * v + (1 - g.momentum_beta) * gamma
            out = out + gamma
        if prediction_type == "v_prediction":
            out = np.sqrt(alpha_bar[t]) * out + np.sqrt(1 - alpha_bar[t]) * x
        return out

    def step(x, e, t):
        here, there = alpha_bar[t], alpha_bar[max(t - dt, 0)]
        return np.sqrt(there) * (x - np.sqrt(1 - here) * e) / np.sqrt(here) + np.sqrt(1 - there) * e

    t = 1 + (steps - 1) * dt
    e = [guided(x, t, 0)]
    x = step(x, (e[0] + guided(step(x, e[0], t), t - dt, 1)) / 2, t)
    for i in range(1, steps):
        t -= dt
        e.append(guided(x, t, i))
        if i == 1:
            mean = (3 * e[-1] - e[-2]) / 2
        elif i == 2:
            mean = (23 * e[-1] - 16 * e[-2] + 5 * e[-3]) / 12
        else:
            mean = (55 * e[-1] - 59 * e[-2] + 37 * e[-3] - 9 * e[-4]) / 24
        x = step(x, mean, t)
    return x


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    ("weights", "negative", "warmup"), [((1.0,), False, 0.2), ((0.7, 0.4), False, 0.1), ((0.7, 0.4), True, 0.05)]
)
def test_fifty_steps_are_the_papers(weights, negative, warmup, prediction_type, dtype):
    spec = replace(SPEC, prediction_type=prediction_type)
    guidance = Guidance(guidance_scale=2.0, audio_scale=1.0, warmup=warmup)
    got = play(noise(dtype), conditions(weights, dtype, negative), guidance, spec=spec)
    want = plain_statement(
        noise().numpy(), conditions(weights, negative=negative), guidance, 50, [weights] * 50, prediction_type
    )
    assert got.evaluations == 51 * (4 if negative else 3)
    if dtype == torch.float64:
        np.testing.assert_allclose(got.x0.numpy(), want, rtol=1e-9, atol=1e-9)
    else:  # a few cells at the quantile's border may fall on the other side of it in float32
        close = np.isclose(got.x0.numpy(), want, rtol=1e-3, atol=1e-3)
        assert close.mean() > 0.97


def test_amount_changes_in_mid_frame():
    weights = [(i / 20, 1 - i / 20) for i in range(20)]
    at = [conditions(w) for w in weights]
    guidance = Guidance(guidance_scale=2.0, audio_scale=1.0, quantile=0.9)
    got = play(noise(), lambda i: at[i], guidance, 20).x0.numpy()
    want = plain_statement(noise().numpy(), at[0], guidance, 20, weights)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_silent_it_is_diffusers_own_plms():
    from diffusers import PNDMScheduler

    c, guidance = conditions((), torch.float32), Guidance(guidance_scale=2.0)
    scheduler: Any = PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True, steps_offset=1
    )
    scheduler.set_timesteps(50)
    x = noise(torch.float32)
    for t in scheduler.timesteps:
        e_u, e_t = (denoiser(x, t[None], tokens[None]) for tokens in (c.uncond, c.text))
        x = scheduler.step(e_u + 2.0 * (e_t - e_u), t, x).prev_sample
    got = play(noise(torch.float32), c, guidance).x0
    torch.testing.assert_close(got, x, rtol=1e-3, atol=1e-4)


def test_an_image_skips_the_noisiest_steps():
    got = play(noise(), conditions(()), Guidance(), 20, start=noise() * 0.5, strength=0.3)
    assert got.evaluations == 7 * 2


def test_impossible_step_counts_are_refused():
    assert plms_timesteps(50)[:2] == [981, 961]
    with pytest.raises(ValueError, match="2 to 500"):
        plms_timesteps(1)
