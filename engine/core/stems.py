"""Stems: inputs of their own beside the main mix, such as a mixer's channels of the drums."""

from __future__ import annotations

from dataclasses import dataclass

from tpos_models.errors import InputError

MAX_STEMS = 4
"""Each costs an analysis, and where its rules hear phrases a call of the audio encoder, 5 times a second."""

MAX_CHANNEL = 64


@dataclass(frozen=True, slots=True)
class Stem:
    """Channels of the input, from 1, heard as one by the rules that name it."""

    name: str
    channels: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {','.join(map(str, self.channels))}"


def patched(stems: tuple[Stem, ...], patch: tuple[Stem, ...]) -> tuple[Stem, ...]:
    """Stems on the channels that a patch gives those of their name, in their own order."""
    there = {stem.name: stem for stem in patch}
    return tuple(there.get(stem.name, stem) for stem in stems)


def parse_stem(text: str) -> Stem:
    """ "drums=3,4" -> the stem of that name on those channels; raises `InputError`."""
    name, _, channels = text.rpartition("=")
    if not name:
        raise InputError(f"--stem {text}: NAME=CHANNELS would be accepted, such as drums=3,4")
    return Stem(name, parse_channels(channels, f"stem {name}="))


def parse_channels(text: str, option: str = "channels ") -> tuple[int, ...]:
    """ "3,4" -> (3, 4), counted from 1 as on the mixer; raises `InputError`."""
    try:
        channels = tuple(int(part) for part in text.split(","))
    except ValueError:
        channels = ()
    if not channels or min(channels) < 1:
        raise InputError(f"--{option}{text}: channel numbers from 1 would be accepted, such as 3,4")
    return channels
