"""Features of the noise z, on cells and on pixels: all that the world and the denoiser may both see of it.

The one rule of `pocket`: the world reads z only through these, so that every shape it draws is a local function of the
denoiser's own input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

CELLS = 32
"""Cells of z to a picture's height."""
Crop = tuple[slice, slice]
"""Rows and columns of cells, or of pixels."""
CHANNELS = 4
LEVELS = (0.7, 1.5, 3.0, 6.0)
"""Sigmas, in cells, of the blur pyramid."""
STRETCHED = ((1, 1.0, 6.0), (1, 6.0, 1.0), (2, 0.7, 4.0), (3, 3.0, 1.0))
"""(channel, sigma down, sigma across): streaks of cloud, curtains, ripples and tongues."""
PROFILES = 4
"""Channel 0 is cut into this many bands of rows; the mean of each is a profile along x: ridges and skylines."""
BLOCKS = (1, 2, 4)
"""Profiles come in steps of so many cells, and smooth at LEVELS[1:]."""
TILES = ((0, 2), (0, 4), (3, 2), (3, 4))
"""(channel, width) of the means of square blocks of cells: where flowers and bubbles sit."""

PERIODS = (32, 16, 8, 4, 2)
"""Cells that the waves of x and y are long."""
COORDINATES = 2 * (1 + 2 * len(PERIODS))

