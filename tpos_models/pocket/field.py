"""The field: a picture as a function of place, drawn at any size and shape.

The hypernetwork of `hypernetwork.py`, smaller, learned at a projector's fineness. What it is given at a pixel is linear
or constant between samples of small grids: z's smooth maps INTERPOLATED times a cell, bias maps twice a cell.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import nn

from tpos_models import weights
from tpos_models.pocket.hypernetwork import INPUTS, Hypernetwork, Shape, polar
from tpos_models.pocket.noise_features import (
    BLOCKS,
    CELLS,
    NoiseFeatures,
    Plane,
    between_samples,
)

PERSPECTIVE = 5
HORIZON = 0.6
NEAREST = 0.05
"""What is added to the distance from the horizon, so that nothing lies infinitely far."""
BEYOND = 0.75
"""How far from the middle the points lie that fans of light come from, above and below the picture."""
SHAPE = Shape(
    hidden_width=40,
    alpha_layers=10,
    bias_maps=4,
    grid=(2 * CELLS, 4 * CELLS),
    inputs=INPUTS + 3 * len(BLOCKS) + PERSPECTIVE,
    gain=8.0,
    condition=(20, 20, 8),
    place_code=12,
)
"""Bias maps twice a cell, over a picture twice as wide as high: beyond it the border goes on."""
FINENESS = 720
"""Rows of the pictures it learns from: its outlines are as wide as theirs."""
MOST_CONDITIONS = 3
NOTHING = 1e-5
"""A strength that is what rounding leaves of a prompt's tokens."""


class View(nn.Module):
    """What the pixels of a plane see: of z, of where they lie, also in their block of cells, and of bias maps."""

    down: torch.Tensor
    across: torch.Tensor
    around: torch.Tensor

    def __init__(self, plane: Plane, cells: int, exact: bool = False) -> None:
        """`exact` is for the samples themselves, between which a painter interpolates."""
        super().__init__()
        self.features = NoiseFeatures(plane, cells, linear=not exact)
        rows, columns = SHAPE.grid
        y, x = plane.y * CELLS - 0.5, (plane.x - 0.5) * CELLS + (columns * CELLS / rows - 1) / 2
        down, across = (partial(_bias_samples, count=count) for count in (rows, columns))
        for name, matrix in (
            ("around", torch.cat([_in_blocks(self.features), _perspective(self.features), polar(self.features)])),
            ("down", down(y) if exact else between_samples(y, down)),
            ("across", across(x) if exact else between_samples(x, across)),
        ):
            self.register_buffer(name, matrix, persistent=False)

    def maps(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, 4, CELLS, cells) to (B, inputs, rows * columns)."""
        return torch.cat([self.features.fields(z).flatten(2), self.lines(z)], 1)

    def lines(self, z: torch.Tensor) -> torch.Tensor:
        """The inputs after FIELDS: (B, inputs - FIELDS, rows * columns)."""
        return torch.cat([self.features.lines(z), self.around.expand(len(z), -1, -1, -1)], 1).flatten(2)

    def sampled(self, grid: torch.Tensor) -> torch.Tensor:
        """Bias maps (..., *grid) to (..., rows * columns)."""
        return sampled_by(self.down, self.across, grid)


def sampled_by(down: torch.Tensor, across: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Bias maps (..., *grid) at rows and columns, by the matrices of a `View`: (..., rows * columns)."""
    return (down @ grid @ across.T).flatten(-2)


def _in_blocks(features: NoiseFeatures) -> torch.Tensor:
    """Where a pixel lies in its block of cells, and how far from its middle, in half blocks: (3 blocks, rows, columns).

    What there is one of in a block, a star, a window or a flower, is drawn by it.
    """
    maps = []
    for width in BLOCKS:
        x, y = (2 * torch.remainder(axis * CELLS / width, 1) - 1 for axis in (features.x, features.y))
        maps += [x, y, 2 * (x**2 + y**2).sqrt() - 1]
    return torch.stack(maps)


def _perspective(features: NoiseFeatures) -> torch.Tensor:
    """Where a ray meets a floor and a ceiling that lie level (across, away), the angles around two points above and
    below the picture, and x times y: (PERSPECTIVE, rows, columns)."""
    x, y = features.x - 0.5, features.y - 0.5
    away = 1 / ((features.y - HORIZON).abs() + NEAREST)
    above, below = torch.atan2(x, y + BEYOND), torch.atan2(x, BEYOND - y)
    return torch.stack([x * away, 0.25 * away - 1, 2 * above, 2 * below, 8 * x * y])


def _bias_samples(points: torch.Tensor, count: int) -> torch.Tensor:
    """The matrix (n, count) that reads bias maps at points (cells): linear in between, the border beyond."""
    at = ((points + 0.5) * SHAPE.grid[0] / CELLS - 0.5).clamp(0, count - 1)
    return (1 - (at[:, None] - torch.arange(count, dtype=torch.float64)).abs()).clamp_min(0).float()


def load_field(folder: Path) -> Hypernetwork:
    """The trained field in evaluation mode; raises `ModelError` or `MissingFileError`."""
    field = Hypernetwork(SHAPE)
    weights.load_into(field, weights.load(folder, "field")[0], str(folder / "field.safetensors"))
    return field.eval()
