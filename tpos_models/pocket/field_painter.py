"""The field on a CPU: what pixels share is computed once, and pixel by pixel only where there is no flat area.

First layers are linear. What of their sums varies slowly is computed INTERPOLATED times a cell and interpolated, what
varies along one axis, row by row and column by column; the rest of the network sees single pixels, in tiles that stay
in cache: at first every other one of every other row, then all of those that have something between them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.field import MOST_CONDITIONS, PERSPECTIVE, SHAPE, View
from tpos_models.pocket.hypernetwork import POLAR, PROMPT_SIZE, Hypernetwork, Weights
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
_IN_BLOCKS = MAPS + 3 * len(BLOCKS)
_POLAR = _IN_BLOCKS + PERSPECTIVE
_X, _Y = MAPS - COORDINATES, MAPS - COORDINATES // 2
WAVES = [*range(_X + 1, _Y), *range(_Y + 1, MAPS)]
SMOOTH = [*range(_SMOOTH), *WAVES]
BY_BLOCK = list(range(_SMOOTH, _SMOOTH + len(TILES)))
BLOCK = min(width for _, width in TILES)
"""Cells across the smallest block; the others are whole numbers of it."""
BY_ROW = [_Y, *range(MAPS + 1, _IN_BLOCKS, 3), _POLAR + 1]
BY_PIXEL = [*range(MAPS + 2, _IN_BLOCKS, 3), *range(_IN_BLOCKS, _POLAR), *range(_POLAR + 2, _POLAR + POLAR)]
"""How far it is from the middles of its blocks, what lies in perspective, and polar."""
BY_COLUMN = sorted({*range(_SMOOTH + len(TILES), _POLAR + POLAR + 1)} - {*WAVES, *BY_ROW, *BY_PIXEL})
"""Inputs of a first layer by what they vary with; what is the same everywhere stands in BY_COLUMN."""


class _Sums(NamedTuple):
    """Shares of the first layers' sums, each (places, rows): of samples, of blocks, of columns and of rows.

    `own` (inputs, rows) are the weights of what a pixel is asked by itself.
    """

    samples: torch.Tensor
    blocks: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor
    own: torch.Tensor


class _Tile(nn.Module):
    """Pixels (n,), counted row by row, to colours (3, n) in 0..1: all that is done pixel by pixel.

    It has nothing of its own. `where` holds what `_axis` says of y and of x, what a pixel is asked by itself, and how
    many columns there are of pixels, samples and blocks; `sums` is a `_Sums`.
    """

    def __init__(self, field: Hypernetwork) -> None:
        super().__init__()
        self._draw = field.draw

    def forward(
        self, pixels: torch.Tensor, where: list[torch.Tensor], sums: list[torch.Tensor], layers: list[torch.Tensor]
    ) -> torch.Tensor:
        y_sample, y_share, y_block, x_sample, x_share, x_block, around, *across = where
        pixels_across, samples_across, blocks_across = across
        samples, blocks, columns, rows, own = sums
        row = torch.div(pixels, pixels_across, rounding_mode="floor")
        column = pixels - row * pixels_across
        sample = y_sample[row] * samples_across + x_sample[column]
        right, down = x_share[column][:, None], y_share[row][:, None]
        above, below = (
            torch.lerp(F.embedding(first, samples), F.embedding(first + 1, samples), right)
            for first in (sample, sample + samples_across)
        )
        whole = torch.addmm(torch.lerp(above, below, down), around[pixels], own)
        whole = whole + F.embedding(column, columns) + F.embedding(row, rows)
        whole = whole + F.embedding(y_block[row] * blocks_across + x_block[column], blocks)
        return (self._draw(whole.T.contiguous()[None], layers)[0] / 3 + 0.5).clamp(0, 1)


class _Tiles(nn.Module):
    """The same in tiles that stay in cache."""

    def __init__(self, tile: Any) -> None:
        super().__init__()
        self.tile, self.size = tile, TILE

    def forward(
        self, pixels: torch.Tensor, where: list[torch.Tensor], sums: list[torch.Tensor], layers: list[torch.Tensor]
    ) -> torch.Tensor:
        drawn: list[torch.Tensor] = []
        for some in pixels.split(self.size):
            drawn.append(self.tile(some, where, sums, layers))
        return torch.cat(drawn, 1)


class FieldPainter:
    """Draws a field at one size; owns what depends on neither z nor prompt. Calls may run side by side."""

    def __init__(self, field: Hypernetwork, size: tuple[int, int], cells: int) -> None:
        """`size` is (width, height); `cells` are those of z across. It draws where the field lies."""
        self.size, self._field = size, field
        self._device = device = field.tints.weight.device
        plane, shift = Plane.of(*size), (cells - CELLS) / 2
        (y, *where_y), (x, *where_x) = _axis(plane.y * CELLS), _axis(plane.x * CELLS + shift)
        across = [torch.tensor(count) for count in (size[0], len(x), cells // BLOCK)]
        self._samples = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells, exact=True).to(device)
        self._columns = View(Plane(plane.y[:1], plane.x, 1.0), cells).to(device)
        self._rows = View(Plane(plane.y, plane.x[:1], 1.0), cells).to(device)
        y, x = (torch.arange(BLOCK / 2, count, BLOCK, dtype=torch.float64) for count in (CELLS, cells))
        self._blocks = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells).to(device)
        around = View(plane, CELLS).around[[k - MAPS for k in BY_PIXEL]]
        around = around.flatten(1).T.contiguous()
        self._where = [one.to(device) for one in (*where_y, *where_x, around, *across)]

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
            return self._draw(pixels.flatten(), sums, weights).view(1, 3, height, width)
        coarse = pixels[::2, ::2]
        drawn = self._draw(coarse.flatten(), sums, weights).view(1, 3, *coarse.shape)
        picture = _filled(drawn)[..., :height, :width].contiguous()
        fine = _uneven(drawn)[:height, :width]
        fine[::2, ::2] = False
        picture.view(3, -1)[:, pixels[fine]] = self._draw(pixels[fine], sums, weights)
        return picture

    def _draw(self, pixels: torch.Tensor, sums: _Sums, weights: Weights) -> torch.Tensor:
        """Pixels (n,), counted row by row, to colours (3, n) in 0..1."""
        given = (self._where, list(sums), list(weights.layers))
        if self._device.type != "cpu":
            return _Tile(self._field)(pixels, *given)
        return _tiles(weights.which.shape[1])(pixels, *given)

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


def prepare() -> None:
    """Build, once in a process, what draws on a CPU; not from several threads, nor beside one that hushes warnings."""
    for conditions in range(1, MOST_CONDITIONS + 1):
        _tiles(conditions)


@cache
def _tiles(conditions: int) -> Callable[..., torch.Tensor]:
    """`_Tile` over tiles, for so many conditions, as one call that leaves Python alone: a show has other threads."""
    field, painter = Hypernetwork(SHAPE).eval(), partial(FieldPainter, size=(8, 8), cells=CELLS)
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is old, and the only one that needs no compiler
        weights = field.weights(torch.ones(1, PROMPT_SIZE), conditions)
        example = painter(field)
        given = (
            torch.arange(64),
            example._where,
            list(example._sums(torch.zeros(1, CHANNELS, CELLS, CELLS), weights)),
            list(weights.layers),
        )
        return torch.jit.script(_Tiles(torch.jit.trace(_Tile(field), given, check_trace=False)))


def _axis(points: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Points (n,) in cells from the border: the samples around them, in cells, and of each point after which of these
    it lies, how far, and in which block."""
    at = points * INTERPOLATED - 0.5
    first, last = math.floor(at[0]), math.floor(at[-1]) + 1
    samples = (torch.arange(first, last + 1, dtype=torch.float64) + 0.5) / INTERPOLATED
    return samples, at.floor().long() - first, (at - at.floor()).float(), points.floor().long() // BLOCK


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
