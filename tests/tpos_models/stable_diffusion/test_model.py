"""Loading by folder and by name, and the sampler against diffusers' own pipelines on the same weights."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.errors import InputError
from tpos_models.stable_diffusion import load, open_model
from tpos_models.stable_diffusion.architectures import ARCHITECTURES

PROMPT = "the sea at night"


def plain(model, prompt=PROMPT):
    text, null = (model.text.encode([p]).tokens[0] for p in (prompt, ""))
    return Conditions(text, null, null)


def noises(shape, count, seed=7):
    """The noise diffusers draws from a generator: the start, then one for every step but the last."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=g) for _ in range(count)]


def play(model, noise, conditions, tier=Tier.REFERENCE, steps=1, guidance=None, renoise=None):
    guidance = guidance or model.spec.guidance
    with torch.inference_mode():
        sampler = LcmSampler(model.denoiser, NoiseSchedule(model.spec), renoise)
        result = sampler(SampleRequest(noise, conditions, tier, guidance, steps))
        return result, model.decoder(result.x0)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_amount_zero_is_diffusers_own_lcm_pipeline(pipelines, models, steps):
    _, pipeline = pipelines("lcm")
    model = models("lcm")
    start, *later = noises((1, 4, 8, 8), steps)
    want = pipeline(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=8.5,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
        height=64,
        width=64,
    ).images[0]
    silent = plain(model)
    silent = Conditions(silent.text, silent.null, silent.uncond, (AudioTerm(silent.null, 0.0),))
    _, image = play(model, start, silent, steps=steps, renoise=lambda i: later[i - 1])
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy(), want, atol=1e-4)
    assert want.std() > 0.01


@pytest.mark.parametrize("kind", ["sd15", "sd21", "sample", "sd15-kl"])
def test_amount_zero_is_diffusers_own_pipeline_with_the_lcm_scheduler(pipelines, models, kind):
    from diffusers import LCMScheduler

    _, pipeline = pipelines(kind)
    model = models(kind)
    config = {key: pipeline.scheduler.config[key] for key in ("beta_start", "beta_end", "prediction_type")}
    kept = pipeline.scheduler
    pipeline.scheduler = LCMScheduler(**config, original_inference_steps=50)
    try:
        timesteps = list(model.spec.timesteps[::6])
        start, *later = noises((1, 4, 8, 8), 2)
        want = pipeline(
            PROMPT,
            timesteps=timesteps,
            guidance_scale=1.7,
            generator=torch.Generator().manual_seed(7),
            output_type="np",
            height=64,
            width=64,
        ).images[0]
    finally:
        pipeline.scheduler = kept
    guidance = Guidance(guidance_scale=1.7)
    _, image = play(model, start, plain(model), steps=2, guidance=guidance, renoise=lambda i: later[i - 1])
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy(), want, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers, with numpy 2
@pytest.mark.parametrize("kind", ["turbo", "sdxl", "lightning"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_few_steps_of_those_distilled_for_eulers_method_are_diffusers_own(pipelines, models, kind, steps):
    _, pipeline = pipelines(kind)
    model = models(kind)
    drawn = noises((1, 4, 8, 8), steps)
    want = pipeline(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=0.0,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        height=64,
        width=64,
    ).images
    # ancestral sampling draws noise after each step, as the next one's
    result, _ = play(model, drawn[0], plain(model), steps=steps, renoise=lambda i: drawn[i])
    torch.testing.assert_close(result.x0, want / pipeline.vae.config.scaling_factor, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "prediction", "first"),
    [("sd15", "epsilon", 999), ("sd21", "v_prediction", 999), ("turbo", "epsilon", 999), ("lcm", "epsilon", 999)],
)
def test_spec_comes_from_the_folder(pipelines, kind, prediction, first):
    spec = open_model(str(pipelines(kind)[0])).spec
    assert (spec.prediction_type, spec.timesteps[0], spec.sample_size, spec.scale) == (prediction, first, (8, 8), 8)
    assert (spec.tokens, spec.token_size, spec.schedule) == (77, 32, "scaled_linear")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers, with numpy 2
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8])
def test_few_steps_are_those_of_diffusers(pipelines, steps):
    from diffusers import EulerDiscreteScheduler, LCMScheduler

    consistency: Any = LCMScheduler(original_inference_steps=50)
    consistency.set_timesteps(steps)
    assert NoiseSchedule(open_model(str(pipelines("lcm")[0])).spec).timesteps(steps) == consistency.timesteps.tolist()
    if steps <= 4:
        turbo: Any = EulerDiscreteScheduler(timestep_spacing="trailing")
        turbo.set_timesteps(steps)
        spec = open_model(str(pipelines("turbo")[0])).spec
        assert NoiseSchedule(spec).timesteps(steps) == turbo.timesteps.tolist()


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("kind", ["sd15", "sd21", "turbo", "lcm", "sdxl"])
def test_sound_steers_every_kind_in_every_tier(models, kind, tier):
    model = models(kind)
    quiet = plain(model)
    heard = model.audio.hear(0.5 * np.ones(1000, np.float32), 1000, 0.0)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    played = [
        play(model, noise, Conditions(quiet.text, quiet.null, quiet.uncond, (AudioTerm(heard.tokens, w),)), tier)
        for w in (0.0, 0.4, 1.0)
    ]
    assert all(image.shape == (1, 3, 64, 64) and image.min() >= 0 and image.max() <= 1 for _, image in played)
    silent, soft, loud = (result.x0 for result, _ in played)
    assert 0 < (soft - silent).norm() < (loud - silent).norm()


