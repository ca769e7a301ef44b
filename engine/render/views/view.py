"""One output's view of the show's picture: drawn at its size, past what is that output's alone, and handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from engine.render import gl
from engine.render.views.fence import Fence


class Pass(Protocol):
    """What is done to the picture for one output alone, such as making black transparent or fitting it to a wall."""

    def draw(self, picture: gl.Texture) -> None:
        """Draw `picture` into the current target, all of it and as large; the first row of both is row 0."""
        ...


class Drawn(Protocol):
    """What views look at: `Renderer`."""

    @property
    def size(self) -> gl.Size:
        """Of the picture that is recorded."""
        ...

    def switch_to(self) -> None:
        """Make its context the current one."""
        ...

    def drawn(self, size: gl.Size) -> gl.Target:
        """The moment's picture at `size`, its first row in row 0; whoever asks, it is drawn once."""
        ...

    def paint(self, screen: gl.Size) -> None:
        """Put it on the whole of the context's screen."""
        ...


class View:
    """One output's. `passes` are drawn in their order, each over what the one before made. See `Picture`."""

    def __init__(self, picture: Drawn, passes: Sequence[Pass] = ()) -> None:
        self._picture = picture
        self.passes = tuple(passes)
        self._own: list[gl.Target] = []
        self._buffer: gl.PixelBuffer | None = None
        self._asked: Fence | None = None

    @property
    def size(self) -> gl.Size:
        """As `Picture.size`."""
        return self._picture.size

    def paint(self, screen: gl.Size) -> None:
        """As `Picture.paint`."""
        if not self.passes:
            self._picture.paint(screen)
            return
        target = self._target(screen)
        target.show()
        gl.use_screen(screen)

    def ask(self, size: gl.Size, bgra: bool = False) -> None:
        """As `Picture.ask`."""
        target = self._target(size)
        if self._buffer is None or (self._buffer.size, self._buffer.bgra) != (size, bgra):
            if self._buffer is not None:
                self._buffer.delete()
            self._buffer = gl.PixelBuffer(size, bgra)
        target.start_read(self._buffer)
        self._mark()

    @property
    def ready(self) -> bool:
        """As `Picture.ready`."""
        if self._asked is None or self._buffer is None or not self._buffer.filled:
            return False
        self._picture.switch_to()
        return self._asked.passed

    def take(self) -> np.ndarray | None:
        """As `Picture.take`."""
        if self._buffer is None or not self._buffer.filled:
            return None
        self._picture.switch_to()
        return self._buffer.take()

    def texture(self, size: gl.Size) -> int:
        """As `Picture.texture`."""
        name = self._target(size).texture.name
        self._mark()
        return name

    def hold(self) -> None:
        """As `Picture.hold`."""
        if self._asked is not None:
            self._asked.hold()

    def close(self) -> None:
        """As `Picture.close`."""
        self._picture.switch_to()
        for thing in (self._buffer, self._asked, *self._own):
            if thing is not None:
                thing.delete()
        self._buffer, self._asked, self._own = None, None, []

    def _mark(self) -> None:
        if self._asked is not None:
            self._asked.delete()
        self._asked = Fence()

    def _target(self, size: gl.Size) -> gl.Target:
        """What this output is to show at `size`: everybody's picture, or what the last pass made of it."""
        target = self._picture.drawn(size)
        if self.passes and (not self._own or self._own[0].size != size):
            for own in self._own:
                own.delete()
            self._own = [gl.Target(size) for _ in self.passes]
        for own, one in zip(self._own, self.passes, strict=True):
            own.begin()
            one.draw(target.texture)
            target = own
        return target
