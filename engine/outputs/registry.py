"""Every kind of output by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pyglet

from engine.core.messages import ShowState
from engine.core.preview import Preview
from engine.outputs import ndi, spout, syphon
from engine.outputs.further_window import FurtherWindow
from engine.outputs.headless import open_headless_output
from engine.outputs.output import Output
from engine.outputs.sound_tap import SoundTap
from engine.outputs.spec import OutputSpec
from engine.outputs.stream import StreamOutput
from engine.outputs.texture import Share, TextureOutput
from engine.outputs.venue import venue
from engine.outputs.venue.mapper import Mapper
from engine.outputs.window import WindowOutput
from engine.render.keys import Command
from engine.render.picture import Size
from engine.render.window import TITLE, Role, find_screens, has_screen, open_window
from tpos_models.errors import InputError, MissingPart

WINDOW_PX = FILM_PX = (1024, 576)
"""A projector's shape, on any laptop's screen; --size asks for others."""
STREAM_PX, STREAM_HZ = (1280, 720), 30.0
OPERATOR_PX = (960, 540)


def _ignored(address: str, arguments: tuple) -> None:
    """A key pressed where nobody listens."""


@dataclass(frozen=True)
class OutputSettings:
    """What outputs are opened with; each takes what concerns it.

    `size` None is the output's own; `display` is the monitor, from 0. Keys call `command` with an OSC address and its
    arguments, and `state` tells them what to toggle; `leaving` is set where those of a further window end the show.
    Small pictures go to `preview`, if there is one; sound comes from `sound`, each output's mapping from `mapper`.
    """

    size: Size | None = None
    fullscreen: bool = False
    display: int = 0
    command: Command = _ignored
    state: Callable[[], ShowState] = ShowState
    preview: Preview | None = None
    sound: SoundTap = field(default_factory=SoundTap)
    leaving: threading.Event = field(default_factory=threading.Event)
    mapper: Mapper = field(default_factory=Mapper)


def _open_window(settings: OutputSettings, clean: bool) -> Output:
    size, role = settings.size or WINDOW_PX, Role.AUDIENCE if clean else Role.ONLY
    state, command = settings.state, settings.command
    window = open_window(command, state, size, settings.fullscreen, settings.display, role)
    settings.mapper.reach(window, venue.FIRST)
    return WindowOutput(window)


def _open_headless(settings: OutputSettings, clean: bool) -> Output:
    return open_headless_output(settings.size or FILM_PX)


FIRST: dict[str, Callable[[OutputSettings, bool], Output]] = {"window": _open_window, "headless": _open_headless}
"""Outputs that bring what the picture is drawn with; true where they are to be without text."""


def open_first(name: str, settings: OutputSettings, clean: bool = False) -> Output:
    """Open the output that the picture is drawn with. Raises `InputError` for a name that is none, else its own."""
    if name not in FIRST:
        raise InputError(f"output {name!r}: {', '.join(FIRST)} would be accepted")
    return FIRST[name](settings, clean)


Opener = Callable[[OutputSettings, OutputSpec], Output]


@dataclass(frozen=True)
class Kind:
    """A kind of further output: what it is, why it cannot be had here ("" where it can), and how it is opened."""

    what: str
    missing: Callable[[], str]
    open: Opener


def _no_screen() -> str:
    return "no window beside --headless" if pyglet.options.headless else "" if has_screen() else "there is no screen"


def _window(role: Role) -> Opener:
    def open_further(settings: OutputSettings, spec: OutputSpec) -> Output:
        display, fullscreen = spec.display, role is Role.AUDIENCE and spec.size is None
        if display is None:
            others = [number for number in range(len(find_screens())) if number != settings.display]
            display, fullscreen = others[0] if others else settings.display, fullscreen and bool(others)
        size, leave = spec.size or OPERATOR_PX, settings.leaving.set
        window = open_window(settings.command, settings.state, size, fullscreen, display, role, leave)
        if role is Role.AUDIENCE:
            settings.mapper.reach(window, spec.name)
        return FurtherWindow(spec.name, window)

    return open_further


def _open_ndi(settings: OutputSettings, spec: OutputSpec) -> Output:
    size, rate_hz, sound = spec.size or settings.size or STREAM_PX, spec.rate_hz or STREAM_HZ, settings.sound

    def sink() -> ndi.NdiSink:
        return ndi.NdiSink(spec.called or TITLE, size, rate_hz, spec.alpha, None if spec.mute else sound)

    return StreamOutput(spec.name, size, rate_hz, sink, spec.alpha)


def _texture(share: Callable[[str], Share]) -> Opener:
    def open_texture(settings: OutputSettings, spec: OutputSpec) -> Output:
        size, rate_hz = spec.size or settings.size or STREAM_PX, spec.rate_hz or 2 * STREAM_HZ
        return TextureOutput(spec.name, size, rate_hz, lambda: share(spec.called or TITLE), spec.alpha)

    return open_texture


OUTPUTS: dict[str, Kind] = {
    "window": Kind("a further window, without text: window:1 on display 1", _no_screen, _window(Role.AUDIENCE)),
    "operator": Kind("the operator's window: HUD, messages, keys", _no_screen, _window(Role.OPERATOR)),
    "ndi": Kind("a source in the network, with sound: ndi:name=Wall", ndi.missing, _open_ndi),
    "spout": Kind("a texture for programs here: Windows", spout.missing, _texture(spout.SpoutShare)),
    "syphon": Kind("a texture for programs here: macOS", syphon.missing, _texture(syphon.SyphonShare)),
}
"""Every further output of `--output`."""


def open_further(settings: OutputSettings, spec: OutputSpec) -> Output:
    """Open an output beside the first. Raises `MissingPart` where it cannot be had here, else what it raises."""
    kind = OUTPUTS[spec.kind]
    if why := kind.missing():
        raise MissingPart(f"output {spec.name}: {why}")
    return kind.open(settings, spec)
