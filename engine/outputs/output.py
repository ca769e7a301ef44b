"""What every output is: a place where the show's picture goes.

A window, an off-screen context, a network stream or a texture shared with another program: all are opened by the
registry, sent each moment's picture, and closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.core.hud_info import Health, HudInfo
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.render.mapping.mapping import Mapped
from engine.render.picture import Context, FieldTiming, Redrawn, Size

if TYPE_CHECKING:
    from tpos_models.pocket.field_texels import FieldPacker

Features = Callable[[], AudioFeatures]


class Picture(Protocol):
    """The moment's picture as one output sees it, without HUD. Good until the next redraw, on the thread that redraws.

    Pixels come without waiting: one redraw asks, a later one takes.
    """

    @property
    def size(self) -> Size:
        """Width and height of the picture that is recorded: the show's own shape."""
        ...

    def paint(self, screen: Size) -> None:
        """Put it on the whole of the screen of the context that it was drawn in."""
        ...

    def ask(self, size: Size, alpha: bool = False) -> None:
        """Ask for its pixels at `size`, as RGB or RGBA."""
        ...

    @property
    def ready(self) -> bool:
        """Whether what was asked for can be taken without waiting."""
        ...

    def take(self) -> np.ndarray | None:
        """The pixels that were asked for, uint8 (height, width, 3 or 4), first row at the top; None where none were."""
        ...

    def texture(self, size: Size) -> int:
        """OpenGL's number of a texture that holds it at `size`, the first row in row 0; its context is then current.

        Raises RunError where there is no OpenGL.
        """
        ...

    def hold(self) -> None:
        """For another context: what it is asked for next begins when that texture is drawn."""
        ...

    def close(self) -> None:
        """Give back what this output alone had; its context is then current."""
        ...


class Drawing(Protocol):
    """What makes the show's pictures: frames in, redraws, pixels out. With OpenGL `Renderer`, else `PlainFrames`."""

    @property
    def size(self) -> Size:
        """Width and height of what `read` gives; None, when set, stands for the screen's."""
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

    def read(self) -> np.ndarray:
        """Its pixels, uint8 (height, width, 3), first row at the top; waits until they are drawn."""
        ...

    def view(self, light: bool = False, mapped: Callable[[], Mapped | None] | None = None) -> Picture:
        """An output's own view of it, mapped as `mapped` says at each redraw, which needs OpenGL.

        `light`: RGBA and textures have straight alpha, black being transparent.
        """
        ...

    def read_later(self) -> np.ndarray | None:
        """The picture that the last call asked for, None at first; asks for the newest, and waits for neither."""
        ...


class Output(Protocol):
    """A place where pictures go, open from its making to `close`. All of it is called by the thread that draws.

    `send` neither waits (but the first window for its display) nor raises: an output that may be slow or break has a
    thread of its own, keeps the newest picture only, says how it fares in `health`, and tries again by itself.
    """

    name: str
    """What the operator calls it: "window", "ndi", "window:1"; no two of a show are called the same."""
    light: bool
    """Whether its pictures are light over others: with alpha, black being transparent."""

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
