"""The world's small first idea of a picture, which the denoiser turns into latents: `pocket` is told where things lie.

This is the part of `pocket` that is drawn rather than learned, as an edge map is for a controlled diffusion model. It
needs none of diffusers, so that a compiled network starts without it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.canvas import CELLS
from tpos_models.pocket.scene import from_tokens
from tpos_models.pocket.world import World

SKETCH_PX = 64
SKETCH = 3 * (SKETCH_PX // CELLS) ** 2
"""Channels of the sketch: its colours, the pixels of a cell beside each other."""
FAINT = 0.02
"""Entries of a scene below this are not sketched, those above twice this fully: what is hardly said costs no time."""


class Sketcher(nn.Module):
    """The world's small first idea of x_t: right at t = 999, ever further off below. Has no weights.

    It paints what a scene holds and skips the rest, so it stays outside compiled networks: they take it as an input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World(SKETCH_PX)

    @torch.no_grad()
    def forward(self, x_t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """x_t (B, 4, 32, 32), tokens (B, 17, 32) -> (B, SKETCH, 32, 32)."""
        scenes = from_tokens(tokens)
        clear = scenes * ((scenes.abs() - FAINT) / FAINT).clamp(0.0, 1.0)
        return (F.pixel_unshuffle(self.world(x_t, clear), SKETCH_PX // CELLS) - 0.5) * 3
