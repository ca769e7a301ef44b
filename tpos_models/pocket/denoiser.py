"""The one-step denoiser: a sketch by the network that the prompt writes, made latents by diffusers' own UNet2DModel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

from tpos_models.pocket.canvas import CELLS, CHANNELS
from tpos_models.pocket.sketch import PROMPT, Crop, Sketcher, told


@dataclass(frozen=True)
class DenoiserShape:
    """Widths of the UNet's levels, blocks per level, the prompt's hidden layer; the sketcher's sizes."""

    widths: tuple[int, ...] = (48,)
    layers: int = 1
    hidden: int = 256
    strokes: int = 96
    inks: int = 16
    backdrops: int = 6
    hints: int = 4


class Denoiser(nn.Module):
    """(x_t (B, 4, 32, 32), t (B,) int64 in 0..999, tokens (B, 17, 32)) -> x0 (B, 4, 32, 32).

    Rectified flow: x_t = (1 - s) x0 + s z with s = t / 999, so that at t = 999 x_t is z itself. The prompt sets the
    sketch and steers every block by scale and shift (FiLM), through the embedding that diffusers offers for classes.
    """

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        shape = shape or DenoiserShape()
        levels = len(shape.widths)
        self.sketcher = Sketcher(shape.strokes, shape.inks, shape.backdrops, shape.hints)
        self.unet: Any = UNet2DModel(  # whose base class its own stubs do not know
            sample_size=CELLS,
            in_channels=CHANNELS + self.sketcher.channels,
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
        embedding = shape.widths[0] * 4
        self.condition = nn.Sequential(nn.Linear(PROMPT, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, embedding))

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, crop: Crop | None = None
    ) -> torch.Tensor:
        """`crop`, in training, is the part that is drawn."""
        prompt = told(tokens, t)
        sketch = self.sketcher(x_t, prompt, crop)
        seen = torch.cat([x_t[:, :, *crop] if crop else x_t, sketch], 1)
        return self.unet(seen, t, self.condition(prompt), return_dict=False)[0]
