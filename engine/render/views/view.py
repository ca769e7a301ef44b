"""One output's view of the show's picture: drawn at its size, past what is that output's alone, and handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from engine.render import gl
from engine.render.views.fence import Fence


class Pass(Protocol):
    """What is done to the picture for one output alone, such as making black transparent or fitting it to a wall."""

    def begin(self) -> bool:
        """Take up what is to be done this time; whether that is anything at all."""
        ...

    def source(self, size: gl.Size, shape: gl.Size) -> gl.Size:
        """The size of the picture that it makes one of `size` from, `shape` being that of what is recorded."""
        ...

    def draw(self, picture: gl.Texture, size: gl.Size) -> None:
        """Draw `picture`, of `source`, into the current target, all of it; the first row of both is row 0."""
        ...

    def delete(self) -> None:
        """Free what the GPU holds."""
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
        self._picture.switch_to()
        if not (passes := self._begun()):
            self._picture.paint(screen)
            return
        self._target(screen, passes).show()
        gl.use_screen(screen)

    def ask(self, size: gl.Size, alpha: bool = False) -> None:
        """As `Picture.ask`."""
        target = self._target(size, self._begun())
        if self._buffer is None or (self._buffer.size, self._buffer.alpha) != (size, alpha):
            if self._buffer is not None:
                self._buffer.delete()
            self._buffer = gl.PixelBuffer(size, alpha)
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
        name = self._target(size, self._begun()).texture.name
        self._mark()
        return name

    def hold(self) -> None:
        """As `Picture.hold`."""
        if self._asked is not None:
            self._asked.hold()

    def close(self) -> None:
        """As `Picture.close`."""
        self._picture.switch_to()
        for thing in (self._buffer, self._asked, *self._own, *self.passes):
            if thing is not None:
                thing.delete()
        self._buffer, self._asked, self._own = None, None, []

    def _mark(self) -> None:
        if self._asked is not None:
            self._asked.delete()
        self._asked = Fence()

    def _begun(self) -> list[Pass]:
        """Those passes that have something to do."""
        return [one for one in self.passes if one.begin()]

    def _target(self, size: gl.Size, passes: Sequence[Pass]) -> gl.Target:
        """What this output is to show at `size`: everybody's picture, or what the last pass made of it."""
        sizes = [size]
        for one in reversed(passes):
            sizes.insert(0, one.source(sizes[0], self._picture.size))
        target = self._picture.drawn(sizes[0])
        if [own.size for own in self._own] != sizes[1:]:
            for own in self._own:
                own.delete()
            self._own = [gl.Target(its) for its in sizes[1:]]
        for own, one in zip(self._own, passes, strict=True):
            own.begin()
            one.draw(target.texture, own.size)
            target = own
        return target
