"""`pocket` as a playable model: its networks for any runner, and the parts put together behind the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from tpos_models import weights
from tpos_models.contracts import Model
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.step import pixels_network, step_network
from tpos_models.errors import InputError
from tpos_models.network import Run, Runner, run_in_torch
from tpos_models.pocket.audio_encoder import PocketAudioEncoder
from tpos_models.pocket.field import load_field
from tpos_models.pocket.field_sampler import FieldSampler, stretched
from tpos_models.pocket.networks import CPU, SPEC, WEIGHTS, audio_encoder_networks, picture_networks
from tpos_models.pocket.noise_features import CELLS, cells_across
from tpos_models.pocket.scene_flow import scene_flow
from tpos_models.pocket.text import PocketText

MOST_ASPECT = 4
"""A field has so many cells beside the square's as a picture is wide."""
PARTS = ("text", "hearing", "denoiser", "decoder", "encoder", "field")


def load(
    runner: Runner = run_in_torch,
    name: str = "torch",
    folder: Path = WEIGHTS,
    device: torch.device = CPU,
    whole_steps: bool = False,
    size_px: tuple[int, int] | None = None,
) -> Model:
    """`pocket` on a runner; raises `ModelError` or `MissingFileError` when its weights are damaged or gone.

    With `size_px` (width, height) it is drawn as a field.
    What draws lies on `device`. Text and audio encoder stay on the host, where a few milliseconds do for either: what
    they say is read there, by the scores of phrases and by `scene_flow`, and a prompt's tokens are 2 kB to send.
    `whole_steps` loads `Model.step` and `Model.pixels`.
    """
    _check_shape(size_px)
    text, beside = PocketText.load(folder), runner if device.type == "cpu" else run_in_torch
    segment, temporal = (beside(network) for network in audio_encoder_networks(folder))
    denoiser, decoder, encoder = picture_networks(folder, device)
    denoise, decode = cache(lambda: runner(denoiser)), cache(lambda: runner(decoder))
    encode = cache(lambda: beside(encoder))
    step = pixels = None
    if whole_steps:
        step, pixels = runner(step_network(denoiser, SPEC.guidance.quantile)), runner(pixels_network(decoder))
    else:
        for network in (denoise, decode, encode):
            network()
    model = Model(
        SPEC,
        text,
        PocketAudioEncoder(_first(segment), _three(temporal), folder),
        lambda x_t, t, tokens: denoise()(x_t, t, tokens)[0],
        lambda latents: decode()(latents)[0],
        lambda image: encode()(image.to(device))[0],
        name,
        device,
        noise_flow=scene_flow,
        step=step,
        pixels=pixels,
    )
    return model if size_px is None else as_field(model, size_px, folder)


def as_field(model: Model, size_px: tuple[int, int], folder: Path = WEIGHTS) -> Model:
    """`pocket` with pictures of any shape and size; what starts from a picture is drawn as a square, and stretched."""
    cells = cells_across(*size_px)
    otherwise = LcmSampler(model.denoiser, NoiseSchedule(model.spec))
    sampler = FieldSampler(load_field(folder).to(model.device), size_px, cells, otherwise, model.decoder)
    return replace(
        model,
        spec=replace(model.spec, sample_size=(CELLS, cells)),
        encoder=lambda image: model.encoder(stretched(image, (CELLS * model.spec.scale,) * 2)),
        sampler=sampler,
    )


def _check_shape(size_px: tuple[int, int] | None) -> None:
    if size_px and max(size_px) > MOST_ASPECT * min(size_px):
        raise InputError(
            f"--model-size {size_px[0]}x{size_px[1]}: one side up to {MOST_ASPECT} times the other is accepted"
        )


def check_weights(folder: Path = WEIGHTS) -> str:
    """Verify every file's checksum; one line of good news, or raises as `load` does."""
    for part in PARTS:
        weights.load(folder, part)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f"weights complete, {size / 2**20:.1f} MiB, checksums right"


def _first(run: Run) -> Callable[..., torch.Tensor]:
    return lambda *tensors: run(*tensors)[0]


def _three(run: Run) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    def call(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens, joint, beta = run(features)
        return tokens, joint, beta

    return call
