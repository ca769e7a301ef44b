"""The field on a CPU: what pixels share is computed once, and pixel by pixel only where there is no flat area.

First layers are linear. What of their sums varies slowly is computed INTERPOLATED times a cell and interpolated, what
varies along one axis, row by row and column by column; the rest of the network sees single pixels, in tiles that stay
in cache: at first every other one of every other row, then all of those that have something between them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch.nn import functional as F

from tpos_models.pocket.field import MOST_CONDITIONS, View
from tpos_models.pocket.hypernetwork import POLAR, Hypernetwork, Weights
from tpos_models.pocket.noise_features import (
    BLOCKS,
    CELLS,
    CHANNELS,
    COORDINATES,
    INTERPOLATED,
    LEVELS,
    MAPS,
    STRETCHED,
    TILES,
    Plane,
)
from tpos_models.pocket.scene import CONDITION

TILE = 1024
"""Pixels that are computed together."""
FLAT = 6 / 255
"""Neighbours that differ by no more have nothing between them."""

_SMOOTH = CHANNELS * len(LEVELS) + len(STRETCHED)
_POLAR = MAPS + 3 * len(BLOCKS)
SMOOTH = list(range(_SMOOTH))
BY_BLOCK = list(range(_SMOOTH, _SMOOTH + len(TILES)))
BLOCK = min(width for _, width in TILES)
"""Cells across the smallest block; the others are whole numbers of it."""
BY_ROW = [*range(MAPS - COORDINATES // 2, MAPS), *range(MAPS + 1, _POLAR, 3), _POLAR + 1]
BY_PIXEL = [*range(MAPS + 2, _POLAR, 3), *range(_POLAR + 2, _POLAR + POLAR)]
BY_COLUMN = sorted({*range(_SMOOTH + len(TILES), _POLAR + POLAR + 1)} - {*BY_ROW, *BY_PIXEL})
"""Inputs of a first layer by what they vary with; what is the same everywhere stands in BY_COLUMN."""


class _Lookup(NamedTuple):
    """Where the pixels of one axis lie: after which sample, how far, and in which block."""

    sample: torch.Tensor
    share: torch.Tensor
    block: torch.Tensor


class _Sums(NamedTuple):
    """Shares of the first layers' sums, each (places, rows): of samples, of blocks, of columns and of rows."""

    samples: torch.Tensor
    blocks: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor
    own: torch.Tensor


