"""Every kind of live picture by its word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.core.clock import Clock
from engine.inputs.devices import DeviceSource, camera, screen
from engine.inputs.film import FilmSource
from engine.inputs.ndi import NdiSource
from engine.inputs.shared_textures import SpoutSource, SyphonSource
from engine.inputs.video_in import VideoIn, VideoSource
from tpos_models.errors import InputError, MissingFileError

INPUTS: dict[str, Callable[[str], VideoSource]] = {
    "camera": camera,
    "screen": screen,
    "ndi": NdiSource,
    "spout": SpoutSource,
    "syphon": SyphonSource,
}
ACCEPTED = "a film file, camera[:NAME], screen[:WIDTHxHEIGHT+X+Y], ndi[:NAME], spout[:NAME] or syphon[:NAME]"


def open_source(spec: str, clock: Clock) -> VideoSource:
    """A source as `--video-in` names it; raises `InputError` or `MissingPart` for one that cannot be had at all.

    Cameras, screens and films must be there; another program's picture may come later.
    """
    word, _, which = spec.partition(":")
    if word in INPUTS and not Path(spec).is_file():
        source = INPUTS[word](which)
        if isinstance(source, DeviceSource):
            source.check()
        return source
    try:
        return FilmSource(Path(spec).expanduser(), clock)
    except MissingFileError as error:
        raise InputError(f"--video-in {spec}: no such film; {ACCEPTED} would be accepted") from error


def open_video_in(spec: str | None, clock: Clock) -> VideoIn | None:
    """What keeps the newest picture of a source, not yet started; None for none. Raises what `open_source` raises."""
    return VideoIn(open_source(spec, clock), clock) if spec else None
