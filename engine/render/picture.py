"""What one redraw gives. Nothing of OpenGL is needed to speak of it, so that a show without a screen can too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.core.isf import IsfFile

Size = tuple[int, int]
"""Width and height in pixels."""


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


class Context(Protocol):
    """An open OpenGL context: `ShowWindow` or `HeadlessContext`."""

    @property
    def size(self) -> Size | None:
        """Pixels of its screen, None where there is none."""
        ...

    def switch_to(self) -> None:
        """Make it the current one."""
        ...
