"""The one-step denoiser: a sketch by the network that the prompt writes, made latents by diffusers' own UNet2DModel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.sketch import PROMPT, SKETCH, Sketcher, mixed, told
from tpos_models.pocket.world.canvas import CELLS, CHANNELS, MAPS, Crop, Lens

WORDS = PROMPT - 1
"""What the prompt says, without how far x_t has left z: the UNet is told that by itself."""
FEATURES = CHANNELS + MAPS


@dataclass(frozen=True)
class DenoiserShape:
    """Widths of the UNet's levels, blocks per level, the prompt's hidden layer; sizes of scenery and sketcher."""

    widths: tuple[int, ...] = (64,)
    layers: int = 1
    hidden: int = 256
    cuts: int = 64
    maps: int = 32
    backdrops: int = 16
    strokes: int = 80
    inks: int = 14
    sets: int = 6


class Scenery(nn.Module):
    """Features of x_t to maps, cell by cell, by a small network of three layers whose weights the prompt writes.

    What the sketch is to colours, this is to latents. `backdrops` depend on the prompt alone: what always stands at the
    same spot.
    """

    def __init__(self, cuts: int, maps: int, backdrops: int) -> None:
        super().__init__()
        self.backdrops = nn.Parameter(torch.zeros(WORDS, backdrops, CELLS, CELLS))
        self._sizes = ((cuts, FEATURES + backdrops + 1), (cuts, cuts + 1), (maps, cuts + 1))
        layers = [nn.Linear(WORDS, rows * columns) for rows, columns in self._sizes]
        for layer, std in zip(layers, (0.08, 0.08, 0.03), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)
        self.layers = nn.ModuleList(layers)
        self._seen = cuts + maps

    def forward(self, features: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(B, FEATURES, 32, 32), (B, WORDS) -> (B, cuts + maps, 32, 32)."""
        backdrops = (words @ self.backdrops.flatten(1)).view(-1, self.backdrops.shape[1], CELLS * CELLS)
        x = torch.cat([features.flatten(2), backdrops], 1)
        first, second, third = (
            layer(words).view(-1, *size) for layer, size in zip(self.layers, self._sizes, strict=True)
        )
        cuts = torch.tanh(2 * mixed(first, x))
        maps = mixed(third, F.silu(mixed(second, cuts)))
        return torch.cat([maps, cuts], 1).view(-1, self._seen, CELLS, CELLS)


class Denoiser(nn.Module):
    """(x_t (B, 4, 32, 32), t (B,) int64 in 0..999, tokens (B, 17, 32)) -> x0 (B, 4, 32, 32).

    Rectified flow: x_t = (1 - s) x0 + s z with s = t / 999, so that at t = 999 x_t is z itself. The prompt writes the
    networks of sketch and scenery, and steers every block by scale and shift (FiLM), through the embedding that
    diffusers offers for classes. The scenery's first maps are a first idea of the latents, which the UNet corrects.
    """

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        shape = shape or DenoiserShape()
        levels = len(shape.widths)
        self.lens = Lens(CELLS)
        self.sketcher = Sketcher(shape.strokes, shape.inks, shape.sets)
        self.scenery = Scenery(shape.cuts, shape.maps, shape.backdrops)
        self.unet: Any = UNet2DModel(  # whose base class its own stubs do not know
            sample_size=CELLS,
            in_channels=FEATURES + shape.cuts + shape.maps + SKETCH,
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
        self.condition = nn.Sequential(nn.Linear(WORDS, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, embedding))

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, crop: Crop | None = None
    ) -> torch.Tensor:
        """`crop`, in training, is the part that is drawn."""
        prompt = told(tokens, t)
        words = prompt[:, :WORDS]
        features = torch.cat([x_t, self.lens.maps(x_t)], 1)
        seen = torch.cat([features, self.scenery(features, words)], 1)
        if crop:
            seen = seen[:, :, *crop]
        drawn = self.unet(
            torch.cat([seen, self.sketcher(x_t, prompt, crop)], 1), t, self.condition(words), return_dict=False
        )
        return seen[:, FEATURES : FEATURES + CHANNELS] + drawn[0]
