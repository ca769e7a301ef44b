"""The one thing the rest of the engine holds: frames in, redraws to a stage, pictures out to the recorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from engine.core.hud_info import HudInfo
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.render import gl
from engine.render.compositor import Compositor


class Stage(Protocol):
    """Where redraws go: `ShowWindow` or `HeadlessContext`, already opened."""

    @property
    def size(self) -> gl.Size | None:
        """Pixels of the screen, None where there is none."""
        ...

    def switch_to(self) -> None:
        """Make its context current."""
        ...

    def draw_over(self, hud: HudInfo | None, now_s: float) -> None:
        """Draw what only the operator sees."""
        ...

    def flip(self) -> None:
        """Show what was drawn."""
        ...


class Renderer:
    """Draws the show on a stage, and the same picture without HUD for whoever reads it.

    `size` is the picture that `read` gives. Without one it is the screen's, and is drawn only when read. With one it
    is drawn at every redraw, and serves the screen too where that has the same size. Owned by the stage's thread.
    """

    def __init__(self, stage: Stage, size: gl.Size | None = None) -> None:
        stage.switch_to()
        self._stage = stage
        self._compositor = Compositor()
        self._size = size
        self._picture: gl.Target | None = None
        self._buffer: gl.PixelBuffer | None = None
        self._painted = False

    @property
    def size(self) -> gl.Size:
        """Width and height of the picture that `read` gives."""
        return self._size or self._stage.size or (1280, 720)

    @size.setter
    def size(self, size: gl.Size | None) -> None:
        self._size = size

    def show(self, frame: Frame) -> None:
        """Make `frame` (any size) the newest."""
        self._compositor.show(frame)

    def redraw(
        self, features: Callable[[], AudioFeatures], state: ShowState, now_s: float, hud: HudInfo | None = None
    ) -> None:
        """Draw and show one moment; `features` is called right before the draw that answers it."""
        self._stage.switch_to()
        screen = self._stage.size
        self._compositor.compose(features, state, now_s, screen or self.size)
        self._painted = False
        if screen is None or self._size is not None:
            self._paint()
        if screen is not None:
            self._present(screen)
            self._stage.draw_over(hud, now_s)
        self._stage.flip()

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

    def _ready(self) -> gl.Target:
        self._stage.switch_to()
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

    def _present(self, screen: gl.Size) -> None:
        if self._painted and self._picture is not None and self._picture.size == screen:
            self._picture.show()
        gl.use_screen(screen)
        if not (self._painted and self.size == screen):
            self._compositor.paint(screen)
