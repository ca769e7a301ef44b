"""`pocket` as a playable model: its networks for any runner, and the parts put together behind the contract."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from tpos_models import weights
from tpos_models.contracts import Encoder, Model, ModelSpec
from tpos_models.diffusion.guidance import Guidance
from tpos_models.network import Network, Run, Runner, run_in_torch
from tpos_models.pocket.codec import Codec
from tpos_models.pocket.scene import CONDITIONS, PLACES, scene, to_tokens
from tpos_models.pocket.scene_flow import scene_flow

WEIGHTS = Path(__file__).parent / "weights"
PARTS = ("text", "hearing", "denoiser", "decoder", "encoder")

SPEC = ModelSpec(
    name="pocket",
    guidance=Guidance(guidance_scale=1.0, audio_scale=1.0, quantile=0.0, warmup=0.0),
    spherical=False,  # scene tokens are a linear space: half-way between two scenes is both, at half strength
)


def load(runner: Runner = run_in_torch, name: str = "torch", folder: Path = WEIGHTS) -> Model:
    """`pocket` on a runner; raises `ModelError` or `MissingFileError` when its weights are damaged or gone."""
    from tpos_models.pocket.audio_encoder import PocketHearing
    from tpos_models.pocket.text import PocketText

    text = PocketText.load(folder)
    segment, temporal = (runner(network) for network in hearing_networks(folder))
    denoiser, decoder = (runner(network) for network in picture_networks(folder))
    hearing = PocketHearing(_first(segment), _three(temporal), folder)
    return Model(SPEC, text, hearing, _first(denoiser), _first(decoder), _encoder(folder), name, noise_flow=scene_flow)


def check_weights(folder: Path = WEIGHTS) -> str:
    """Verify every file's checksum; one line of good news, or raises as `load` does."""
    for part in PARTS:
        weights.load(folder, part)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f"weights complete, {size / 2**20:.1f} MiB, checksums right"


def picture_networks(folder: Path = WEIGHTS) -> tuple[Network, Network]:
    """Denoiser and decoder."""
    channels, (height, width) = SPEC.latent_channels, SPEC.sample_size

    def latents(batch: int) -> torch.Tensor:
        return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(batch))

    def denoiser_example(batch: int) -> tuple[torch.Tensor, ...]:
        tokens = torch.randn(batch, SPEC.tokens, SPEC.token_size, generator=torch.Generator().manual_seed(batch))
        return latents(batch), torch.full((batch,), SPEC.timesteps[0]), tokens

    def evaluations() -> list[tuple[torch.Tensor, ...]]:
        """Every place, under one condition after the other, each from a noise of its own."""
        t = torch.full((1,), SPEC.timesteps[0])
        weather = itertools.cycle(CONDITIONS)
        tokens = [to_tokens(scene({place: 1.0}, {next(weather): 0.9}))[None] for place in PLACES]
        return [(z, t, one) for z, one in zip(latents(len(PLACES)).split(1), tokens, strict=True)]

    def drawn(run: Run) -> list[tuple[torch.Tensor, ...]]:
        return [run(*tensors) for tensors in evaluations()]

    denoiser = Network(
        "pocket-denoiser",
        lambda: load_denoiser(folder),
        denoiser_example,
        ("x_t", "t", "tokens"),
        ("prediction",),
        _fingerprint(folder, "denoiser"),
        real=evaluations,
    )
    decoder = Network(
        "pocket-decoder",
        lambda: load_codec(folder).decoder,
        lambda batch: (latents(batch),),
        ("latents",),
        ("image",),
        _fingerprint(folder, "decoder"),
        real=lambda: drawn(run_in_torch(denoiser)),
    )
    return denoiser, decoder


def hearing_networks(folder: Path = WEIGHTS) -> tuple[Network, Network]:
    """The audio encoder's two halves: what runs for each new segment, and what runs on the newest segments."""
    from tpos_models.audio.encoder import SegmentHalf
    from tpos_models.pocket.audio_encoder import WINDOW, TemporalPart, load_net

    net = cache(lambda: load_net(folder))
    fingerprint = _fingerprint(folder, "hearing")
    segment = Network(
        "pocket-segment",
        lambda: SegmentHalf(net().encoder).eval(),
        lambda batch: (torch.rand(batch, WINDOW.rows, WINDOW.segment_frames),),
        ("picture",),
        ("features",),
        fingerprint,
    )
    temporal = Network(
        "pocket-temporal",
        lambda: TemporalPart(net()).eval(),
        lambda batch: (torch.randn(batch, WINDOW.segments, SPEC.joint_size),),
        ("features",),
        ("tokens", "joint", "beta"),
        fingerprint,
    )
    return segment, temporal


def networks(folder: Path = WEIGHTS) -> tuple[Network, ...]:
    """Every network that leaves as ONNX."""
    return (*hearing_networks(folder), *picture_networks(folder))


def _fingerprint(folder: Path, part: str) -> str:
    """Of the weights and of the code they run in: a graph built from either before it changed is not this network."""
    record = weights.read_record(folder / f"{part}.json")
    return hashlib.sha256(f"{record.get('sha256', '')} {_code()}".encode()).hexdigest()


@cache
def _code() -> str:
    here = Path(__file__).parent
    files = (*sorted(here.glob("*.py")), here.parent / "audio" / "encoder.py")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


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


def load_denoiser(folder: Path = WEIGHTS) -> torch.nn.Module:
    """The denoiser in torch."""
    from tpos_models.pocket.denoiser import Denoiser, DenoiserShape

    tensors, record = weights.load(folder, "denoiser")
    shape = record["shape"]
    module = Denoiser(DenoiserShape(**{**shape, "widths": tuple(shape["widths"])}))
    weights.load_into(module, tensors, str(folder / "denoiser.safetensors"))
    return module.eval()


def load_codec(folder: Path = WEIGHTS) -> Codec:
    """Encoder and decoder in torch."""
    codec = Codec()
    for part in ("encoder", "decoder"):
        weights.load_into(getattr(codec, part), weights.load(folder, part)[0], str(folder / f"{part}.safetensors"))
    return codec.eval()
