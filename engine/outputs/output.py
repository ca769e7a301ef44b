"""What every output is: a place where the show's picture goes.

A window, an off-screen context, a network stream or a texture shared with another program: all are opened by the
registry, sent each moment's picture, and closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.core.hud_info import HudInfo
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.render.picture import Context, FieldTiming, Redrawn, Size

if TYPE_CHECKING:
    from tpos_models.pocket.field_texels import FieldPacker

Features = Callable[[], AudioFeatures]


@dataclass(frozen=True, slots=True)
class Health:
    """How an output fares."""

    sent: int = 0
    """Pictures that reached it."""
    dropped: int = 0
    """Pictures that it had no time for."""
    trouble: str = ""
    """One line on what is wrong, "" while all is well."""


class Picture(Protocol):
    """The moment's picture, without HUD. Good until the next redraw, on the thread that redraws."""

    @property
    def size(self) -> Size:
        """Width and height of what `read` gives."""
        ...

    def paint(self, screen: Size) -> None:
        """Put it on the whole screen of the context it was drawn in."""
        ...

    def read(self) -> np.ndarray:
        """Its pixels, uint8 (height, width, 3), first row at the top; waits until they are drawn."""
        ...

    def ask_small(self, longest_px: int) -> None:
        """Ask for it, its longer side at most `longest_px`, without waiting."""
        ...

    def take_small(self) -> np.ndarray:
        """The small one that was asked for, as `read` gives it; waits no more where a redraw lies between."""
        ...


class Drawing(Picture, Protocol):
    """What makes the show's pictures: frames in, redraws, pixels out. With OpenGL `Renderer`, else `PlainFrames`."""

    @property
    def size(self) -> Size:
        """As `Picture.size`; None, when set, stands for the screen's."""
        ...

    @size.setter
    def size(self, size: Size | None) -> None: ...

    def draw_field(self, packer: FieldPacker, within_s: float, at_any_price: bool = False) -> FieldTiming:
        """Draw frames that are a field's numbers from now on (`Renderer.draw_field`). Raises RunError."""
        ...

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest."""
        ...

    def show_placeholder(self, image: np.ndarray) -> None:
        """Show `image`, uint8 (height, width, 3), until the first frame."""
        ...

    def redraw(self, features: Features, state: ShowState, now_s: float) -> Redrawn:
        """Draw one moment; `features` is called once, as late as drawing allows."""
        ...

    def read_later(self) -> np.ndarray | None:
        """The picture that the last call asked for, None at first; asks for the newest, and waits for neither."""
        ...


class Output(Protocol):
    """A place where pictures go, open from its making to `close`. All of it is called by the thread that draws.

    `send` neither waits (but for the display) nor raises: an output that may be slow or break has a thread of its own,
    keeps the newest picture only, and says how it fares in `health`.
    """

    name: str
    """What the operator calls it: "window", "headless"."""

    @property
    def context(self) -> Context | None:
        """The OpenGL context that it brings, None where it takes what is drawn elsewhere."""
        ...

    @property
    def size(self) -> Size:
        """Width and height of its pictures, in pixels."""
        ...

    @property
    def rate_hz(self) -> float:
        """Pictures a second that it wants."""
        ...

    @property
    def closed(self) -> bool:
        """The operator has closed it."""
        ...

    @property
    def health(self) -> Health:
        """Counted since it was opened."""
        ...

    def dispatch(self) -> None:
        """Handle the events that wait."""
        ...

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Show `picture`, shaped by the sound captured at `time_s`; `hud` is for the operator's eyes only."""
        ...

    def close(self) -> None:
        """Give back what it holds; twice is harmless."""
        ...
