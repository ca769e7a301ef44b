"""Features of the noise z, on cells and on pixels: all that the world and the denoiser may both see of it.

The one rule of `pocket`: the world reads z only through these, so that every shape it draws is a local function of the
denoiser's own input.
"""

from __future__ import annotations

import math

import torch
from torch import nn

CELLS = 32
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

COORDINATES = 22

TERRAIN, SKY, FLOW, LIFE = range(CHANNELS)
"""What each channel of z means: still composition; clouds and wind; water and ground; flames, drops and flakes."""


def _gaussian(sigma: float, points: torch.Tensor) -> torch.Tensor:
    """Rows that sample a wrapped Gaussian blur of CELLS values at `points` (cells); unit norm keeps unit variance."""
    distance = points[:, None] - torch.arange(CELLS, dtype=torch.float64)[None, :]
    rows = sum(torch.exp(-0.5 * ((distance + wrap) / sigma) ** 2) for wrap in (-2 * CELLS, -CELLS, 0, CELLS, 2 * CELLS))
    assert isinstance(rows, torch.Tensor)
    return (rows / rows.norm(dim=1, keepdim=True)).float()


def _blocks(width: int, size: int) -> torch.Tensor:
    """Rows that average `width` neighbouring cells, scaled to unit variance, seen at `size` positions."""
    cell = (torch.arange(size) * CELLS // size) // width
    return (cell[:, None] == (torch.arange(CELLS) // width)[None, :]).float() / math.sqrt(width)


class NoiseFeatures(nn.Module):
    """Reads z at `size` x `size` positions. All maps have zero mean and unit variance for Gaussian z."""

    x: torch.Tensor
    y: torch.Tensor
    across: torch.Tensor
    """(samplers * size, CELLS): every blur and block there is, for the rows of every channel."""
    down: torch.Tensor
    """(fields, size, CELLS): for the columns of each field of `maps`. Constants multiply fastest from the left."""
    along: torch.Tensor
    """(6, CELLS, size): the profiles' steps and blurs."""
    chosen: torch.Tensor
    """(fields,): each field's channel and sampler across; a list would be sent to a GPU in every call."""

    def __init__(self, size: int = CELLS) -> None:
        super().__init__()
        self.size = size
        points = (torch.arange(size, dtype=torch.float64) + 0.5) * CELLS / size - 0.5
        sigmas = sorted({*LEVELS, *(s for _, *pair in STRETCHED for s in pair)})
        self._blur = {sigma: f"blur_{i}" for i, sigma in enumerate(sigmas)}
        for sigma, name in self._blur.items():
            self.register_buffer(name, _gaussian(sigma, points), persistent=False)
        for width in BLOCKS:
            self.register_buffer(f"block_{width}", _blocks(width, size), persistent=False)
        widths = sorted({width for _, width in TILES})
        samplers = [self.blur(sigma) for sigma in sigmas] + [self.block(width) for width in widths]
        fields = [(channel, sigmas.index(s), sigmas.index(s)) for s in LEVELS for channel in range(CHANNELS)]
        fields += [(channel, sigmas.index(down), sigmas.index(across)) for channel, down, across in STRETCHED]
        tiles = [(channel, len(sigmas) + widths.index(width)) for channel, width in TILES]
        fields += [(channel, tile, tile) for channel, tile in tiles]
        along = [self.block(width) for width in BLOCKS] + [self.blur(sigma) for sigma in LEVELS[1:]]
        for name, matrix in (
            ("across", torch.cat(samplers)),
            ("down", torch.stack([samplers[down] for _, down, _ in fields])),
            ("along", torch.stack([one.T for one in along])),
            ("chosen", torch.tensor([channel * len(samplers) + across for channel, _, across in fields])),
        ):
            self.register_buffer(name, matrix, persistent=False)
        centre = (torch.arange(size) + 0.5) / size
        self.register_buffer("x", centre[None, :].expand(size, size).contiguous(), persistent=False)
        self.register_buffer("y", centre[:, None].expand(size, size).contiguous(), persistent=False)

    def blur(self, sigma: float) -> torch.Tensor:
        """The (size, CELLS) matrix that blurs and samples one axis."""
        return getattr(self, self._blur[sigma])

    def block(self, width: int) -> torch.Tensor:
        """The (size, CELLS) matrix that averages blocks of one axis."""
        return getattr(self, f"block_{width}")

    def field(self, z: torch.Tensor, down: float, across: float) -> torch.Tensor:
        """Maps (..., CELLS, CELLS) to smooth maps (..., size, size), blurred by two sigmas."""
        return self.blur(down) @ z @ self.blur(across).T

    def profiles(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, 4, 32, 32) to PROFILES rows of CELLS values each: (B, PROFILES, CELLS)."""
        rows = CELLS // PROFILES
        return z[:, TERRAIN].reshape(-1, PROFILES, rows, CELLS).sum(2) / math.sqrt(rows)

    def steps(self, profiles: torch.Tensor, width: int) -> torch.Tensor:
        """Profiles (..., CELLS) in blocks of `width` cells: (..., size)."""
        return profiles @ self.block(width).T

    def tiles(self, z: torch.Tensor, width: int) -> torch.Tensor:
        """Maps (..., CELLS, CELLS) in blocks of `width` x `width` cells: (..., size, size)."""
        return self.block(width) @ z @ self.block(width).T

    def moods(self, z: torch.Tensor) -> torch.Tensor:
        """One number for the whole picture per channel: (B, 4), still under any shift of z."""
        return z.mean((2, 3)) * CELLS

    def coordinates(self) -> torch.Tensor:
        """Constant maps (COORDINATES, size, size): x and y, and their waves down to two cells long."""
        waves = []
        for axis in (self.x, self.y):
            waves.append(axis * 2 - 1)
            for period in (32, 16, 8, 4, 2):
                waves += [
                    torch.sin(axis * (2 * math.pi * CELLS / period)),
                    torch.cos(axis * (2 * math.pi * CELLS / period)),
                ]
        return torch.stack(waves)

    def maps(self, z: torch.Tensor) -> torch.Tensor:
        """Everything there is to see of z at each position: (B, 4, 32, 32) to (B, MAPS, size, size)."""
        n = self.size
        samplers = (self.across @ z.transpose(2, 3)).view(-1, CHANNELS * (len(self.across) // n), n, CELLS)
        fields = self.down @ samplers[:, self.chosen].transpose(2, 3)
        rows = (self.profiles(z)[:, None] @ self.along).view(-1, PROFILES * len(self.along), 1, n)
        moods = self.moods(z)[:, :, None, None].expand(-1, -1, n, n)
        coordinates = self.coordinates().expand(z.shape[0], -1, -1, -1)
        return torch.cat([fields, rows.expand(-1, -1, n, -1), moods, coordinates], 1)


MAPS = (
    CHANNELS * len(LEVELS)
    + len(STRETCHED)
    + len(TILES)
    + PROFILES * (len(BLOCKS) + len(LEVELS) - 1)
    + CHANNELS
    + COORDINATES
)
