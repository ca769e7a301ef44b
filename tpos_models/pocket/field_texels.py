"""The field's numbers as a fragment shader takes them: what pixels share as texels, what each multiplies as matrices.

First layers are linear, as in `field_painter`: what of their sums is linear between samples, INTERPOLATED times a cell,
is summed up there (`summing`), what is the same in all of a cell, here (`cells`). A pixel adds what it alone is asked,
and goes through the rest of the network (`drawing`). Everything comes in fours: rows are filled up with zeros, and a
matrix is 4 x 4 blocks (columns / 4, rows / 4, 4, 4), each column by column, as GLSL's mat4 has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from tpos_models.pocket.field import MOST_CONDITIONS, NOTHING, SHAPE
from tpos_models.pocket.field_painter import BY_BLOCK, BY_PIXEL, IN_BLOCKS, IN_POLAR, SMOOTH, X, Y
from tpos_models.pocket.hypernetwork import GEOMETRY, PROMPT_SIZE, Hypernetwork, Weights
from tpos_models.pocket.noise_features import (
    BLOCKS,
    CELLS,
    CHANNELS,
    INTERPOLATED,
    LEVELS,
    MAPS,
    PROFILES,
    STRETCHED,
    TILES,
    NoiseFeatures,
    Plane,
    gaussian,
)
from tpos_models.pocket.scene import CONDITION, PLACE

_PROFILES = BY_BLOCK[-1] + 1
_STEPS = list(range(_PROFILES, _PROFILES + PROFILES * len(BLOCKS)))
_BLURS = list(range(_PROFILES + len(_STEPS), _PROFILES + PROFILES * (len(BLOCKS) + len(LEVELS) - 1)))
_MOODS = list(range(_BLURS[-1] + 1, _BLURS[-1] + 1 + CHANNELS))
_IN_X, _IN_Y = list(range(MAPS, IN_BLOCKS, 3)), list(range(MAPS + 1, IN_BLOCKS, 3))
_CELLS = [*BY_BLOCK, *_STEPS, *_MOODS, SHAPE.inputs - 1, *_IN_X, *_IN_Y]
"""Inputs that are the same in all of a cell: where a pixel lies in its block is, but for a slope across the picture."""
GIVEN = BY_PIXEL
"""Inputs that a pixel alone is asked."""


def fours(count: int) -> int:
    """How many vectors of four hold so many numbers."""
    return -(-count // 4)


@dataclass(frozen=True)
class Layout:
    """What stands where: sizes in vectors of four, and the places of matrices and offsets in `FieldTexels.drawing`."""

    hidden: int
    layers: int
    own: int
    own_hidden: int
    own_layers: int
    columns: int
    """A condition's networks see of the place what each of its GEOMETRY says."""
    waves: int
    own_waves: int

    @classmethod
    def of(cls, field: Hypernetwork) -> Layout:
        """That of a field."""
        first, _, second, third, _ = field.weather.sizes
        return cls(
            fours(SHAPE.hidden_width), SHAPE.alpha_layers, fours(first[0]), fours(second[0]), third[0],
            fours(first[0]) + fours(GEOMETRY), SHAPE.hidden_width // 3, first[0] // 3,
        )  # fmt: skip

    @property
    def rows(self) -> int:
        """Of all first layers."""
        return self.hidden + MOST_CONDITIONS * self.own

    @property
    def inputs(self) -> int:
        """Summed up at samples: z's fields, waves of x and y, z's profiles, the slopes of x and y, and bias maps."""
        return fours(len(SMOOTH)) + fours(len(_BLURS)) + 1 + fours(self.bias_maps)

    @property
    def bias_maps(self) -> int:
        """The place's and then two of each condition."""
        return SHAPE.bias_maps + 2 * MOST_CONDITIONS

    @property
    def last(self) -> int:
        """Outputs of the place: a picture, its layers' colours with their alphas, and geometry."""
        return 1 + self.layers + fours(GEOMETRY)

    @property
    def own_matrices(self) -> int:
        """Of each condition: two layers, the colours composited, and how what is below is graded."""
        return self.own_hidden * (self.columns + fours(self.own_layers)) + fours(self.own_layers) + 1

    @property
    def own_offsets(self) -> int:
        """Of each condition."""
        return self.own_hidden + fours(self.own_layers)

    @property
    def matrices(self) -> int:
        """In `drawing`: first layers, the place's others, each condition's, and the tint."""
        place = self.hidden * (2 * self.hidden + self.last)
        return fours(len(GIVEN)) * self.rows + place + MOST_CONDITIONS * self.own_matrices + 1

    @property
    def offsets(self) -> int:
        """In `drawing`, after the matrices."""
        return 2 * self.hidden + self.last + MOST_CONDITIONS * self.own_offsets

    def multiply_adds(self, conditions: int = MOST_CONDITIONS) -> int:
        """What a pixel is multiplied by and added to, with so many conditions over its place."""
        rows = self.hidden + conditions * self.own
        place = 16 * self.hidden * (2 * self.hidden + self.last) + 4 * self.layers
        own = 16 * self.own_hidden * (self.columns + fours(self.own_layers)) + 4 * self.own_layers + 12
        return 16 * fours(len(GIVEN)) * rows + 3 * 4 * rows + place + conditions * own + 12


