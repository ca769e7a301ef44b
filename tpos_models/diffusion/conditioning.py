"""From prompts and sounds to the tokens a network is conditioned on.

Text and sound meet in the text space's own format (B, TOKENS, TOKEN_SIZE). The direction from "" to a sound's tokens
is what the sound adds to any prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tpos_models.audio.loudness import ROOM_DB, strength
from tpos_models.contracts import AudioEmbedding


@dataclass(frozen=True)
class AudioTerm:
    """One thing that steers the picture: what the sound, or a rule's `show` phrase, asks for, and how strongly.

    The weight is a tensor () where a frame is recorded once and replayed with other weights.
    """

    tokens: torch.Tensor
    weight: float | torch.Tensor


@dataclass(frozen=True)
class Conditions:
    """Everything one frame is conditioned on, as tokens (TOKENS, TOKEN_SIZE).

    `null` encodes "", where every sound's direction starts; `uncond` is what classifier-free guidance moves away from:
    a negative prompt, or `null` itself.
    """

    text: torch.Tensor
    null: torch.Tensor
    uncond: torch.Tensor
    audio: tuple[AudioTerm, ...] = ()

    @property
    def sounds(self) -> tuple[AudioTerm, ...]:
        """The terms that have a say. A tensor as weight has one: looking into it would keep the host waiting."""
        return tuple(term for term in self.audio if isinstance(term.weight, torch.Tensor) or term.weight != 0)

    @property
    def negative(self) -> bool:
        """Whether there is a negative prompt."""
        return self.uncond is not self.null


def blend(conditions: Conditions, scale: float = 1.0) -> torch.Tensor:
    """The prompt with every sound added: c_t + scale * sum_i w_i (c_a_i - c_null); exactly c_t when all w_i are 0."""
    tokens = conditions.text
    for term in conditions.sounds:
        tokens = tokens + scale * term.weight * (term.tokens - conditions.null)
    return tokens


def merged(conditions: Conditions) -> AudioTerm:
    """All sounds as one, for one evaluation of the network: weight W = sum_i w_i > 0, tokens sum_i w_i / W c_a_i."""
    first, *others = conditions.sounds
    if not others:
        return first
    weight = sum((term.weight for term in others), first.weight)
    weighted = sum((term.weight * term.tokens for term in others), first.weight * first.tokens)
    return AudioTerm(weighted / weight, weight)


def mix(tokens: torch.Tensor, weights: Sequence[float], null: torch.Tensor) -> torch.Tensor:
    """Weighted prompts as one: tokens (B, L, D) -> (L, D). Weights above a sum of 1 are shared out; below, "" fills."""
    w = torch.tensor(list(weights), dtype=tokens.dtype, device=tokens.device)
    total = float(w.sum())
    if total > 1:
        w, total = w / total, 1.0
    return (w[:, None, None] * tokens).sum(0) + (1 - total) * null


def crossfade(a: torch.Tensor, b: torch.Tensor, x: float, spherical: bool) -> torch.Tensor:
    """From `a` (x = 0) to `b` (x = 1), exact at both ends; spherical turns a token's direction and fades its length."""
    if x <= 0:
        return a
    if x >= 1:
        return b
    return _slerp(a, b, x) if spherical else torch.lerp(a, b, x)


def _slerp(a: torch.Tensor, b: torch.Tensor, x: float) -> torch.Tensor:
    """Shoemake 1985, per token; near-parallel or zero tokens are mixed linearly."""
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / (length_a * length_b).clamp_min(1e-12)
    angle = cosine.clamp(-1, 1).acos()
    straight = (angle.sin() < 1e-3) | (length_a * length_b < 1e-12)
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    direction = (
        ((1 - x) * angle).sin() * a / length_a.clamp_min(1e-12) + (x * angle).sin() * b / length_b.clamp_min(1e-12)
    ) / sine
    return torch.where(straight, torch.lerp(a, b, x), direction * torch.lerp(length_a, length_b, x))


def magnitude(embedding: AudioEmbedding, room_db: float = ROOM_DB) -> float:
    """How strongly a sound may steer, 0..1.25: its loudness beside the room's, times its encoder's attention to it."""
    return strength(embedding.loudness_db, room_db) * embedding.attention
