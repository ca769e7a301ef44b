"""The sound of a recorded set, read again from its files: a block at a time, however long the set was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.media.reading import even_blocks, sound_blocks
from tpos_models.errors import MediaError, MissingFileError

_BLOCK_FRAMES = 8192


@dataclass(frozen=True)
class SessionSound:
    """The raw input and the stems beside it; sample 0 is time 0."""

    path: Path
    sample_rate: int
    channels: int
    """Of the input."""
    samples: int
    stems_path: Path
    stems: int
    """Channels beside the input's: MAX_STEMS, 0 where none were recorded."""

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.samples / self.sample_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """All of it, float32 (n, channels + stems) each; stems that end early are silent from there."""
        beside = _blocks(self.stems_path) if self.stems else iter(())
        for block in _blocks(self.path):
            stems = next(beside, np.zeros((0, self.stems), np.float32))[: len(block)]
            yield np.concatenate([block, np.pad(stems, ((0, len(block) - len(stems)), (0, 0)))], axis=1)


def open_sound(
    audio: Path, stems: Path, film: Path, least_s: float, tell: Callable[[str], object] = lambda _: None
) -> SessionSound:
    """The sound of a session's files, read through once before anything is made of it.

    Where `audio` is damaged before `least_s`, or gone, the film's own is taken, which is told. Raises MissingFileError,
    MediaError where that has none either.
    """
    beside = next(sound_blocks(stems))[1].shape[1] if stems.is_file() else 0
    try:
        return SessionSound(audio, *_measured(audio, least_s), stems, beside)
    except (MediaError, MissingFileError) as error:
        tell(f"{error}; the film's own sound is taken")
        return SessionSound(film, *_measured(film), stems, beside)


def _measured(path: Path, least_s: float | None = None) -> tuple[int, int, int]:
    """Rate, channels, samples."""
    blocks = sound_blocks(path, least_s)
    rate, first = next(blocks)
    return rate, first.shape[1], len(first) + sum(len(block) for _, block in blocks)


def _blocks(path: Path) -> Iterator[np.ndarray]:
    return even_blocks((block for _, block in sound_blocks(path)), _BLOCK_FRAMES)
