"""The field on a CPU: what pixels share is computed once, and pixel by pixel only where there is no flat area.

First layers are linear. What of their sums varies slowly is computed INTERPOLATED times a cell and interpolated, what
varies along one axis, row by row and column by column; `field_kernel` draws single pixels from these: at first every
other one of every other row, then all of those that have something between them.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from tpos_models.pocket.field import MOST_CONDITIONS, NOTHING, PERSPECTIVE, SHAPE, View
from tpos_models.pocket.hypernetwork import GEOMETRY, POLAR, PROMPT_SIZE, Hypernetwork, Weights
from tpos_models.pocket.noise_features import (
    BLOCKS,
    CELLS,
    CHANNELS,
    COORDINATES,
    FIELDS,
    INTERPOLATED,
    LEVELS,
    MAPS,
    STRETCHED,
    TILES,
    Plane,
)
from tpos_models.pocket.scene import CONDITION

if TYPE_CHECKING:
    from tpos_models.pocket.field_kernel import Network, Sums

COARSEST = 1 / 4
"""Of a cell, at most so far apart are the pixels that are drawn whatever there is."""
FLAT = 6 / 255
"""Neighbours that differ by no more have nothing between them."""

_SMOOTH = CHANNELS * len(LEVELS) + len(STRETCHED)
IN_BLOCKS = MAPS + 3 * len(BLOCKS)
IN_POLAR = IN_BLOCKS + PERSPECTIVE
X, Y = MAPS - COORDINATES, MAPS - COORDINATES // 2
"""Where among a pixel's inputs those begin that a block says, the polar ones, x and y."""
WAVES = [*range(X + 1, Y), *range(Y + 1, MAPS)]
SMOOTH = [*range(_SMOOTH), *WAVES]
BY_BLOCK = list(range(_SMOOTH, FIELDS))
BLOCK = min(width for _, width in TILES)
"""Cells across the smallest block; the others are whole numbers of it."""
BY_ROW = [Y, *range(MAPS + 1, IN_BLOCKS, 3), IN_POLAR + 1]
BY_PIXEL = [*range(MAPS + 2, IN_BLOCKS, 3), *range(IN_BLOCKS, IN_POLAR), *range(IN_POLAR + 2, IN_POLAR + POLAR)]
"""How far it is from the middles of its blocks, what lies in perspective, and polar."""
BY_COLUMN = sorted({*range(FIELDS, IN_POLAR + POLAR + 1)} - {*WAVES, *BY_ROW, *BY_PIXEL})
"""Inputs of a first layer by what they vary with; what is the same everywhere stands in BY_COLUMN."""


