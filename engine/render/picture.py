"""What one redraw gives. Nothing of OpenGL is needed to speak of it, so that a show without a screen can too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from engine.core.isf import IsfFile
from engine.core.messages import Fit

Size = tuple[int, int]
"""Width and height in pixels."""
Rect = tuple[int, int, int, int]
"""x, y, width, height in pixels from the bottom left."""


def within(size: Size, longest_px: int) -> Size:
    """The size of the same shape whose longer side is at most `longest_px`."""
    scale = min(1.0, longest_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@dataclass(frozen=True, slots=True)
class Redrawn:
    """One redraw."""

    shaped_s: float
    """Capture time of the sound that it latched, on the show's clock: the picture's time in a film."""
    drawn: bool
    """Whether there was a picture to draw; before the first one it is black."""
    trouble: str = ""
    """The line for a user's effect that was refused, once."""
    instead: IsfFile | None = None
    """The version of it that plays on, None where there is none."""


@dataclass(frozen=True, slots=True)
class FieldTiming:
    """How long a field takes to be drawn here, at the size that was timed."""

    size: Size
    seconds: float
    within_s: float
    """What a redraw has for it."""
    least_s: float = 0.0
    """How long it takes however small it is."""

    @property
    def most_px(self) -> float:
        """Pixels that there is time for; one, where there is none."""
        a_pixel_s = max(self.seconds - self.least_s, 1e-9) / (self.size[0] * self.size[1])
        return max(1.0, (self.within_s - self.least_s) / a_pixel_s)

    @property
    def coarser(self) -> int:
        """Into how many times fewer pixels a side must be cut for that; 1: none."""
        return coarser(self.size, self.most_px)

    def __str__(self) -> str:
        width, height = self.size
        return f"{width}x{height} in {1000 * self.seconds:.1f} ms"


def coarser(size: tuple[float, float], most_px: float) -> int:
    """How many times fewer pixels a side must have, 1 or more, for a picture of no more than so many."""
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / most_px)))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the picture goes: `rect` of the output in pixels, and the visible part `span` of the picture."""

    rect: Rect
    span: tuple[float, float]

    def texels(self, picture: Size) -> Size:
        """How many of the pixels of a picture of that size are visible."""
        return round(picture[0] * self.span[0]), round(picture[1] * self.span[1])


def place(picture: Size, output: Size, fit: Fit) -> Placement:
    """FIT shows the whole picture centred between bars; FILL covers the output and crops around the middle."""
    width, height = output
    ratio = (picture[0] * height) / (picture[1] * width)
    if fit is Fit.FIT:
        w = width if ratio >= 1.0 else max(1, round(width * ratio))
        h = height if ratio <= 1.0 else max(1, round(height / ratio))
        return Placement(((width - w) // 2, (height - h) // 2, w, h), (1.0, 1.0))
    return Placement((0, 0, width, height), (min(1.0, 1.0 / ratio), min(1.0, ratio)))


class Context(Protocol):
    """An open OpenGL context: `ShowWindow` or `HeadlessContext`."""

    @property
    def size(self) -> Size | None:
        """Pixels of its screen, None where there is none."""
        ...

    def switch_to(self) -> None:
        """Make it the current one."""
        ...
