"""Stable Diffusion as one of the engine's models: `load` a name, a folder or `random:ARCH`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tpos_models.contracts import AudioEncoder, Model, ModelSpec, PredictionType, Stepping, TextSpace
from tpos_models.diffusion.guidance import Guidance
from tpos_models.diffusion.step import compiles, pixels_network, step_network
from tpos_models.errors import InputError, ModelError
from tpos_models.network import Network, Runner, run_in_torch
from tpos_models.stable_diffusion import hub
from tpos_models.stable_diffusion.architectures import PREFIX, Config, architecture
from tpos_models.stable_diffusion.audio_encoders import JointEncoder, NamedEncoder, PhraseEncoder, choose_audio_encoder
from tpos_models.stable_diffusion.devices import CPU
from tpos_models.stable_diffusion.folder import read_folder
from tpos_models.stable_diffusion.live_lora import LiveLoras
from tpos_models.stable_diffusion.lora import Lora
from tpos_models.stable_diffusion.modules import Source
from tpos_models.stable_diffusion.networks import Placement, Recipe
from tpos_models.stable_diffusion.text import ClipText
from tpos_models.stable_diffusion.tokens import byte_tokenizer, read_tokenizer
from tpos_models.stable_diffusion.tpos import TposAudioEncoder, shares_joint_space

FEW_STEPS = Guidance(guidance_scale=1.0, audio_scale=1.5, quantile=0.8)
"""Consistency and adversarially distilled models carry their guidance inside; 5 k over 5 % of the picture, the paper's
choice for 50 steps, would leave their range in one."""
LCM_LORA = replace(FEW_STEPS, guidance_scale=1.5)
"""LCM-LoRA models take a classifier-free scale of 1 to 2 (Luo et al. 2023b)."""

_PREDICTIONS: tuple[PredictionType, ...] = ("epsilon", "v_prediction", "sample")
_NOISE: Config = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "trained_betas": None,
    "rescale_betas_zero_snr": False,
}  # fmt: skip
"""The only noise that `NoiseSchedule` has for Stable Diffusion."""
_STEPPINGS: dict[str, Stepping] = {
    "EulerDiscreteScheduler": "euler", "EulerAncestralDiscreteScheduler": "ancestral"
}  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A model described but not loaded: what `load`, `tpos build` and `tpos bench` start from."""

    spec: ModelSpec
    recipe: Recipe
    tokenizers: tuple[Any, ...]

    def networks(self) -> tuple[Network, ...]:
        """Text encoder, denoiser and decoder."""
        return self.recipe.text_encoder(), self.recipe.denoiser(), self.recipe.decoder()


def open_model(
    name: str,
    placement: Placement | None = None,
    size_px: tuple[int, int] | None = None,
) -> Opened:
    """Describe a model: `random:ARCH`, a known name, a diffusers folder or a fetched hub id.

    `size_px` is (width, height), by default the size the model was trained at. Reads configurations, no weights.
    Raises `ModelError`, `MissingFileError` or `InputError`, one line each.
    """
    known, fused = hub.KNOWN.get(name), tuple[Lora, ...]()
    if name.startswith(PREFIX):
        source = Source(name, architecture(name))
        tokenizers = (byte_tokenizer(), byte_tokenizer(pad="!"))[: len(source.configs.texts)]
    else:
        root = hub.locate(name)
        folder, configs = read_folder(root, _tiny_vae(root))
        source = Source(name, configs, folder)
        tokenizers = tuple(read_tokenizer(root / part) for part in ("tokenizer", "tokenizer_2")[: len(configs.texts)])
    if known and known.lora:
        fused = (Lora(_cached_lora(name, known.lora, known.lora_file)),)
        source = replace(source, configs=replace(source.configs, scheduler=source.configs.scheduler | known.scheduler))
    recipe = Recipe(source, (0, 0), fused, placement or Placement())
    recipe = replace(recipe, size=_latent_size(source.configs.unet, recipe.scale, size_px))
    return Opened(_spec(name, recipe), recipe, tokenizers)


def load(
    name: str,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
    loras: Sequence[Lora] = (),
    runner: Runner = run_in_torch,
    runner_name: str = "",
    size_px: tuple[int, int] | None = None,
    audio_encoder: JointEncoder | Path | str = "auto",
    whole_steps: bool = False,
) -> Model:
    """Load a playable model (see `open_model` for names and errors).

    `dtype` is the networks' precision; latents stay float32. `loras` are live (`Model.loras`). `runner_name` is what
    `Model.runner` says, by default "torch" or "cuda". `audio_encoder` hears the sound: one of its own, or the name of
    one (see `audio_encoders.choose_audio_encoder`). `whole_steps` loads `Model.step` and `Model.pixels`.
    """
    opened, live = open_model(name, Placement(device, dtype), size_px), LiveLoras(loras)
    opened = replace(opened, recipe=replace(opened.recipe, adapters=live.adapters))
    clip = ClipText(opened.tokenizers, runner(opened.recipe.text_encoder()), device)
    denoiser, decoder = opened.recipe.denoiser(), opened.recipe.decoder()
    denoise, decode = cache(lambda: runner(denoiser)), cache(lambda: runner(decoder))
    step = pixels = None
    if whole_steps and compiles(opened.spec):
        step, pixels = runner(step_network(denoiser, opened.spec.guidance.quantile)), runner(pixels_network(decoder))
    else:
        denoise()
        decode()
    live.stale = clip.forget
    encode = cache(lambda: runner(opened.recipe.encoder()))  # only a show that starts from a picture needs it
    text, audio = _audio_encoder(clip, audio_encoder, device, runner)
    return Model(
        spec=replace(opened.spec, joint_size=text.encode([""]).joint.shape[-1]),
        text=text,
        audio=audio,
        denoiser=lambda x_t, t, tokens: denoise()(x_t, t, tokens)[0],
        decoder=lambda latents: decode()(latents)[0],
        encoder=lambda image: encode()(image.to(device))[0],
        runner=runner_name or ("cuda" if device.type == "cuda" else "torch"),
        device=device,
        step=step,
        pixels=pixels,
        loras=live if loras else None,
    )


