"""Where the main loop draws: the show's picture on its outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE, Frame, ShowState
from engine.outputs.headless import PlainFrames
from engine.outputs.outlets import Outlets
from engine.outputs.output import Drawing, Features, Output
from engine.outputs.preview import PreviewOutput
from engine.outputs.registry import FILM_PX, OutputSettings, open_first, open_further
from engine.outputs.spec import OutputSpec
from engine.outputs.venue.mapper import PREVIEW
from engine.outputs.venue.venue import FIRST
from engine.render.picture import FieldTiming, Redrawn, Size
from tpos_models.errors import MissingPart, PresetError

if TYPE_CHECKING:
    from tpos_models.pocket.field_texels import FieldPacker

PLACEHOLDER = "placeholder.png"
"""What the built-in model draws for the default preset in silence."""


def refuse(trouble: str) -> None:
    """End what has a user's effect that cannot be drawn. Raises PresetError."""
    raise PresetError(trouble)


class Screen:
    """Draws the show once for all its outputs; the `first` brings the OpenGL context and sets the pace.

    `film_size` is the size of the pictures it gives to the recorder; `refused` is told, in a line, of a user's effect
    that `render` cannot draw; `leaving` is set where a further window's keys end the show. Owned by the main thread.
    """

    def __init__(
        self,
        first: Output,
        drawing: Drawing,
        film_size: Size,
        outlets: Outlets | None = None,
        refused: Callable[[str], object] = refuse,
        leaving: threading.Event | None = None,
    ) -> None:
        self.first, self.outlets = first, outlets or Outlets(drawing)
        self.film_size, self._refused = film_size, refused
        self._drawing = drawing
        self._view = drawing.view(first.light, partial(self.outlets.mapper.mapped, FIRST))
        self._leaving = leaving or threading.Event()
        self._asked_s: float | None = None
        self._has_screen = first.context is not None and first.context.size is not None

    @property
    def rate_hz(self) -> float:
        """How often to redraw."""
        return self.first.rate_hz

    @property
    def closed(self) -> bool:
        """The operator has quit."""
        return self.first.closed or self._leaving.is_set()

    def dispatch(self) -> None:
        """Handle the events that wait."""
        self.first.dispatch()
        self.outlets.dispatch()
        seen = {FIRST: self.first.size} if self._has_screen else {}
        self.outlets.mapper.follow(seen | self.outlets.mapped_px)

    def draw_field(self, packer: FieldPacker, within_s: float, at_any_price: bool = False) -> FieldTiming:
        """Draw frames that are a field's numbers from now on. Raises RunError where that cannot be."""
        return self._drawing.draw_field(packer, within_s, at_any_price)

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest."""
        self._drawing.show(frame)

    def show_placeholder(self, image: np.ndarray) -> None:
        """Show `image`, uint8 (height, width, 3), until the first frame."""
        self._drawing.show_placeholder(image)

    def redraw(self, features: Features, state: ShowState, now_s: float, hud: HudInfo, filming: bool) -> Redrawn:
        """Draw one moment and send it to every output; the film's own size is drawn only while filming."""
        self._drawing.size = self.film_size if filming or not self._has_screen else None
        redrawn = self._drawing.redraw(features, state, now_s)
        self.outlets.send(redrawn.shaped_s, hud)
        self.first.send(self._view, redrawn.shaped_s, hud)
        return redrawn

    def picture(self, shaped_s: float) -> tuple[np.ndarray, float] | None:
        """The picture that the last call asked for, and its time; asks for the newest, shaped at `shaped_s`."""
        pixels, asked_s, self._asked_s = self._drawing.read_later(), self._asked_s, shaped_s
        return None if pixels is None or asked_s is None else (pixels, asked_s)

    def forget(self) -> None:
        """Nobody wants what the last call of `picture` asked for: the next one's first answer would be as old."""
        self._asked_s = None

    def render(self, features: Features, state: ShowState, now_s: float) -> np.ndarray:
        """Draw one moment at the film's size, for no output, and wait for its picture: for offline use."""
        self._drawing.size = self.film_size
        redrawn = self._drawing.redraw(features, state, now_s)
        if redrawn.trouble:
            self._refused(redrawn.trouble)
        return self._drawing.read()


@contextmanager
def open_screen(
    first: str, settings: OutputSettings, placeholder: np.ndarray | None = None, specs: Sequence[OutputSpec] = ()
) -> Iterator[Screen]:
    """Open the output `first`, which is drawn on, and those of `specs` beside it, and close them at the end.

    At once and until the first frame the screen shows `placeholder`, uint8 (height, width, 3); None: one that ships.
    Raises PresetError for a user's effect that cannot be drawn.
    """
    with _opened(first, settings, specs=specs) as screen:
        screen.show_placeholder(_built_in() if placeholder is None else placeholder)
        screen.dispatch()
        redrawn = screen.redraw(lambda: SILENCE, settings.state(), 0.0, HudInfo(message="loading the model"), False)
        if redrawn.trouble:
            refuse(redrawn.trouble)
        yield screen


@contextmanager
def open_headless(size: Size = FILM_PX, refused: Callable[[str], object] = refuse) -> Iterator[Screen]:
    """A screen for offline use that draws `size` and is black before the first frame; `refused` as `Screen`."""
    with _opened("headless", OutputSettings(size=size), refused) as screen:
        yield screen


@contextmanager
def _opened(
    name: str,
    settings: OutputSettings,
    refused: Callable[[str], object] = refuse,
    specs: Sequence[OutputSpec] = (),
) -> Iterator[Screen]:
    with ExitStack() as stack:
        first = open_first(name, settings, clean=any(spec.kind == "operator" for spec in specs))
        stack.callback(first.close)
        film_size = settings.size or first.size
        drawing = _drawing(first, film_size)
        mapper = settings.mapper
        if first.context is None and mapper.venue:
            raise MissingPart(f"--venue {mapper.venue.name}: mapping needs OpenGL")
        watched = [PreviewOutput(settings.preview)] if settings.preview else []
        watched += [PreviewOutput(mapper.preview, PREVIEW, lambda: mapper.size)] if mapper.venue else []
        outlets = Outlets(drawing, specs, partial(open_further, settings), watched, mapper)
        stack.callback(outlets.close)
        outlets.open()
        yield Screen(first, drawing, film_size, outlets, refused, settings.leaving)


def _drawing(output: Output, size: Size) -> Drawing:
    if output.context is None:
        return PlainFrames(size)
    from engine.render.renderer import Renderer  # OpenGL may be touched only once there is a context

    return Renderer(output.context, size)


def _built_in() -> np.ndarray:
    with (files("engine.outputs") / PLACEHOLDER).open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))
