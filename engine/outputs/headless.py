"""The output with no screen: an EGL context where there is OpenGL, else no drawing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from PIL import Image

from engine.core import console
from engine.core.hud_info import Health, HudInfo
from engine.core.messages import Frame, ShowState
from engine.outputs.output import Features, Picture
from engine.render.headless import HeadlessContext, open_context
from engine.render.mapping.mapping import Mapped
from engine.render.picture import Redrawn, Size
from engine.render.views.plain import PlainView
from tpos_models.errors import MissingPart, RunError

if TYPE_CHECKING:
    from tpos_models.pocket.field_texels import FieldPacker

RATE_HZ = 30.0


class HeadlessOutput:
    """Pictures that nobody sees, but that can be read. See `Output`."""

    name, light = "headless", False
    rate_hz = RATE_HZ
    closed = False

    def __init__(self, size: Size, context: HeadlessContext | None) -> None:
        self.size, self.context = size, context
        self._sent = 0

    @property
    def health(self) -> Health:
        """Every redraw counts as sent."""
        return Health(self._sent)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """There is no screen to put it on, and no operator."""
        self._sent += 1

    def close(self) -> None:
        """Give the context back."""
        if self.context is not None:
            self.context.close()


def open_headless_output(size: Size) -> HeadlessOutput:
    """With an EGL context, or without OpenGL without one, and a line that says so."""
    try:
        return HeadlessOutput(size, open_context())
    except MissingPart as error:
        console.notify(f"tpos: {error}; the model's frames are recorded as they are")
        return HeadlessOutput(size, None)


class PlainFrames:
    """The `Drawing` without OpenGL: the model's frames as they are, scaled; freeze and black are kept."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._newest: np.ndarray | None = None
        self._image: np.ndarray | None = None
        self._black = False
        self._asked: np.ndarray | None = None

    @property
    def size(self) -> Size:
        """Of what `read` gives."""
        return self._size

    @size.setter
    def size(self, size: Size | None) -> None:
        self._size = size or self._size

    def draw_field(self, packer: FieldPacker, within_s: float, at_any_price: bool = False) -> NoReturn:
        """There is nothing that could."""
        raise RunError("there is no OpenGL here")

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest."""
        self._newest = frame.image[..., :3]

    def show_placeholder(self, image: np.ndarray) -> None:
        """Stand in for the first frame."""
        self._newest = image

    def redraw(self, features: Features, state: ShowState, now_s: float) -> Redrawn:
        """Take over the newest frame, unless frozen."""
        self._black = state.blackout
        if not state.freeze or self._image is None:
            self._image = self._newest
        return Redrawn(features().time_s or now_s, self._image is not None)

    def view(self, light: bool = False, mapped: Callable[[], Mapped | None] | None = None) -> PlainView:
        """As `Drawing.view`, never mapped."""
        return PlainView(self.read, light)

    def read(self) -> np.ndarray:
        """The newest frame, or black before it, scaled to `size`."""
        width, height = self.size
        if self._image is None or self._black:
            return np.zeros((height, width, 3), np.uint8)
        if self._image.shape[1::-1] == self.size:
            return self._image
        return np.asarray(Image.fromarray(self._image).resize(self.size, Image.Resampling.BICUBIC))

    def read_later(self) -> np.ndarray | None:
        """As `Drawing.read_later`."""
        given, self._asked = self._asked, self.read()
        return given