def open_text(name: str) -> ClipText:
    """A model's text encoder alone, on the CPU, as training needs it; names and errors as `open_model`."""
    opened = open_model(name, Placement(CPU))
    return ClipText(opened.tokenizers, run_in_torch(opened.recipe.text_encoder()), CPU)


def _audio_encoder(
    clip: ClipText, chosen: JointEncoder | Path | str, device: torch.device, runner: Runner
) -> tuple[TextSpace, AudioEncoder]:
    if isinstance(chosen, Path | str):
        chosen = choose_audio_encoder(str(chosen), device)
    if not isinstance(chosen, Path):
        return clip.compared_in(chosen), PhraseEncoder(chosen, clip)
    draws = TposAudioEncoder(chosen, clip, device, runner)
    if shares_joint_space(chosen, clip):
        return clip, draws
    names = choose_audio_encoder("auto", device)
    assert not isinstance(names, Path)
    return clip.compared_in(names), NamedEncoder(draws, names)


def _tiny_vae(root: Path) -> Path | None:
    """The tiny VAE that replaces the folder's own: in it as `taesd`, with SDXL `taesdxl`, or fetched."""
    repository = hub.tiny_vae(root)
    beside = root / repository.rpartition("/")[2]
    return beside if (beside / "config.json").is_file() else hub.cached(repository)


def _cached_lora(name: str, repo: str, file: str) -> Path:
    folder = hub.cached(repo, file)
    if folder is None:
        raise ModelError(f"{repo}: its LoRA is not on this machine; `tpos models fetch {name}` downloads it")
    return folder / file


def _latent_size(unet: Config, scale: int, size_px: tuple[int, int] | None) -> tuple[int, int]:
    """Latents' (height, width); raises `InputError` for a size the networks cannot halve often enough."""
    if size_px is None:
        trained = unet.get("sample_size", 64)
        return (trained[0], trained[1]) if isinstance(trained, list | tuple) else (trained, trained)
    width, height = size_px
    if width % 8 or height % 8 or not (64 <= width <= 2048 and 64 <= height <= 2048):
        raise InputError(f"size {width}x{height}: multiples of 8 from 64 to 2048 would be accepted")
    return height // scale, width // scale


def _spec(name: str, recipe: Recipe) -> ModelSpec:
    scheduler, text = recipe.source.configs.scheduler, recipe.source.configs.texts[-1]
    lcm_lora = name in hub.KNOWN and hub.KNOWN[name].scheduler is hub.LCM
    prediction = scheduler.get("prediction_type", "epsilon")
    where = f"{recipe.source.folder.root}/scheduler/scheduler_config.json" if recipe.source.folder else name
    if prediction not in _PREDICTIONS:
        raise ModelError(f"{where}: prediction_type is {prediction}; {', '.join(_PREDICTIONS)} would be accepted")
    for key, accepted in _NOISE.items():
        if (found := scheduler.get(key) or accepted) != accepted:
            raise ModelError(f"{where}: {key} is {found!s:.40}; {accepted} would be accepted")
    return ModelSpec(
        name=name,
        latent_channels=recipe.channels,
        sample_size=recipe.size,
        scale=recipe.scale,
        tokens=recipe.tokens,
        token_size=recipe.token_size,
        joint_size=int(text.get("projection_dim") or recipe.token_size),
        prediction_type=prediction,
        schedule="scaled_linear",
        num_train_timesteps=int(scheduler.get("num_train_timesteps", 1000)),
        stepping=_STEPPINGS.get(scheduler.get("_class_name", ""), "consistency"),
        timesteps=few_step_timesteps(scheduler),
        guidance=LCM_LORA if lcm_lora else FEW_STEPS,
    )


def few_step_timesteps(scheduler: Config) -> tuple[int, ...]:
    """The schedule that few steps are taken from, noisiest first.

    Consistency models know `original_inference_steps` timesteps (19, 39 .. 999: diffusers' LCMScheduler); the others,
    as turbo models were distilled, the trailing ones of 12, so that 1, 2, 3 and 4 steps fall on 999, 749, 666, ...
    """
    train = int(scheduler.get("num_train_timesteps", 1000))
    if scheduler.get("_class_name") == "LCMScheduler":
        steps = int(scheduler.get("original_inference_steps", 50))
        return tuple(i * (train // steps) - 1 for i in range(steps, 0, -1))
    return tuple(round(train * i / 12) - 1 for i in range(12, 0, -1))
