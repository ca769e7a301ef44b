"""The paper's audio encoder and MAP with seeded random weights, beside `random:` models: for builds and benchmarks."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from tpos_models.audio.encoder import PAPER, EncoderConfig, SegmentHalf, TemporalHalf, TokenMap, TPoSEncoder
from tpos_models.contracts import AudioWindow
from tpos_models.network import Network


def random_tpos_networks(token_size: int) -> tuple[Network, Network]:
    """The encoder's two halves for a text space of 77 tokens; for 768 numbers a token exactly the paper's sizes."""
    config, window = config_for(token_size), AudioWindow()
    fingerprint = hashlib.sha256(f"random {config}".encode()).hexdigest()
    segment = Network(
        "tpos-segment",
        lambda: SegmentHalf(_encoder(config)).eval(),
        lambda batch: (torch.rand(batch, window.rows, window.segment_frames),),
        ("picture",),
        ("features",),
        fingerprint,
    )
    temporal = Network(
        "tpos-temporal",
        lambda: TemporalHalf(_encoder(config), _mapping(config), torch.zeros(token_size)).eval(),
        lambda batch: (torch.randn(batch, window.segments, config.size),),
        ("features",),
        ("tokens", "joint", "beta"),
        fingerprint,
    )
    return segment, temporal


def config_for(token_size: int) -> EncoderConfig:
    """The paper's sizes in proportion to the tokens."""
    a, b, c, d = (max(8, width * token_size // 768) for width in PAPER.widths)
    hidden, out = 76 // 7 * token_size, 76 * token_size
    return replace(PAPER, size=token_size, widths=(a, b, c, d), map_hidden=hidden, map_out=out)


def _encoder(config: EncoderConfig) -> TPoSEncoder:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(4)
        return TPoSEncoder(config).requires_grad_(False)


def _mapping(config: EncoderConfig) -> TokenMap:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(5)
        return TokenMap(config).requires_grad_(False)
