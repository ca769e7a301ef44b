"""Which way the noise moves under what is drawn: a model's own answer, or one for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Flow:
    """Speeds at motion 1 and a steady sound, one entry for each channel of the latents or one for all of them.

    `shift` holds (x, y) in cells/s, right and down, `turn` rad/s.
    """

    shift: tuple[tuple[float, float], ...]
    turn: tuple[float, ...]


NoiseFlow = Callable[[torch.Tensor], Flow]
"""Tokens (TOKENS, TOKEN_SIZE) of prompt and sound together to the speeds they ask for."""


def plain_flow(tokens: torch.Tensor) -> Flow:
    """For models whose channels have no meaning of their own: a slow pan and walk of all together."""
    return Flow(((0.25, 0.0),), (0.12,))
