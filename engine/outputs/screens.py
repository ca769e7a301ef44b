"""Where the main loop draws: a window, an EGL context, or nothing but the recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.core import console
from engine.core.hud_info import HudInfo
from engine.core.messages import AudioFeatures, Frame, ShowState
from tpos_models.errors import MissingPart

if TYPE_CHECKING:
    from engine.app.live import LiveOptions
    from engine.control.director import Director
    from engine.render.headless import HeadlessContext
    from engine.render.window import ShowWindow

HEADLESS_HZ = 30.0
WINDOW_PX = (720, 720)
FILM_PX = (512, 512)
"""Sizes that show the whole of a square picture; --size asks for others."""

Features = Callable[[], AudioFeatures]


class Screen(Protocol):
    """What the main loop needs of its screen; `film_size` is the size of the pictures it gives to the recorder."""

    film_size: tuple[int, int]
    rate_hz: float
    shaped_s: float
    """Capture time of the sound that shaped the last redraw: the picture's time in a film."""

    @property
    def closed(self) -> bool: ...

    def dispatch(self) -> None: ...

    def show(self, frame: Frame) -> None: ...

    def redraw(self, features: Features, state: ShowState, now_s: float, hud: HudInfo, filming: bool) -> None: ...

    def picture(self) -> tuple[np.ndarray, float] | None:
        """A picture that is ready and its `shaped_s`; asks for the newest, which the next call gives."""
        ...

    def render(self, features: Features, state: ShowState, now_s: float) -> np.ndarray:
        """Draw one moment and wait for its picture: for offline use."""
        ...


class GLScreen:
    """A renderer on a window or an EGL context. Owned by the main thread."""

    def __init__(self, stage: ShowWindow | HeadlessContext, film_size: tuple[int, int], rate_hz: float) -> None:
        from engine.render.renderer import Renderer

        self.film_size, self.rate_hz = film_size, rate_hz
        self._stage = stage
        self.renderer = Renderer(stage, None if stage.size else film_size)
        self.shaped_s = self._asked_s = 0.0

    @property
    def closed(self) -> bool:
        """The operator has quit."""
        return self._stage.closed

    def dispatch(self) -> None:
        """Handle the events that wait."""
        self._stage.dispatch()

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest."""
        self.renderer.show(frame)

    def redraw(self, features: Features, state: ShowState, now_s: float, hud: HudInfo, filming: bool) -> None:
        """Draw one moment; the film's own size is drawn only while filming."""
        if self._stage.size:
            self.renderer.size = self.film_size if filming else None
        self.renderer.redraw(lambda: self._latch(features, now_s), state, now_s, hud)

    def _latch(self, features: Features, now_s: float) -> AudioFeatures:
        latched = features()
        self.shaped_s = latched.time_s or now_s
        return latched

    def picture(self) -> tuple[np.ndarray, float] | None:
        """The picture asked for last time, without waiting; see `Screen`."""
        pixels, asked_s, self._asked_s = self.renderer.read_later(), self._asked_s, self.shaped_s
        return None if pixels is None else (pixels, asked_s)

    def render(self, features: Features, state: ShowState, now_s: float) -> np.ndarray:
        """Draw and read back; see `Screen`."""
        self.renderer.redraw(features, state, now_s)
        return self.renderer.read()


class NoScreen:
    """No OpenGL: the model's frames go to the recording as they are."""

    def __init__(self, film_size: tuple[int, int], rate_hz: float = HEADLESS_HZ) -> None:
        self.film_size, self.rate_hz, self.closed = film_size, rate_hz, False
        self._frame: Frame | None = None
        self._black = False
        self.shaped_s = 0.0

    def dispatch(self) -> None:
        """There are no events."""

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest."""
        self._frame = frame

    def redraw(self, features: Features, state: ShowState, now_s: float, hud: HudInfo, filming: bool) -> None:
        """Nothing is drawn; black stays black."""
        self._black, self.shaped_s = state.blackout, features().time_s or now_s

    def picture(self) -> tuple[np.ndarray, float] | None:
        """The newest frame, scaled to the film."""
        if self._frame is None:
            return None
        image = np.zeros_like(self._frame.image) if self._black else self._frame.image
        return _scaled(image, self.film_size), self.shaped_s

    def render(self, features: Features, state: ShowState, now_s: float) -> np.ndarray:
        """The newest frame, scaled; see `Screen`."""
        self._black = state.blackout
        ready = self.picture()
        assert ready is not None
        return ready[0]


@contextmanager
def open_screen(options: LiveOptions, director: Director) -> Iterator[Screen]:
    """Open what `options` asks for: a window, or headless an EGL context, or without OpenGL none."""
    if not options.headless:
        from engine.render.window import open_window

        window = open_window(
            director.command,
            lambda: director.show.state,
            options.size or WINDOW_PX,
            options.fullscreen,
            options.display,
        )
        try:
            yield GLScreen(window, options.size or window.size, window.rate_hz)
        finally:
            window.close()
        return
    with open_headless(options.size or FILM_PX) as screen:
        yield screen


@contextmanager
def open_headless(size: tuple[int, int]) -> Iterator[Screen]:
    """An EGL context that draws `size`, or without OpenGL no screen at all, and a line that says so."""
    try:
        from engine.render.headless import open_context

        context = open_context()
    except MissingPart as error:
        console.say(f"tpos: {error}; the model's frames are recorded as they are")
        yield NoScreen(size)
        return
    try:
        yield GLScreen(context, size, HEADLESS_HZ)
    finally:
        context.close()


def _scaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[1::-1] == size:
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
