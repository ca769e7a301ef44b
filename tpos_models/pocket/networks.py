"""The networks of `pocket` for any runner, each known by its weights and by the code that shapes it."""

from __future__ import annotations

import ast
import hashlib
import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

import tpos_models
from tpos_models import weights
from tpos_models.audio.encoder import SegmentHalf
from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.guidance import Guidance
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import Network, Tensors, run_in_torch
from tpos_models.pocket.audio_networks import WINDOW, TemporalPart, load_net
from tpos_models.pocket.codec import load_codec
from tpos_models.pocket.scene import CONDITIONS, PLACES, scene, to_tokens

WEIGHTS = Path(__file__).parent / "weights"
PACKAGE = Path(tpos_models.__file__).parent
CPU = torch.device("cpu")

SHAPED_BY = {
    "pocket-segment": ("pocket/networks.py", "pocket/audio_networks.py", "audio/encoder.py"),
    "pocket-temporal": ("pocket/networks.py", "pocket/audio_networks.py", "audio/encoder.py", "pocket/scene.py"),
    "pocket-denoiser": (
        "pocket/networks.py",
        "pocket/denoiser.py",
        "pocket/hypernetwork.py",
        "pocket/noise_features.py",
        "pocket/scene.py",
    ),
    "pocket-decoder": ("pocket/networks.py", "pocket/codec.py", "pocket/noise_features.py"),
    "pocket-encoder": ("pocket/networks.py", "pocket/codec.py", "pocket/noise_features.py"),
}
"""Whose code counts in each network's fingerprint, in `PACKAGE`: what runs while it is built and evaluated. A change in
any other file leaves compiled networks as they are."""

SPEC = ModelSpec(
    name="pocket",
    guidance=Guidance(guidance_scale=1.0, audio_scale=1.0, quantile=0.0, warmup=0.0),
    most_steps=1,  # 30.8 dB; two have 23.6, four 19.1
    spherical=False,  # scene tokens are a linear space: half-way between two scenes is both, at half strength
)


def picture_networks(folder: Path = WEIGHTS, device: torch.device = CPU) -> tuple[Network, Network, Network]:
    """Denoiser, decoder and, for what starts from a picture, encoder."""
    channels, (height, width) = SPEC.latent_channels, SPEC.sample_size

    def latents(batch: int) -> torch.Tensor:
        return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(batch)).to(device)

    def denoiser_example(batch: int) -> tuple[torch.Tensor, ...]:
        tokens = torch.randn(batch, SPEC.tokens, SPEC.token_size, generator=torch.Generator().manual_seed(batch))
        return latents(batch), torch.full((batch,), SPEC.timesteps[0], device=device), tokens.to(device)

    denoiser = Network(
        "pocket-denoiser",
        lambda: _load_denoiser(folder).to(device),
        denoiser_example,
        ("x_t", "t", "tokens"),
        ("prediction",),
        _fingerprint(folder, "denoiser", "pocket-denoiser"),
    )
    evaluations = cache(lambda: _evaluations(denoiser, latents(len(PLACES))))
    drawn = cache(lambda: _drawn(denoiser, evaluations()))
    decoder = Network(
        "pocket-decoder",
        lambda: load_codec(folder).decoder.to(device),
        lambda batch: (latents(batch),),
        ("latents",),
        ("image",),
        _fingerprint(folder, "decoder", "pocket-decoder"),
        real=drawn,
    )
    size_px = tuple(SPEC.scale * cells for cells in SPEC.sample_size)
    encoder = Network(
        "pocket-encoder",
        lambda: load_codec(folder).encoder.to(device),
        lambda batch: (torch.rand(batch, 3, *size_px, generator=torch.Generator().manual_seed(batch)).to(device),),
        ("image",),
        ("latents",),
        _fingerprint(folder, "encoder", "pocket-encoder"),
        real=cache(lambda: _decoded(decoder, drawn())),
    )
    return replace(denoiser, real=evaluations), decoder, encoder


def _evaluations(denoiser: Network, noise: torch.Tensor) -> dict[int, list[Tensors]]:
    """At every timestep: every place, under one condition after the other, each from a noise of its own."""
    schedule, denoise = NoiseSchedule(SPEC), run_in_torch(denoiser)
    weather = itertools.cycle(CONDITIONS)
    tokens = [to_tokens(scene({place: 1.0}, {next(weather): 0.9}))[None].to(noise) for place in PLACES]
    x_t = list(noise.split(1))
    found: dict[int, list[Tensors]] = {}
    for i, step in enumerate(SPEC.timesteps):
        if i:
            last = found[SPEC.timesteps[i - 1]]
            x_t = [schedule.add_noise(denoise(*one)[0], z, step) for one, z in zip(last, noise.split(1), strict=True)]
        found[step] = [(x, torch.full((1,), step, device=x.device), one) for x, one in zip(x_t, tokens, strict=True)]
    return found


def _drawn(denoiser: Network, evaluations: dict[int, list[Tensors]]) -> dict[int, list[Tensors]]:
    """What the denoiser makes of them: what the decoder is given."""
    denoise = run_in_torch(denoiser)
    return {step: [denoise(*one) for one in inputs] for step, inputs in evaluations.items()}


def _decoded(decoder: Network, drawn: dict[int, list[Tensors]]) -> dict[int, list[Tensors]]:
    """Pictures of it at the first timestep: what the encoder is given."""
    decode, step = run_in_torch(decoder), SPEC.timesteps[0]
    return {step: [decode(*one) for one in drawn[step]]}


def _load_denoiser(folder: Path) -> torch.nn.Module:
    from tpos_models.pocket.denoiser import load_denoiser  # diffusers, only where the network is built

    return load_denoiser(folder)


def audio_encoder_networks(folder: Path = WEIGHTS) -> tuple[Network, Network]:
    """The audio encoder's two halves: what runs for each new segment, and what runs on the newest segments."""
    net = cache(lambda: load_net(folder))
    segment = Network(
        "pocket-segment",
        lambda: SegmentHalf(net().encoder).eval(),
        lambda batch: (torch.rand(batch, WINDOW.rows, WINDOW.segment_frames),),
        ("picture",),
        ("features",),
        _fingerprint(folder, "hearing", "pocket-segment"),
    )
    temporal = Network(
        "pocket-temporal",
        lambda: TemporalPart(net()).eval(),
        lambda batch: (torch.randn(batch, WINDOW.segments, SPEC.joint_size),),
        ("features",),
        ("tokens", "joint", "beta"),
        _fingerprint(folder, "hearing", "pocket-temporal"),
    )
    return segment, temporal


def networks(folder: Path = WEIGHTS) -> tuple[Network, ...]:
    """Every network that leaves as ONNX."""
    return (*audio_encoder_networks(folder), *picture_networks(folder))


def _fingerprint(folder: Path, part: str, network: str) -> str:
    """Of the weights and of the code that shapes them: a graph built before either changed is not this network."""
    record = weights.read_record(folder / f"{part}.json")
    return hashlib.sha256(f"{record.get('sha256', '')} {_code(network)}".encode()).hexdigest()


@cache
def _code(network: str) -> str:
    """Of the syntax of a network's files: comments, docstrings and blank lines shape nothing."""
    texts = (PACKAGE.joinpath(name).read_text(encoding="utf-8") for name in SHAPED_BY[network])
    trees = (_WithoutDocstrings().visit(ast.parse(text)) for text in texts)
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops statements that are nothing but a string."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node
