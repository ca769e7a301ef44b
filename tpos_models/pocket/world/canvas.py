"""What the world and the denoiser may both see of the noise z: its features, on cells and on pixels.

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


class Lens(nn.Module):
    """Reads z at `size` x `size` positions. All maps have zero mean and unit variance for Gaussian z."""

    x: torch.Tensor
    y: torch.Tensor
    across: torch.Tensor
    """(sights * size, CELLS): every blur and block there is, for the rows of every channel."""
    down: torch.Tensor
    """(fields, size, CELLS): for the columns of each field of `maps`. Constants multiply fastest from the left."""
    along: torch.Tensor
    """(6, CELLS, size): the profiles' steps and blurs."""

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
        sights = [self.blur(sigma) for sigma in sigmas] + [self.block(width) for width in widths]
        fields = [(channel, sigmas.index(s), sigmas.index(s)) for s in LEVELS for channel in range(CHANNELS)]
        fields += [(channel, sigmas.index(down), sigmas.index(across)) for channel, down, across in STRETCHED]
        tiles = [(channel, len(sigmas) + widths.index(width)) for channel, width in TILES]
        fields += [(channel, tile, tile) for channel, tile in tiles]
        self._fields = [channel * len(sights) + across for channel, _, across in fields]
        along = [self.block(width) for width in BLOCKS] + [self.blur(sigma) for sigma in LEVELS[1:]]
        for name, matrix in (
            ("across", torch.cat(sights)),
            ("down", torch.stack([sights[down] for _, down, _ in fields])),
            ("along", torch.stack([one.T for one in along])),
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
        sights = (self.across @ z.transpose(2, 3)).view(-1, CHANNELS * (len(self.across) // n), n, CELLS)
        fields = self.down @ sights[:, self._fields].transpose(2, 3)
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


class Canvas:
    """A batch of z seen through a lens at picture size, with painting helpers; owns nothing but references."""

    def __init__(self, lens: Lens, z: torch.Tensor) -> None:
        self.lens, self.z = lens, z
        self.size = lens.size
        self.x, self.y = lens.x[None], lens.y[None]
        self._profiles = lens.profiles(z)
        self._moods = lens.moods(z)

    def of(self, rows: torch.Tensor) -> Canvas:
        """The same view of some of the batch."""
        return Canvas(self.lens, self.z[rows])

    def field(self, channel: int, down: float, across: float | None = None) -> torch.Tensor:
        """A smooth field (B, size, size) of one channel."""
        return self.lens.field(self.z[:, channel], down, down if across is None else across)

    def smooth(self, band: int, sigma: float) -> torch.Tensor:
        """A smooth profile along x (B, 1, size)."""
        return (self._profiles[:, band] @ self.lens.blur(sigma).T)[:, None]

    def steps(self, band: int, width: int) -> torch.Tensor:
        """A profile in blocks of `width` cells (B, 1, size)."""
        return self.lens.steps(self._profiles[:, band], width)[:, None]

    def cells(self, channel: int, width: int) -> torch.Tensor:
        """One number per block of `width` x `width` cells (B, size, size), unit variance."""
        return self.lens.tiles(self.z[:, channel], width)

    def mood(self, channel: int) -> torch.Tensor:
        """One number per picture within -1..1, (B, 1, 1)."""
        return torch.tanh(self._moods[:, channel] * 0.7)[:, None, None]

    def edge(self, distance: torch.Tensor, soft_px: float = 1.5) -> torch.Tensor:
        """Coverage 0..1 of a shape from the signed distance (picture heights, inside positive)."""
        return (distance * (self.size / soft_px) + 0.5).clamp(0.0, 1.0)

    def disc(self, x: torch.Tensor | float, y: torch.Tensor | float, radius: torch.Tensor | float) -> torch.Tensor:
        """Coverage of a disc."""
        return self.edge(radius - self.distance(x, y))

    def distance(self, x: torch.Tensor | float, y: torch.Tensor | float) -> torch.Tensor:
        """Distance of every pixel from a point, in picture heights."""
        return ((self.x - x) ** 2 + (self.y - y) ** 2).sqrt()


def paint(picture: torch.Tensor, colour: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Lay `colour` ((B,) 3 [, size, size]) over pictures (B, 3, size, size) where mask (B, size, size) is 1."""
    if colour.ndim <= 2:
        colour = colour[..., None, None]
    return picture + mask[:, None] * (colour - picture)  # lerp would be traced as eight operations


def blob(field: torch.Tensor, threshold: torch.Tensor | float, gain: float) -> torch.Tensor:
    """A crisp island of a smooth field above a threshold, `gain` sets the edge."""
    return ((field - threshold) * gain + 0.5).clamp(0.0, 1.0)


def rgb(code: str) -> torch.Tensor:
    """ "#7fa6b5" to (3,) in 0..1."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