@dataclass(frozen=True, eq=False)
class FieldTexels:
    """One moment's numbers, float32 all: textures (..., rows, columns, 4), and what lies in uniform buffers.

    `conditions` of MOST_CONDITIONS are drawn.
    """

    conditions: int
    z: np.ndarray
    """(CELLS, cells, 4): the channels of z."""
    profiles: np.ndarray
    """(blurs, columns of samples, 4)."""
    bias: np.ndarray
    """(maps / 4 * rows, columns, 4) of SHAPE.grid, one below the other."""
    cells: np.ndarray
    """(rows / 4 * CELLS, cells, 4): shares of the first layers' sums, one below the other."""
    summing: np.ndarray
    """(inputs, rows, 4, 4)."""
    drawing: np.ndarray
    """Flat: `Layout.matrices` of 16 and then `Layout.offsets` of 4."""


class FieldPacker:
    """Turns z and a prompt into a shader's numbers; owns what depends on neither. One thread at a time."""

    def __init__(self, field: Hypernetwork, cells: int) -> None:
        """`cells` are those of z across; the field lies on a CPU."""
        self.cells, self.layout, self._field = cells, Layout.of(field), field
        self.samples = INTERPOLATED * cells + 2, INTERPOLATED * CELLS + 2
        """Columns and rows of samples: the first lies half a sample beyond the border."""
        self.sigmas = sorted({*LEVELS, *(s for _, *pair in STRETCHED for s in pair)})
        self.across, self.down = (
            np.stack([gaussian(sigma, _samples(count), count).numpy() for sigma in self.sigmas]).astype(np.float32)
            for count in (cells, CELLS)
        )
        """(sigmas, samples, cells) both: matrices that blur and sample an axis of z."""
        self._along = torch.stack([gaussian(sigma, _samples(cells), cells) for sigma in LEVELS[1:]]).mT
        y, x = (torch.arange(count, dtype=torch.float64) + 0.5 for count in (CELLS, cells))
        self._middles = NoiseFeatures(Plane(y / CELLS, (x - cells / 2) / CELLS + 0.5, 1.0), cells)
        corners = (torch.arange(cells) - (cells - CELLS) / 2)[None, :].expand(CELLS, -1), torch.arange(CELLS)[:, None]
        blocks = [axis.expand(CELLS, cells).div(w, rounding_mode="floor") for axis in corners for w in BLOCKS]
        # 2 (X / w - block) - 1 with X in cells, less the slope (CELLS / w) (2 X / CELLS - 1) that samples have
        begins = [CELLS / w - 1 - 2 * block for block, w in zip(blocks, 2 * BLOCKS, strict=True)]
        self._constant = torch.cat([torch.ones(1, CELLS, cells), torch.stack(begins)])
        self._slopes = torch.zeros(SHAPE.inputs, 4)
        for axis, own, within in ((0, X, _IN_X), (1, Y, _IN_Y)):
            self._slopes[own, axis], self._slopes[IN_POLAR + axis, axis] = 1.0, 8.0
            self._slopes[within, axis] = torch.tensor([CELLS / width for width in BLOCKS])
        first = field.weather.sizes[0][0]
        rows = [torch.arange(SHAPE.hidden_width)]
        rows += [4 * (self.layout.hidden + k * self.layout.own) + torch.arange(first) for k in range(MOST_CONDITIONS)]
        self._rows = torch.cat(rows)
        self._last = _places_of_last()

    def fullest(self) -> tuple[np.ndarray, np.ndarray]:
        """z and a prompt that take as long to draw as any do."""
        z = torch.randn(CHANNELS, CELLS, self.cells, generator=torch.Generator().manual_seed(0))
        asked = torch.zeros(PROMPT_SIZE)
        asked[PLACE.start] = 1.0
        asked[CONDITION.start : CONDITION.start + MOST_CONDITIONS] = 0.5
        return z.numpy(), asked.numpy()

    @torch.inference_mode()
    def __call__(self, z: np.ndarray, prompt: np.ndarray) -> FieldTexels:
        """z (4, CELLS, cells), prompt (PROMPT_SIZE,)."""
        noise, asked = torch.tensor(z)[None], torch.tensor(prompt)[None]
        shown = min(MOST_CONDITIONS, int(asked[0, CONDITION].gt(NOTHING).sum()))
        weights = self._field.weights(asked, max(1, shown))
        first, profiles = weights.first[0], self._middles.profiles(noise)
        return FieldTexels(
            shown,
            noise[0].permute(1, 2, 0).contiguous().numpy(),
            (profiles @ self._along).mT.contiguous().numpy(),
            self._bias(weights),
            self._cell_sums(first, noise, profiles),
            self._summing(first, weights.on_bias[0]),
            self._drawing(first, weights, max(1, shown)),
        )

    def _bias(self, weights: Weights) -> np.ndarray:
        maps = self._field.bias_maps(weights, lambda grid: grid)[0]
        filled = F.pad(maps, (0, 0, 0, 0, 0, 4 * fours(self.layout.bias_maps) - len(maps)))
        return filled.unflatten(0, (-1, 4)).permute(0, 2, 3, 1).flatten(0, 1).contiguous().numpy()

    def _cell_sums(self, first: torch.Tensor, z: torch.Tensor, profiles: torch.Tensor) -> np.ndarray:
        seen = self._middles
        tiles = [seen.tiles(z[0, channel], width) for channel, width in TILES]
        steps = torch.cat([seen.steps(profiles[0], width) for width in BLOCKS])[:, None].expand(-1, CELLS, -1)
        moods = seen.moods(z)[0, :, None, None].expand(-1, CELLS, self.cells)
        maps = torch.cat([torch.stack(tiles), steps, moods, self._constant])
        sums = self._filled(first[:, _CELLS]) @ maps.flatten(1)
        return sums.view(-1, 4, CELLS, self.cells).permute(0, 2, 3, 1).flatten(0, 1).contiguous().numpy()

    def _summing(self, first: torch.Tensor, on_bias: torch.Tensor) -> np.ndarray:
        bias = F.pad(on_bias, (0, 4 * fours(self.layout.bias_maps) - on_bias.shape[1]))
        inputs = torch.cat([first[:, SMOOTH], first[:, _BLURS], first @ self._slopes, bias], 1)
        return blocks(self._filled(inputs)).numpy()

    def _drawing(self, first: torch.Tensor, weights: Weights, conditions: int) -> np.ndarray:
        """The place's last rows come as they are composited; nothing fills up the conditions."""
        at = self.layout
        second, third, last, *own, push = (layer[0] for layer in weights.layers)
        arranged = torch.zeros(4 * at.last, last.shape[1])
        arranged[self._last] = last
        layers = [second, third, arranged]
        matrices = [blocks(self._filled(first[:, GIVEN])), *(blocks(layer[:, :-1]) for layer in layers)]
        for own_second, own_third, colours, opacity, grade in zip(*(part[:conditions] for part in own), strict=True):
            layers += [own_second, own_third]
            seen, geometry = own_second[:, :-1].split((own_second.shape[1] - 1 - GEOMETRY, GEOMETRY), 1)
            matrices += [blocks(seen), blocks(geometry), blocks(own_third[:, :-1]), blocks(colours.T)]
            matrices.append(blocks(torch.cat([grade, F.pad(opacity, (3, 0))])))
        offsets = torch.cat([F.pad(layer[:, -1], (0, -len(layer) % 4)) for layer in layers])
        numbers = torch.cat([matrix.flatten() for matrix in matrices])
        tint = blocks(torch.eye(3, 4) + push).flatten()
        filled = F.pad(numbers, (0, 16 * (at.matrices - 1) - len(numbers)))
        return torch.cat([filled, tint, F.pad(offsets, (0, 4 * at.offsets - len(offsets)))]).numpy()

    def _filled(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of first layers (n, columns) at their places among all there may be."""
        filled = torch.zeros(4 * self.layout.rows, rows.shape[1])
        filled[self._rows[: len(rows)]] = rows
        return filled


def blocks(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix (rows, columns), filled up, as (columns / 4, rows / 4, 4, 4), each block column by column."""
    filled = F.pad(matrix, (0, -matrix.shape[1] % 4, 0, -matrix.shape[0] % 4))
    return filled.unflatten(1, (-1, 4)).unflatten(0, (-1, 4)).permute(2, 0, 3, 1).contiguous()


def _places_of_last() -> torch.Tensor:
    """Where each row of the place's last layer goes: picture, then each layer's colour and alpha, then geometry."""
    layers = torch.arange(SHAPE.alpha_layers)
    colours = (4 + 4 * layers[:, None] + torch.arange(3)).flatten()
    geometry = 4 + 4 * SHAPE.alpha_layers + torch.arange(GEOMETRY)
    return torch.cat([torch.arange(3), 4 + 4 * layers + 3, colours, geometry])


def _samples(count: int) -> torch.Tensor:
    """Where the samples of an axis of so many cells lie, in cells, the first half a sample before the border."""
    return (torch.arange(-1, INTERPOLATED * count + 1, dtype=torch.float64) + 0.5) / INTERPOLATED - 0.5