class FieldPainter:
    """Draws a field at one size; owns what depends on neither z nor prompt. Calls may run side by side."""

    def __init__(self, field: Hypernetwork, size: tuple[int, int], cells: int) -> None:
        """`size` is (width, height); `cells` are those of z across. It draws where the field lies."""
        self.size, self._field = size, field
        device, plane, shift = field.tints.weight.device, Plane.of(*size), (cells - CELLS) / 2
        self._whole = None if device.type == "cpu" else View(plane, cells).to(device)
        if self._whole:
            return
        self._coarsest = 2 ** int(math.log2(max(1.0, COARSEST * size[1] / CELLS)))
        (y, *where_y), (x, *where_x) = _axis(plane.y * CELLS), _axis(plane.x * CELLS + shift)
        around = View(plane, CELLS).around[[k - MAPS for k in BY_PIXEL]].flatten(1).T
        self._where = _kernel().Where(*map(_array, (*where_y, *where_x, around)), len(x), cells // BLOCK)
        self._samples = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells, exact=True)
        self._columns = View(Plane(plane.y[:1], plane.x, 1.0), cells)
        self._rows = View(Plane(plane.y, plane.x[:1], 1.0), cells)
        y, x = (torch.arange(BLOCK / 2, count, BLOCK, dtype=torch.float64) for count in (CELLS, cells))
        self._blocks = View(Plane(y / CELLS, (x - shift) / CELLS, 1.0), cells)

    @torch.inference_mode()
    def __call__(self, z: torch.Tensor, prompt: torch.Tensor, everywhere: bool = False) -> torch.Tensor:
        """z (1, 4, CELLS, cells), prompt (1, PROMPT_SIZE) -> RGB (1, 3, height, width) in 0..1.

        `everywhere`: no pixel is taken for flat, as none is on a GPU, which draws all sooner than it would choose.
        """
        width, height = self.size
        shown = min(MOST_CONDITIONS, int(prompt[0, CONDITION].gt(NOTHING).sum()))
        if self._whole:
            colours = self._field.colours(self._whole.maps(z), prompt, self._whole.sampled, max(1, shown))
            return (colours / 3 + 0.5).clamp(0, 1).view(1, 3, height, width)
        weights, picture = self._field.weights(prompt, max(1, shown)), np.empty((3, height, width), np.float32)
        rows = SHAPE.hidden_width + shown * SHAPE.condition[0]
        given = self._where, self._sums(z, weights, rows), _network(weights, shown)
        _kernel().paint(picture, 1 if everywhere else self._coarsest, FLAT, *given)
        return torch.from_numpy(picture)[None]

    def _sums(self, z: torch.Tensor, weights: Weights, rows: int) -> Sums:
        """What so many rows of the first layers sum up before a pixel is looked at."""
        first, on_bias, samples = weights.first[0, :rows], weights.on_bias[0, :rows], self._samples
        bias = samples.sampled(self._field.bias_maps(weights, lambda grid: grid)[0])
        smooth, tiles = (view.features.fields(z)[0].flatten(1) for view in (samples, self._blocks))
        waves = torch.cat([samples.features.waves_x, samples.features.waves_y]).flatten(1)
        shares = (
            (torch.cat([smooth[:_SMOOTH], waves, bias]), torch.cat([first[:, SMOOTH], on_bias], 1)),
            (tiles[BY_BLOCK], first[:, BY_BLOCK]),
            *(
                (view.lines(z)[0, [k - FIELDS for k in inputs]], first[:, inputs])
                for view, inputs in ((self._columns, BY_COLUMN), (self._rows, BY_ROW))
            ),
        )
        return _kernel().Sums(*(_array(maps.T @ own.T) for maps, own in shares))


def prepare() -> None:
    """Compile what draws on a CPU: some seconds, once on a machine; from then on it is read, in less than one."""
    z, nothing = torch.zeros(1, CHANNELS, CELLS, CELLS), torch.zeros(1, PROMPT_SIZE)
    FieldPainter(Hypernetwork(SHAPE).eval(), (8, 8), CELLS)(z, nothing)


def _kernel() -> ModuleType:
    """What draws on a CPU, imported late: numba takes its time."""
    from tpos_models.pocket import field_kernel

    return field_kernel


def _network(weights: Weights, shown: int) -> Network:
    """The layers, of so many conditions, as the kernel takes them."""
    second, third, last, *own, tint = (layer[0] for layer in weights.layers)
    own_second, own_third, colours, opacity, grades = (layer[:shown] for layer in own)
    width, own_width = SHAPE.hidden_width, SHAPE.condition[0]
    first = F.pad(weights.first[0, :, BY_PIXEL], (0, 1))
    own_first = first[width:].unflatten(0, (-1, own_width))[:shown]
    return _kernel().Network(
        width, *map(_filled, (first[:width], second, third, last)), SHAPE.alpha_layers,
        own_width, *map(_filled, (own_first, own_second, own_third)),
        *map(_array, (colours, opacity.flatten(), grades, torch.eye(3, 4) + tint)), GEOMETRY,
    )  # fmt: skip


def _filled(layer: torch.Tensor) -> np.ndarray:
    """A layer (..., rows, columns + 1), its offsets put in front, with zeros to even rows and columns in fours."""
    *_, rows, columns = layer.shape
    return _array(F.pad(layer.roll(1, -1), (0, (1 - columns) % 4, 0, rows % 2)))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.contiguous().numpy()


def _axis(points: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Points (n,) in cells from the border: the samples around them, in cells, and of each point after which of these
    it lies, how far, and in which block."""
    at = points * INTERPOLATED - 0.5
    first, last = math.floor(at[0]), math.floor(at[-1]) + 1
    samples = (torch.arange(first, last + 1, dtype=torch.float64) + 0.5) / INTERPOLATED
    return samples, at.floor().long() - first, (at - at.floor()).float(), points.floor().long() // BLOCK
