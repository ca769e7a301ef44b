"""The one-step denoiser: diffusers' own UNet2DModel, told what the world is told about z, and the world's sketch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.canvas import CELLS, CHANNELS, FEATURES, Lens
from tpos_models.pocket.scene import CONDITION, CONDITIONS, SCENE_SIZE, from_tokens
from tpos_models.pocket.sketch import SKETCH, Sketcher

Crop = tuple[slice, slice]
WORDS = SCENE_SIZE + len(CONDITIONS)
"""What the prompt says: the scene, and its strengths once more as saturating amounts."""


@dataclass(frozen=True)
class DenoiserShape:
    """Widths of the UNet's levels, blocks per level, widths of the prompt's hidden layer, cuts, maps and backdrops."""

    widths: tuple[int, ...] = (64,)
    layers: int = 1
    hidden: int = 256
    cuts: int = 64
    maps: int = 32
    backdrops: int = 16


class Scenery(nn.Module):
    """Features of x_t to maps, cell by cell, by a small network of three layers whose weights the prompt writes.

    Each place has its own way to cut the same noise into ridges, shores and flames; here each has its own weights.
    `backdrops` depend on the prompt alone: what always stands at the same spot.
    """

    def __init__(self, cuts: int, maps: int, backdrops: int) -> None:
        super().__init__()
        self.backdrops = nn.Parameter(torch.zeros(WORDS, backdrops, CELLS, CELLS))
        layers = [
            nn.Linear(WORDS, rows * (columns + 1))
            for rows, columns in ((cuts, FEATURES + backdrops), (cuts, cuts), (maps, cuts))
        ]
        for layer, std in zip(layers, (0.08, 0.08, 0.03), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)
        self.layers = nn.ModuleList(layers)
        self._rows = (cuts, cuts, maps)

    def forward(self, features: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
        """(B, FEATURES, 32, 32), (B, WORDS) -> (B, cuts + maps, 32, 32)."""
        backdrops = prompt @ self.backdrops.flatten(1)
        x = torch.cat([features.flatten(2), backdrops.unflatten(1, (-1, CELLS * CELLS))], 1)
        first, second, third = (
            layer(prompt).unflatten(1, (rows, -1)) for layer, rows in zip(self.layers, self._rows, strict=True)
        )
        cuts = torch.tanh(2 * _mixed(first, x))
        maps = _mixed(third, F.silu(_mixed(second, cuts)))
        return torch.cat([maps, cuts], 1).unflatten(2, (CELLS, CELLS))


def _mixed(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Weights (B, rows, columns + 1), the last of them an offset, times x (B, columns, cells)."""
    return weights[:, :, :-1] @ x + weights[:, :, -1:]


class Denoiser(nn.Module):
    """(x_t (B, 4, 32, 32), t (B,) int64 in 0..999, tokens (B, 17, 32)) -> x0 (B, 4, 32, 32).

    Rectified flow: x_t = (1 - s) x0 + s z with s = t / 999, so that at t = 999 x_t is z itself. The prompt steers every
    block by scale and shift (FiLM), through the embedding that diffusers offers for classes, and sets the scenery. Its
    first maps are a first idea of the latents, which the UNet corrects with the sketch before it.
    """

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        shape = shape or DenoiserShape()
        levels = len(shape.widths)
        self.lens = Lens(CELLS)
        self.sketcher = Sketcher()
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
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        tokens: torch.Tensor,
        sketch: torch.Tensor | None = None,
        crop: Crop | None = None,
    ) -> torch.Tensor:
        """The sketch is drawn here where none is given; `crop`, in training, is the part that is drawn."""
        if sketch is None:
            sketch = self.sketcher(x_t, tokens)
        prompt, features = words(tokens), self.lens(x_t)
        maps = self.scenery(features, prompt)
        seen = torch.cat([features, maps, sketch], 1)
        if crop:
            seen, maps = seen[:, :, *crop], maps[:, :, *crop]
        return maps[:, :CHANNELS] + self.unet(seen, t, self.condition(prompt), return_dict=False)[0]


def words(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens (B, 17, 32) to what they say (B, WORDS)."""
    scenes = from_tokens(tokens)
    return torch.cat([scenes, 1 - torch.exp(-2 * scenes[:, CONDITION])], 1)
