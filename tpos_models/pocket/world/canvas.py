"""The canvas that the world paints on: noise features at picture size, and helpers that lay colours over each other."""

from __future__ import annotations

import torch

from tpos_models.pocket.noise_features import FLOW, NoiseFeatures

Colours = dict[str, torch.Tensor]
"""A place's colours by name, (B, 3) each."""


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

    def polar(self, x: torch.Tensor | float, y: torch.Tensor | float) -> tuple[torch.Tensor, torch.Tensor]:
        """Distance from a point, and the angle around it."""
        return self.distance(x, y).clamp_min(1e-3), torch.atan2(self.y - y, self.x - x)

    def glow(self, x: torch.Tensor | float, y: torch.Tensor | float, radius: torch.Tensor | float) -> torch.Tensor:
        """Light that a point throws: 1 there, fading to nothing at a radius."""
        return (1 - self.distance(x, y) / radius).clamp(0.0, 1.0) ** 2

    def sway(self, near: float) -> torch.Tensor:
        """x as the slow flow bends it, `near` heights for each unit: what is nearer moves more as z does."""
        return self.x + near * self.field(FLOW, 6.0)

    def rect(self, x: torch.Tensor | float, y: torch.Tensor | float, wide: float, tall: float) -> torch.Tensor:
        """Signed distance into an upright rectangle of half sizes `wide` and `tall`."""
        return torch.minimum(wide - (self.x - x).abs(), tall - (self.y - y).abs())


def solid(amount: torch.Tensor) -> torch.Tensor:
    """Opacity for an amount: half present is already solid, so mixed places mix sizes rather than ghosts."""
    return (amount * 2).clamp(0.0, 1.0)


def within(x: torch.Tensor, width: float) -> torch.Tensor:
    """Distance from the middle of the own of blocks so wide, signed."""
    return torch.remainder(x, width) - width / 2


def zigzag(x: torch.Tensor) -> torch.Tensor:
    """A triangle wave of period 1 from 0 (at 0) to 1 (at 0.5)."""
    return 1 - 2 * (torch.remainder(x, 1) - 0.5).abs()


def shed(picture: torch.Tensor, colour: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Throw light of a colour on pictures (the screen of image editors)."""
    if colour.ndim <= 2:
        colour = colour[..., None, None]
    return picture + mask[:, None] * colour * (1 - picture)


def paint(picture: torch.Tensor, colour: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Lay `colour` ((B,) 3 [, rows, columns]) over pictures (B, 3, rows, columns) where `mask`, without the 3, is 1."""
    if colour.ndim <= 2:
        colour = colour[..., None, None]
    return picture + mask[:, None] * (colour - picture)  # lerp would be traced as eight operations


def blob(field: torch.Tensor, threshold: torch.Tensor | float, gain: torch.Tensor | float) -> torch.Tensor:
    """A crisp island of a smooth field above a threshold, `gain` sets the edge."""
    return ((field - threshold) * gain + 0.5).clamp(0.0, 1.0)


def rgb(code: str) -> torch.Tensor:
    """ "#7fa6b5" to (3,) in 0..1."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
