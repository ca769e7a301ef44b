"""The one-step denoiser: diffusers' own UNet2DModel, told everything about x_t that the world is told about z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

from tpos_models.pocket.canvas import CELLS, CHANNELS, FEATURES, Lens
from tpos_models.pocket.scene import TOKEN_SIZE, TOKENS
from tpos_models.pocket.sketch import SKETCH, Sketcher


@dataclass(frozen=True)
class DenoiserShape:
    """Widths of the UNet's levels, blocks per level, width of the prompt's hidden layer."""

    widths: tuple[int, ...] = (64, 128)
    layers: int = 1
    hidden: int = 256
    lines: int = 32
    """Maps that mix the features of x_t as the prompt says: where each ridge, shore and flame of a scene runs."""


class Denoiser(nn.Module):
    """(x_t (B, 4, 32, 32), t (B,) int64 in 0..999, tokens (B, 17, 32)) -> x0 (B, 4, 32, 32).

    Rectified flow: x_t = (1 - s) x0 + s z with s = t / 999, so that at t = 999 x_t is z itself. The tokens steer every
    block by scale and shift (FiLM), through the embedding that diffusers offers for classes, and choose the lines along
    which the features are cut.
    """

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        shape = shape or DenoiserShape()
        levels = len(shape.widths)
        self.lens = Lens(CELLS)
        self.unet: Any = UNet2DModel(  # whose base class its own stubs do not know
            sample_size=CELLS,
            in_channels=FEATURES + 2 * shape.lines + SKETCH,
            out_channels=CHANNELS,
            block_out_channels=shape.widths,
            layers_per_block=shape.layers,
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            add_attention=False,
            resnet_time_scale_shift="scale_shift",
            class_embed_type="identity",
            norm_num_groups=8,
        )
        self.sketcher = Sketcher()
        self.lines = nn.Linear(TOKENS * TOKEN_SIZE, shape.lines * FEATURES)
        nn.init.normal_(self.lines.weight, std=0.08)
        nn.init.zeros_(self.lines.bias)
        embedding = shape.widths[0] * 4
        self.condition = nn.Sequential(
            nn.Linear(TOKENS * TOKEN_SIZE, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, embedding)
        )

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, sketch: torch.Tensor | None = None
    ) -> torch.Tensor:
        if sketch is None:
            sketch = self.sketcher(x_t, tokens)
        prompt, features = tokens.flatten(1), self.lens(x_t)
        mixing = self.lines(prompt).unflatten(1, (-1, FEATURES))
        lines = (mixing @ features.flatten(2)).unflatten(2, (CELLS, CELLS))
        seen = torch.cat([features, lines, torch.tanh(2 * lines), sketch], 1)
        return self.unet(seen, t, self.condition(prompt), return_dict=False)[0]
