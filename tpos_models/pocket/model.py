"""`pocket` as a playable model: its networks for any runner, and the parts put together behind the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from tpos_models import weights
from tpos_models.contracts import Encoder, Model
from tpos_models.network import Run, Runner, run_in_torch
from tpos_models.pocket.audio_encoder import PocketAudioEncoder
from tpos_models.pocket.codec import load_codec
from tpos_models.pocket.networks import SPEC, WEIGHTS, audio_encoder_networks, picture_networks
from tpos_models.pocket.scene_flow import scene_flow
from tpos_models.pocket.text import PocketText

PARTS = ("text", "hearing", "denoiser", "decoder", "encoder")


def load(runner: Runner = run_in_torch, name: str = "torch", folder: Path = WEIGHTS) -> Model:
    """`pocket` on a runner; raises `ModelError` or `MissingFileError` when its weights are damaged or gone."""
    text = PocketText.load(folder)
    segment, temporal = (runner(network) for network in audio_encoder_networks(folder))
    denoiser, decoder = (runner(network) for network in picture_networks(folder))
    audio = PocketAudioEncoder(_first(segment), _three(temporal), folder)
    return Model(SPEC, text, audio, _first(denoiser), _first(decoder), _encoder(folder), name, noise_flow=scene_flow)


def check_weights(folder: Path = WEIGHTS) -> str:
    """Verify every file's checksum; one line of good news, or raises as `load` does."""
    for part in PARTS:
        weights.load(folder, part)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f"weights complete, {size / 2**20:.1f} MiB, checksums right"


def _first(run: Run) -> Callable[..., torch.Tensor]:
    return lambda *tensors: run(*tensors)[0]


def _encoder(folder: Path) -> Encoder:
    """The codec's other half in torch, read when a show first starts from a picture."""
    codec = cache(lambda: load_codec(folder))

    @torch.inference_mode()
    def encode(image: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = codec().encoder(image)
        return latents

    return encode


def _three(run: Run) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    def call(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens, joint, beta = run(features)
        return tokens, joint, beta

    return call
