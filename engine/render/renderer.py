"""The one thing that outputs hold: frames in, redraws, and the moment's picture for screens and recorders."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.render import gl
from engine.render.compositor import Compositor
from engine.render.field_pass import FieldPass
from engine.render.picture import Context, FieldTiming, Redrawn, within
from tpos_models.errors import RunError
from tpos_models.pocket.field_texels import FieldPacker

SMALLEST = (8, 8)
"""A picture that takes as long as any, but for its pixels."""


class Renderer:
    """Draws the show in a context: the picture alone, without HUD, for its screen and for whoever reads it.

    `size` is the picture that `read` gives. Without one it is the screen's, and is drawn only when read. With one it
    is drawn at every redraw, and serves the screen too where that has the same size. Owned by the context's thread.
    """

    def __init__(self, context: Context, size: gl.Size | None = None) -> None:
        context.switch_to()
        self._context = context
        self._compositor = Compositor()
        self._size = size
        self._picture: gl.Target | None = None
        self._buffer: gl.PixelBuffer | None = None
        self._painted = False
        self._small: tuple[gl.Target, gl.PixelBuffer] | None = None

    @property
    def size(self) -> gl.Size:
        """Width and height of the picture that `read` gives."""
        return self._size or self._context.size or (1280, 720)

    @size.setter
    def size(self, size: gl.Size | None) -> None:
        self._size = size

    def draw_field(self, packer: FieldPacker, within_s: float, at_any_price: bool = False) -> FieldTiming:
        """Draw frames that are a field's numbers from now on, as finely as there is time for; it is timed here, once.

        `at_any_price`: as finely as the output, and on a CPU too. Raises RunError where OpenGL cannot, or not so soon.
        """
        self._context.switch_to()
        if gl.is_software() and not at_any_price:
            raise RunError(f"{gl.describe()} draws on the CPU")
        try:
            field = FieldPass(self._compositor.canvas, packer)
        except gl.GlslError as error:
            said = (str(error).strip().splitlines() or ["no word why"])[0]
            raise RunError(f"{gl.describe()} does not compile it: {said}") from error
        size = self._context.size or self.size
        timing = FieldTiming(size, field.seconds(size), within_s, field.seconds(SMALLEST))
        self._compositor.draw_field(field, math.inf if at_any_price else timing.most_px)
        return timing

    def show(self, frame: Frame) -> None:
        """Make `frame` (any size) the newest."""
        self._compositor.show(frame)

    def show_placeholder(self, image: np.ndarray) -> None:
        """Show `image` until the first frame, which fades in over it: uint8 (height, width, 3), any size."""
        self._context.switch_to()
        self._compositor.show_placeholder(image)

    def redraw(self, features: Callable[[], AudioFeatures], state: ShowState, now_s: float) -> Redrawn:
        """Draw one moment; `features` is called right before the draw that answers it."""
        self._context.switch_to()
        screen = self._context.size
        redrawn = self._compositor.compose(features, state, now_s, screen or self.size)
        self._painted = False
        if screen is None or self._size is not None:
            self._paint()
        return redrawn

    def paint(self, screen: gl.Size) -> None:
        """Put the moment's picture on the whole of the context's screen, which is `screen` pixels."""
        self._context.switch_to()
        if self._painted and self._picture is not None and self._picture.size == screen:
            self._picture.show()
        gl.use_screen(screen)
        if not (self._painted and self.size == screen):
            self._compositor.paint(screen)

    def read(self) -> np.ndarray:
        """The picture of the last redraw, uint8 (height, width, 3), its first row at the top; waits for it."""
        return self._ready().read()

    def read_later(self) -> np.ndarray | None:
        """The picture that the last call asked for, None at first; asks for the newest, and waits for neither."""
        picture = self._ready()
        if self._buffer is None or self._buffer.size != picture.size:
            if self._buffer is not None:
                self._buffer.delete()
            self._buffer = gl.PixelBuffer(picture.size)
        pixels = self._buffer.take() if self._buffer.filled else None
        picture.start_read(self._buffer)
        return pixels

    def ask_small(self, longest_px: int) -> None:
        """As `Picture.ask_small`: drawn once more, small, and read back by the GPU's own clock."""
        self._context.switch_to()
        size = within(self.size, longest_px)
        if self._small is None or self._small[0].size != size:
            for part in self._small or ():
                part.delete()
            self._small = gl.Target(size), gl.PixelBuffer(size)
        target, buffer = self._small
        target.begin()
        self._compositor.paint(size, first_row_up=False)
        target.start_read(buffer)

    def take_small(self) -> np.ndarray:
        """As `Picture.take_small`; black where none was asked for."""
        self._context.switch_to()
        return self._small[1].take() if self._small else np.zeros((1, 1, 3), np.uint8)

    def _ready(self) -> gl.Target:
        self._context.switch_to()
        return self._picture if self._painted and self._picture is not None else self._paint()

    def _paint(self) -> gl.Target:
        if self._picture is None or self._picture.size != self.size:
            if self._picture is not None:
                self._picture.delete()
            self._picture = gl.Target(self.size)
        self._picture.begin()
        self._compositor.paint(self.size, first_row_up=False)
        self._painted = True
        return self._picture
