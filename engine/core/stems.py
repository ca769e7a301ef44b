"""Stems: inputs of their own beside the main mix, such as a mixer's channels of the drums."""

from __future__ import annotations

from dataclasses import dataclass

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
