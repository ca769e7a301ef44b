"""The canvas that the world paints on: noise features at picture size, and helpers that lay colours over each other."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import NoiseFeatures


class Canvas:
    """The features of a batch of z at picture size, with painting helpers; owns nothing but references."""

    def __init__(self, features: NoiseFeatures, z: torch.Tensor) -> None:
        self.features, self.z = features, z
        self._pixels = features.pixels
        self.x, self.y = features.x[None], features.y[None]
        self._profiles = features.profiles(z)
        self._moods = features.moods(z)

    def of(self, rows: torch.Tensor) -> Canvas:
        """The same view of some of the batch."""
        return Canvas(self.features, self.z[rows])

    def field(self, channel: int, down: float, across: float | None = None) -> torch.Tensor:
        """A smooth field (B, rows, columns) of one channel."""
        return self.features.field(self.z[:, channel], down, down if across is None else across)

    def smooth(self, band: int, sigma: float) -> torch.Tensor:
        """A smooth profile along x (B, 1, columns)."""
        return (self._profiles[:, band] @ self.features.blur(sigma, "across").T)[:, None]

    def steps(self, band: int, width: int) -> torch.Tensor:
        """A profile in blocks of `width` cells (B, 1, columns)."""
        return self.features.steps(self._profiles[:, band], width)[:, None]

    def cells(self, channel: int, width: int) -> torch.Tensor:
        """One number per block of `width` x `width` cells (B, rows, columns), unit variance."""
        return self.features.tiles(self.z[:, channel], width)

    def mood(self, channel: int) -> torch.Tensor:
        """One number per picture within -1..1, (B, 1, 1)."""
        return torch.tanh(self._moods[:, channel] * 0.7)[:, None, None]

    def edge(self, distance: torch.Tensor, soft_px: float = 1.5) -> torch.Tensor:
        """Coverage 0..1 of a shape from the signed distance (picture heights, inside positive)."""
        return (distance * (self._pixels / soft_px) + 0.5).clamp(0.0, 1.0)

    def disc(self, x: torch.Tensor | float, y: torch.Tensor | float, radius: torch.Tensor | float) -> torch.Tensor:
        """Coverage of a disc."""
        return self.edge(radius - self.distance(x, y))

    def distance(self, x: torch.Tensor | float, y: torch.Tensor | float) -> torch.Tensor:
        """Distance of every pixel from a point, in picture heights."""
        return ((self.x - x) ** 2 + (self.y - y) ** 2).sqrt()


def paint(picture: torch.Tensor, colour: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Lay `colour` ((B,) 3 [, rows, columns]) over pictures (B, 3, rows, columns) where `mask`, without the 3, is 1."""
    if colour.ndim <= 2:
        colour = colour[..., None, None]
    return picture + mask[:, None] * (colour - picture)  # lerp would be traced as eight operations


def blob(field: torch.Tensor, threshold: torch.Tensor | float, gain: float) -> torch.Tensor:
    """A crisp island of a smooth field above a threshold, `gain` sets the edge."""
    return ((field - threshold) * gain + 0.5).clamp(0.0, 1.0)


def rgb(code: str) -> torch.Tensor:
    """ "#7fa6b5" to (3,) in 0..1."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