@pytest.mark.parametrize("name", [f"random:{name}" for name in ARCHITECTURES if name.startswith("tiny")])
def test_random_models_need_nothing_and_repeat_themselves(name, joint_encoder):
    first, again = (load(name, audio_encoder=joint_encoder, size_px=(96, 64)) for _ in range(2))
    noise = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    a, b = (play(model, noise, plain(model))[1] for model in (first, again))
    assert a.shape == (1, 3, 64, 96)
    assert torch.equal(a, b)
    assert a.std() > 0.001


def test_half_precision_keeps_latents_in_float32(pipelines, joint_encoder):
    folder = str(pipelines("sd15")[0])
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    full, half = (load(folder, dtype=dtype, audio_encoder=joint_encoder) for dtype in (torch.float32, torch.bfloat16))
    (a, image), (b, rough) = (play(model, noise, plain(model)) for model in (full, half))
    assert a.x0.dtype == b.x0.dtype == rough.dtype == torch.float32
    assert 0 < (image - rough).abs().max() < 0.2


@pytest.mark.parametrize("size", [(100, 64), (64, 20), (8, 8), (4096, 64)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(InputError, match=f"size {size[0]}x{size[1]}: multiples of 8"):
        open_model("random:tiny-sd15", size_px=size)


def test_prompts_are_encoded_once_whatever_they_are(models):
    model = models("sd15")
    prompts = ["", "the sea", "日本の海 🌊", "word " * 500, "\x00\ud800", "<|endoftext|> <|startoftext|>"]
    first = model.text.encode(prompts)
    misses = model.text.remembered().misses
    again = model.text.encode(prompts)
    assert first.tokens.shape == (6, 77, 32)
    assert torch.isfinite(first.tokens).all()
    assert torch.equal(first.tokens, again.tokens)
    assert model.text.remembered().misses == misses


def test_tokens_are_those_of_transformers(pipelines, models):
    _, pipeline = pipelines("sd15")
    model = models("sd15")
    want, _ = pipeline.encode_prompt(PROMPT, "cpu", 1, False)
    torch.testing.assert_close(model.text.encode([PROMPT]).tokens, want.detach(), rtol=1e-5, atol=1e-5)


def test_importing_is_cheap():
    code = "import sys, tpos_models.stable_diffusion; sys.exit(bool({'diffusers', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