TERRAIN, SKY, FLOW, LIFE = range(CHANNELS)
"""What each channel of z means: still composition; clouds and wind; water and ground; flames, drops and flakes."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The pixels of a picture of any shape and size: `y` (rows,) and `x` (columns,) of their centres, float64.

    Both are in picture heights from the upper left corner of the square in its middle, which every shape shows or lies
    in: x is below 0 and above 1 in what a wide picture shows beside it. `pixels` is how many of them a height has.
    """

    y: torch.Tensor
    x: torch.Tensor
    pixels: float

    @classmethod
    def of(cls, width: int, height: int) -> Plane:
        """All pixels of a picture of this size."""
        y = (torch.arange(height, dtype=torch.float64) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / height + 0.5
        return cls(y, x, height)


def cells_across(width: int, height: int) -> int:
    """Cells that z has across for a picture of this shape: the square's, and on both sides blocks of four as needed."""
    return CELLS + 8 * max(0, math.ceil((CELLS * width / height - CELLS) / 8))


def gaussian(sigma: float, points: torch.Tensor, cells: int) -> torch.Tensor:
    """Rows that sample a wrapped Gaussian blur of so many values at `points` (cells); unit norm keeps unit variance."""
    distance = points[:, None] - torch.arange(cells, dtype=torch.float64)[None, :]
    rows = sum(torch.exp(-0.5 * ((distance + wrap * cells) / sigma) ** 2) for wrap in (-2, -1, 0, 1, 2))
    assert isinstance(rows, torch.Tensor)
    return (rows / rows.norm(dim=1, keepdim=True)).float()


INTERPOLATED = 4
"""Samples of a smooth map to a cell, between which a field is linear."""


def between_samples(points: torch.Tensor, sampled: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A matrix (n, count) for points (cells), linear between what `sampled` gives INTERPOLATED times a cell.

    What a texture gives.
    """
    at = (points + 0.5) * INTERPOLATED - 0.5
    first = at.floor()
    one, other = (sampled((sample + 0.5) / INTERPOLATED - 0.5) for sample in (first, first + 1))
    return torch.lerp(one, other, (at - first).float()[:, None])


def interpolated(sigma: float, points: torch.Tensor, cells: int) -> torch.Tensor:
    """The same, linear between samples."""
    return between_samples(points, lambda samples: gaussian(sigma, samples, cells))


def _waves(points: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of points (cells), of periods from 32 cells down to two: (n, 2 len(PERIODS))."""
    angles = [(points + 0.5) * (2 * math.pi / period) for period in PERIODS]
    return torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1).float()


def _blocks(width: int, points: torch.Tensor, cells: int) -> torch.Tensor:
    """Rows that average `width` neighbouring cells of so many, scaled to unit variance, seen at `points` (cells)."""
    block = (points + 0.5).floor().long() // width
    return (block[:, None] == (torch.arange(cells) // width)[None, :]).float() / math.sqrt(width)


class NoiseFeatures(nn.Module):
    """Reads z, `cells` across, at the pixels of a plane. All maps have zero mean and unit variance for Gaussian z."""

    x: torch.Tensor
    y: torch.Tensor
    """Where each pixel lies, as in `Plane`: (rows, columns) both."""
    waves_x: torch.Tensor
    waves_y: torch.Tensor
    """Their waves: (2 len(PERIODS), rows, columns)."""
    across: torch.Tensor
    """(samplers * columns, cells): every blur and block there is, for the rows of every channel."""
    down: torch.Tensor
    """(fields, rows, CELLS): for the columns of each field of `maps`. Constants multiply fastest from the left."""
    along: torch.Tensor
    """(6, cells, columns): the profiles' steps and blurs."""
    chosen: torch.Tensor
    """(fields,): each field's channel and sampler across; a list would be sent to a GPU in every call."""

    def __init__(self, plane: Plane | None = None, cells: int = CELLS, linear: bool = False) -> None:
        """Without a plane one pixel for each cell of the square. `linear`: smooth maps and waves are so in between."""
        super().__init__()
        plane = plane or Plane.of(CELLS, CELLS)
        self.cells, self.pixels, blur = cells, plane.pixels, interpolated if linear else gaussian
        points = {"down": plane.y * CELLS - 0.5, "across": (plane.x - 0.5) * CELLS + (cells - 1) / 2}
        counts = {"down": CELLS, "across": cells}
        sigmas = sorted({*LEVELS, *(s for _, *pair in STRETCHED for s in pair)})
        self._blur = {sigma: f"blur_{i}" for i, sigma in enumerate(sigmas)}
        for axis in points:
            for sigma, name in self._blur.items():
                self.register_buffer(f"{name}_{axis}", blur(sigma, points[axis], counts[axis]), persistent=False)
            for width in BLOCKS:
                block = _blocks(width, points[axis], counts[axis])
                self.register_buffer(f"block_{width}_{axis}", block, persistent=False)
        widths = sorted({width for _, width in TILES})
        down, across = (
            [self.blur(sigma, axis) for sigma in sigmas] + [self.block(width, axis) for width in widths]
            for axis in points
        )
        fields = [(channel, sigmas.index(s), sigmas.index(s)) for s in LEVELS for channel in range(CHANNELS)]
        fields += [(channel, sigmas.index(one), sigmas.index(other)) for channel, one, other in STRETCHED]
        tiles = [(channel, len(sigmas) + widths.index(width)) for channel, width in TILES]
        fields += [(channel, tile, tile) for channel, tile in tiles]
        along = [self.block(width, "across") for width in BLOCKS] + [self.blur(s, "across") for s in LEVELS[1:]]
        wavy = partial(between_samples, sampled=_waves) if linear else _waves
        for name, matrix in (
            ("waves_x", wavy(plane.x * CELLS - 0.5).T[:, None, :].repeat(1, len(plane.y), 1)),
            ("waves_y", wavy(plane.y * CELLS - 0.5).T[:, :, None].repeat(1, 1, len(plane.x))),
            ("across", torch.cat(across)),
            ("down", torch.stack([down[one] for _, one, _ in fields])),
            ("along", torch.stack([one.T for one in along])),
            ("chosen", torch.tensor([channel * len(across) + other for channel, _, other in fields])),
            ("x", plane.x.float()[None, :].repeat(len(plane.y), 1)),
            ("y", plane.y.float()[:, None].repeat(1, len(plane.x))),
        ):
            self.register_buffer(name, matrix, persistent=False)

    def blur(self, sigma: float, axis: str) -> torch.Tensor:
        """The matrix that blurs and samples one axis, "down" (rows, CELLS) or "across" (columns, cells)."""
        return getattr(self, f"{self._blur[sigma]}_{axis}")

    def block(self, width: int, axis: str) -> torch.Tensor:
        """The matrix that averages blocks of one axis, as `blur`."""
        return getattr(self, f"block_{width}_{axis}")

    def field(self, z: torch.Tensor, down: float, across: float) -> torch.Tensor:
        """Maps (..., CELLS, cells) to smooth maps (..., rows, columns), blurred by two sigmas."""
        return self.blur(down, "down") @ z @ self.blur(across, "across").T

    def profiles(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, 4, CELLS, cells) to PROFILES rows of `cells` values each: (B, PROFILES, cells)."""
        rows = CELLS // PROFILES
        return z[:, TERRAIN].reshape(-1, PROFILES, rows, self.cells).sum(2) / math.sqrt(rows)

    def steps(self, profiles: torch.Tensor, width: int) -> torch.Tensor:
        """Profiles (..., cells) in blocks of `width` cells: (..., columns)."""
        return profiles @ self.block(width, "across").T

    def tiles(self, z: torch.Tensor, width: int) -> torch.Tensor:
        """Maps (..., CELLS, cells) in blocks of `width` x `width` cells: (..., rows, columns)."""
        return self.block(width, "down") @ z @ self.block(width, "across").T

    def moods(self, z: torch.Tensor) -> torch.Tensor:
        """One number for the whole picture per channel: (B, 4), still under any shift of z."""
        return z.mean((2, 3)) * math.sqrt(CELLS * self.cells)

    def coordinates(self) -> torch.Tensor:
        """Constant maps (COORDINATES, rows, columns): x and y, and their waves down to two cells long."""
        return torch.cat([self.x[None] * 2 - 1, self.waves_x, self.y[None] * 2 - 1, self.waves_y])

    def fields(self, z: torch.Tensor) -> torch.Tensor:
        """The first FIELDS of all maps, those that vary with both axes: (B, 4, CELLS, cells) to (B, FIELDS, ...)."""
        columns = self.x.shape[1]
        samplers = (self.across @ z.transpose(2, 3)).view(-1, CHANNELS * (len(self.across) // columns), columns, CELLS)
        return self.down @ samplers[:, self.chosen].transpose(2, 3)

    def lines(self, z: torch.Tensor) -> torch.Tensor:
        """The other maps (B, MAPS - FIELDS, rows, columns): profiles, moods and coordinates."""
        rows, columns = self.x.shape
        profiles = (self.profiles(z)[:, None] @ self.along).view(-1, PROFILES * len(self.along), 1, columns)
        moods = self.moods(z)[:, :, None, None].expand(-1, -1, rows, columns)
        coordinates = self.coordinates().expand(z.shape[0], -1, -1, -1)
        return torch.cat([profiles.expand(-1, -1, rows, -1), moods, coordinates], 1)

    def maps(self, z: torch.Tensor) -> torch.Tensor:
        """Everything there is to see of z at each pixel: (B, 4, CELLS, cells) to (B, MAPS, rows, columns)."""
        return torch.cat([self.fields(z), self.lines(z)], 1)


FIELDS = CHANNELS * len(LEVELS) + len(STRETCHED) + len(TILES)
MAPS = FIELDS + PROFILES * (len(BLOCKS) + len(LEVELS) - 1) + CHANNELS + COORDINATES
