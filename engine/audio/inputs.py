"""What `--input` names: a device, a file, or the built-in soundtrack."""

from __future__ import annotations

from pathlib import Path

import soundfile as sf

from engine.audio.devices import DeviceSource, check_channels
from engine.audio.portaudio import find_device
from engine.audio.sources import FileSource, Source, SynthSource
from engine.core.clock import Clock

_SUFFIXES = {f".{name.lower()}" for name in sf.available_formats()} | {
    *(".aif", ".aac", ".m4a", ".mp4", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".opus", ".oga", ".wma", ".avi", ".txt")
}


def open_source(
    spec: str, channels: tuple[int, ...] = (), loop: bool = False, clock: Clock | None = None, reach: int = 0
) -> Source:
    """The source `spec` names: "synth", a file's path, or a device (index, part of its name, "default").

    `channels` counts from 1, as mixers do; a device is opened as far as stems `reach`. Raises MissingFileError,
    MediaError, DeviceError, or MissingPart where PortAudio is not installed and a device is asked for. The source is
    not started yet.
    """
    if spec == "synth":
        return SynthSource(clock)
    if looks_like_file(spec):
        source = FileSource(spec, clock, loop)
        check_channels(spec, source.channels, channels)
        source.picks = tuple(c - 1 for c in channels)
        return source
    return DeviceSource(find_device(spec), channels, reach)


def looks_like_file(spec: str) -> bool:
    """Whether `spec` is meant as a path: it exists, has a separator, or ends like a sound or video file."""
    return Path(spec).exists() or "/" in spec or "\\" in spec or Path(spec).suffix.lower() in _SUFFIXES
