"""Every kind of output by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.core.messages import ShowState
from engine.core.preview import Preview
from engine.outputs.headless import open_headless_output
from engine.outputs.output import Output
from engine.outputs.preview import PreviewOutput
from engine.outputs.window import WindowOutput
from engine.render.keys import Command
from engine.render.picture import Size
from engine.render.window import open_window
from tpos_models.errors import InputError

WINDOW_PX = (720, 720)
FILM_PX = (512, 512)
"""Sizes that show the whole of a square picture; --size asks for others."""


def _ignored(address: str, arguments: tuple) -> None:
    """A key pressed where nobody listens."""


@dataclass(frozen=True)
class OutputSettings:
    """What outputs are opened with; each takes what concerns it.

    `size` None is the output's own; `display` is the monitor, from 0. Keys call `command` with an OSC address and its
    arguments, and `state` tells them what to toggle. Small pictures go to `preview`.
    """

    size: Size | None = None
    fullscreen: bool = False
    display: int = 0
    command: Command = _ignored
    state: Callable[[], ShowState] = ShowState
    preview: Preview = field(default_factory=Preview)


def _open_window(settings: OutputSettings) -> Output:
    size = settings.size or WINDOW_PX
    return WindowOutput(open_window(settings.command, settings.state, size, settings.fullscreen, settings.display))


def _open_headless(settings: OutputSettings) -> Output:
    return open_headless_output(settings.size or FILM_PX)


OUTPUTS: dict[str, Callable[[OutputSettings], Output]] = {
    "window": _open_window,
    "headless": _open_headless,
    "preview": lambda settings: PreviewOutput(settings.preview),
}


def open_output(name: str, settings: OutputSettings) -> Output:
    """Open the output `name`. Raises `InputError` for a name that is none, else what the output raises."""
    if name not in OUTPUTS:
        raise InputError(f"output {name!r}: {', '.join(OUTPUTS)} would be accepted")
    return OUTPUTS[name](settings)
