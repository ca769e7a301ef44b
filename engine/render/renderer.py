"""The one thing that outputs hold: frames in, redraws, and the moment's picture for screens and recorders."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.render import gl
from engine.render.compositor import Compositor
from engine.render.field_pass import FieldPass
from engine.render.mapping.map_pass import MapPass
from engine.render.mapping.mapping import Mapped
from engine.render.picture import Context, FieldTiming, Redrawn
from engine.render.views.light import LightPass
from engine.render.views.view import Pass, View
from tpos_models.errors import RunError
from tpos_models.pocket.field_texels import FieldPacker

SMALLEST = (8, 8)
"""A picture that takes as long as any, but for its pixels."""


UNUSED = 120
"""Redraws after which a picture of a size that nobody asks for any more is given back."""


@dataclass
class _Drawn:
    """The picture of one size: which redraw it shows, and when it was asked for last."""

    target: gl.Target
    shows: int = -1
    asked: int = 0


class Renderer:
    """Draws the show in a context: the picture alone, without HUD, for its screen and for whoever reads it.

    `size` is the picture that `read` gives, None the screen's. At every redraw a picture is drawn once for each size
    that somebody asks for, and serves the screen too where that has the same. Owned by the context's thread.
    """

    def __init__(self, context: Context, size: gl.Size | None = None) -> None:
        context.switch_to()
        self._context = context
        self._compositor = Compositor()
        self._size = size
        self._redraws = 0
        self._pictures: dict[gl.Size, _Drawn] = {}
        self._film = self.view()

    def switch_to(self) -> None:
        """Make its context the current one."""
        self._context.switch_to()

    def view(self, light: bool = False, mapped: Callable[[], Mapped | None] | None = None) -> View:
        """An output's own view of the picture, `mapped` where that gives a mapping; `light`: black is transparent."""
        canvas = self._compositor.canvas
        passes: list[Pass] = [MapPass(canvas, mapped)] if mapped else []
        return View(self, [*passes, LightPass(canvas)] if light else passes)

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
        self._redraws += 1
        for size in [size for size, one in self._pictures.items() if self._redraws - one.asked > UNUSED]:
            self._pictures.pop(size).target.delete()
        if screen is None or self._size is not None:
            self.drawn(self.size)
        return redrawn

    def paint(self, screen: gl.Size) -> None:
        """Put the moment's picture on the whole of the context's screen, which is `screen` pixels."""
        self._context.switch_to()
        if self._is_shared(screen):
            self._current(screen).show()
        gl.use_screen(screen)
        if not self._is_shared(screen):
            self._compositor.paint(screen)

    def drawn(self, size: gl.Size) -> gl.Target:
        """The moment's picture at `size`, its first row in row 0; whoever asks, it is drawn once."""
        self._context.switch_to()
        target = self._current(size)
        self._pictures[size].asked = self._redraws
        return target

    def read(self) -> np.ndarray:
        """The picture of the last redraw, uint8 (height, width, 3), its first row at the top; waits for it."""
        return self.drawn(self.size).read()

    def read_later(self) -> np.ndarray | None:
        """The picture that the last call asked for, None at first; asks for the newest, and waits for neither."""
        pixels = self._film.take()
        self._film.ask(self.size)
        return None if pixels is None or pixels.shape[1::-1] != self.size else pixels

    def _is_shared(self, screen: gl.Size) -> bool:
        """Whether others take a picture as large as the screen: at this redraw already, or at the last."""
        return screen in self._pictures and self._redraws - self._pictures[screen].asked <= 1

    def _current(self, size: gl.Size) -> gl.Target:
        if size not in self._pictures:
            self._pictures[size] = _Drawn(gl.Target(size))
        one = self._pictures[size]
        if one.shows != self._redraws:
            one.target.begin()
            self._compositor.paint(size, first_row_up=False)
            one.shows = self._redraws
        return one.target
