"""The denoiser's first idea of a picture: every pixel of a small sketch, computed by a network the prompt writes.

The world draws a pixel from what it sees of z there, so the sketch is learned pixel by pixel: on few pixels of very
many pictures, which is what teaches composition fastest.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.canvas import CELLS, MAPS, Crop, Lens
from tpos_models.pocket.scene import CONDITION, CONDITIONS, SCENE_SIZE, from_tokens

SKETCH_PX = 64
FINER = SKETCH_PX // CELLS
SKETCH = 3 * FINER**2
"""Channels of a sketch on the denoiser's cells: its colours, the pixels of a cell beside each other."""

PROMPT = SCENE_SIZE + len(CONDITIONS) + 1
"""What the sketch is told: the scene, its strengths once more as saturating amounts, and how far x_t has left z."""


def told(tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Tokens (B, 17, 32) and timesteps (B,) to what they say: (B, PROMPT)."""
    scenes = from_tokens(tokens)
    left = 1 - t.to(scenes)[:, None] / 999
    return torch.cat([scenes, 1 - torch.exp(-2 * scenes[:, CONDITION]), left], 1)


STEEP = 16.0
"""How steeply the first layer cuts: an outline is one pixel of 64 wide."""
TURNS = (1, 2, 3, 6, 9)


class Sketcher(nn.Module):
    """Maps of z and a prompt to colours, pixel by pixel.

    Weights of four layers are linear in the prompt: each place has its own way to cut the same noise into ridges,
    shores and flames, which conditions change. The last layer is a printer's: masks and colours, laid one over the
    other. `backdrops` depend on the prompt alone: what always stands at the same spot.
    """

    around: torch.Tensor
    precise = True
    """Its first layer is steeper than float16 can follow."""

    def __init__(self, width: int, inks: int, backdrops: int) -> None:
        super().__init__()
        self.lens = Lens(SKETCH_PX)
        self.register_buffer("around", _around(self.lens), persistent=False)
        self.backdrops = nn.Parameter(torch.zeros(PROMPT, backdrops, SKETCH_PX, SKETCH_PX))
        self._printed = (3, inks, 3 * inks)
        self._rows = (width, width, width, sum(self._printed))
        columns = (MAPS + AROUND + backdrops, width, width, width)
        layers = [nn.Linear(PROMPT, rows * (n + 1)) for rows, n in zip(self._rows, columns, strict=True)]
        self.strokes, self.printer = nn.ModuleList(layers[:-1]), layers[-1]
        for layer, std in zip(layers, (0.16 / STEEP, 0.08, 0.08, 0.03), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)

    def forward(self, x_t: torch.Tensor, prompt: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """x_t (B, 4, 32, 32), prompt (B, PROMPT) -> (B, SKETCH, 32, 32): the pixels of each cell beside each other.

        Values are about -1.5..1.5. With `crop`, only these rows and columns of cells are drawn.
        """
        whole = slice(0, CELLS)
        pixels = tuple(slice(FINER * cells.start, FINER * cells.stop) for cells in crop or (whole, whole))
        maps = self.maps(x_t)[:, :, *pixels]
        colours = self.colours(maps.flatten(2), prompt, pixels)
        return F.pixel_unshuffle(colours.unflatten(2, maps.shape[2:]), FINER)

    def maps(self, x_t: torch.Tensor) -> torch.Tensor:
        """What each pixel is drawn from: (B, 4, 32, 32) to (B, MAPS + AROUND, 64, 64)."""
        return torch.cat([self.lens.maps(x_t), self.around.expand(x_t.shape[0], -1, -1, -1)], 1)

    def colours(self, maps: torch.Tensor, prompt: torch.Tensor, pixels: tuple[slice, ...]) -> torch.Tensor:
        """Maps (B, MAPS + AROUND, n) of the n pixels that two slices pick, prompt (B, PROMPT) -> colours (B, 3, n)."""
        backdrops = self.backdrops[:, :, *pixels].flatten(2)
        backdrops = (3 * prompt @ backdrops.flatten(1)).unflatten(1, backdrops.shape[1:])
        first, second, third, last = (
            layer(prompt).unflatten(1, (rows, -1))
            for layer, rows in zip((*self.strokes, self.printer), self._rows, strict=True)
        )
        x = torch.tanh(STEEP * mixed(first, torch.cat([maps, backdrops], 1)))
        x = F.silu(mixed(second, x))
        x = mixed(last, x + F.silu(mixed(third, x)))
        picture, masks, inks = x.split(self._printed, 1)
        masks, inks = torch.sigmoid(4 * masks), inks.unflatten(1, (-1, 3))
        for i in range(self._printed[1]):
            picture = picture + masks[:, i, None] * (inks[:, i] - picture)
        return picture * 1.5


AROUND = 4 + 2 * len(TURNS)


def _around(lens: Lens) -> torch.Tensor:
    """Constant maps (AROUND, 64, 64) for steep outlines: x and y, the distance from the middle, the angle around it."""
    x, y = lens.x - 0.5, lens.y - 0.5
    away, angle = (x**2 + y**2).sqrt(), torch.atan2(y, x)
    turns = [wave(turn * angle) for turn in TURNS for wave in (torch.sin, torch.cos)]
    return torch.stack([16 * x, 16 * y, 4 * away - 1, torch.log(away.clamp_min(0.02)) + 1, *turns])


def mixed(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Weights (B, rows, columns + 1), the last of them an offset, times x (B, columns, n)."""
    return weights[:, :, :-1] @ x + weights[:, :, -1:]