class FieldPainter:
    """Draws a field at one size; owns what depends on neither z nor prompt. Calls may run side by side."""

    def __init__(self, field: Hypernetwork, size: tuple[int, int], cells: int) -> None:
        """`size` is (width, height); `cells` are those of z across. It draws where the field lies."""
        self.size, self._field = size, field
        self._device = device = field.tints.weight.device
        plane, shift = Plane.of(*size), (cells - CELLS) / 2
        y, self._y = _axis(plane.y * CELLS, device)
        x, self._x = _axis(plane.x * CELLS + shift, device)
        self._samples_across = len(x)
        self._samples = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells, exact=True).to(device)
        self._columns = View(Plane(plane.y[:1], plane.x, 1.0), cells).to(device)
        self._rows = View(Plane(plane.y, plane.x[:1], 1.0), cells).to(device)
        y, x = (torch.arange(BLOCK / 2, count, BLOCK, dtype=torch.float64) for count in (CELLS, cells))
        self._blocks_across = len(x)
        self._blocks = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells).to(device)
        around = View(plane, CELLS).around[[k - MAPS for k in BY_PIXEL]]
        self._around = around.flatten(1).T.contiguous().to(device)

    @torch.inference_mode()
    def __call__(self, z: torch.Tensor, prompt: torch.Tensor, everywhere: bool = False) -> torch.Tensor:
        """z (1, 4, CELLS, cells), prompt (1, PROMPT_SIZE) -> RGB (1, 3, height, width) in 0..1.

        `everywhere`: no pixel is taken for flat, as none is on a GPU, which draws all sooner than it would choose.
        """
        shown = int(prompt[0, CONDITION].gt(0).sum())
        weights = self._field.weights(prompt, min(MOST_CONDITIONS, max(1, shown)))
        sums, (width, height) = self._sums(z, weights), self.size
        pixels = torch.arange(width * height, device=self._device).view(height, width)
        if everywhere or self._device.type != "cpu":
            return self._drawn(pixels.flatten(), sums, weights).view(1, 3, height, width)
        coarse = pixels[::2, ::2]
        drawn = self._drawn(coarse.flatten(), sums, weights).view(1, 3, *coarse.shape)
        picture = _filled(drawn)[..., :height, :width].contiguous()
        fine = _uneven(drawn)[:height, :width]
        fine[::2, ::2] = False
        picture.view(3, -1)[:, pixels[fine]] = self._drawn(pixels[fine], sums, weights)
        return picture

    def _sums(self, z: torch.Tensor, weights: Weights) -> _Sums:
        """What the first layers sum up before a pixel is looked at."""
        first = weights.first[0]

        def share(view: View, inputs: list[int]) -> torch.Tensor:
            return (first[:, inputs] @ view.maps(z)[0, inputs]).T.contiguous()

        bias = weights.on_bias[0] @ self._field.bias_maps(weights, self._samples.sampled)[0]
        return _Sums(
            share(self._samples, SMOOTH) + bias.T,
            share(self._blocks, BY_BLOCK),
            share(self._columns, BY_COLUMN),
            share(self._rows, BY_ROW),
            first[:, BY_PIXEL].T.contiguous(),
        )

    def _drawn(self, pixels: torch.Tensor, sums: _Sums, weights: Weights) -> torch.Tensor:
        """Pixels (n,), counted row by row, to colours (3, n) in 0..1."""
        tile = TILE if self._device.type == "cpu" else max(1, len(pixels))
        tiles = [self._field.draw(self._at(some, sums), weights)[0] for some in pixels.split(tile)]
        return torch.cat([torch.empty(3, 0, device=self._device), *tiles], 1).div_(3).add_(0.5).clamp_(0, 1)

    def _at(self, pixels: torch.Tensor, sums: _Sums) -> torch.Tensor:
        """The whole sums (1, rows, n) of pixels."""
        row, column = pixels.div(self.size[0], rounding_mode="floor"), pixels % self.size[0]
        y, x = self._y, self._x
        sample = y.sample[row] * self._samples_across + x.sample[column]
        right, down = x.share[column][:, None], y.share[row][:, None]
        above, below = (
            torch.lerp(F.embedding(first, sums.samples), F.embedding(first + 1, sums.samples), right)
            for first in (sample, sample + self._samples_across)
        )
        whole = torch.addmm(above.lerp_(below, down), self._around[pixels], sums.own)
        whole += F.embedding(column, sums.columns)
        whole += F.embedding(row, sums.rows)
        whole += F.embedding(y.block[row] * self._blocks_across + x.block[column], sums.blocks)
        return whole.T.contiguous()[None]


def _axis(points: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, _Lookup]:
    """Points (n,) in cells from the border to the samples around them, in cells, and where between these they lie."""
    at = points * INTERPOLATED - 0.5
    first, last = math.floor(at[0]), math.floor(at[-1]) + 1
    samples = (torch.arange(first, last + 1, dtype=torch.float64) + 0.5) / INTERPOLATED
    found = at.floor().long() - first, (at - at.floor()).float(), points.floor().long() // BLOCK
    return samples, _Lookup(*(one.to(device) for one in found))


def _filled(coarse: torch.Tensor) -> torch.Tensor:
    """Every other pixel (1, 3, h, w) to all (1, 3, 2 h, 2 w), those between them linear, the last ones repeated."""
    height, width = coarse.shape[-2:]
    between = F.interpolate(coarse, (2 * height - 1, 2 * width - 1), mode="bilinear", align_corners=True)
    return F.pad(between, (0, 1, 0, 1), mode="replicate")


def _uneven(coarse: torch.Tensor) -> torch.Tensor:
    """Of every other pixel (1, 3, h, w) all pixels (2 h, 2 w) between four that differ."""
    beside = F.pad(coarse, (0, 1, 0, 1), mode="replicate")
    spread = F.max_pool2d(beside, 2, 1) + F.max_pool2d(-beside, 2, 1)
    return (spread.amax(1)[0] > FLAT).repeat_interleave(2, 0).repeat_interleave(2, 1)
