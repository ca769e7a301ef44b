"""Windows of labelled recordings as the paper's encoder sees them, read by worker processes in one global order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from torch.utils.data import DataLoader, Dataset, Sampler

from tpos_models.audio.spectrogram import segments, spectrogram
from tpos_models.errors import MediaError
from tpos_models.stable_diffusion.tpos import FrontEnd
from tpos_models.training.audio.labelled import Labelled, read_sound
from tpos_models.training.audio.scenes import spec_augment

FRONT_END = FrontEnd.LINEAR
"""The paper's; `tpos_models.audio.spectrogram` tells them apart."""
WINDOW = FRONT_END.window
MOST_WORKERS = 8
UNREADABLE = -1
"""The label of a window that could not be read."""

Key = tuple[int, int]
"""Epoch and number of a recording: all that a window's crop and masks depend on, beside the seed."""


class Window(NamedTuple):
    """One window, clean and under SpecAugment (segments, rows, frames); its label's number; who was skipped."""

    clean: np.ndarray
    augmented: np.ndarray
    label: int
    skipped: tuple[str, ...]


class Windows(NamedTuple):
    """A batch of them: (B, segments, rows, frames) twice, labels (B,), and all files that were skipped."""

    clean: torch.Tensor
    augmented: torch.Tensor
    label: torch.Tensor
    skipped: list[str]


class WindowSet(Dataset[Window]):
    """A window of each recording for each epoch.

    Where one cannot be read the next recording takes its place, up to `tries` in all; then the label is UNREADABLE.
    """

    def __init__(self, sounds: Sequence[Labelled], labels: Sequence[str], seed: int = 0, tries: int = 20) -> None:
        self._sounds, self._seed, self._tries = sounds, seed, tries
        self._numbers = {label: i for i, label in enumerate(labels)}

    def __getitem__(self, key: Key) -> Window:
        epoch, number = key
        rng, skipped = np.random.default_rng((self._seed, epoch, number)), []
        for k in range(self._tries):
            sound = self._sounds[(number + k) % len(self._sounds)]
            try:
                picture = to_picture(read_sound(sound.path, WINDOW.sample_rate), rng)
            except MediaError:
                skipped.append(str(sound.path))
                continue
            augmented = spec_augment(rng, picture[None, None])[0, 0]
            clean, augmented = (segments(view, WINDOW) for view in (picture, augmented))
            return Window(clean, augmented, self._numbers[sound.label], tuple(skipped))
        nothing = np.zeros((WINDOW.segments, WINDOW.rows, WINDOW.segment_frames), np.float32)
        return Window(nothing, nothing, UNREADABLE, tuple(skipped))


def to_picture(mono: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random 8.9 s of a sound, or all of it before silence, as float32 (rows, columns) in -0.25..1.6."""
    length = WINDOW.frames * WINDOW.hop_length
    start = int(rng.integers(max(0, mono.size - length) + 1))
    mono = mono[start : start + length]
    mono = np.pad(mono, (0, length - mono.size))
    columns = WINDOW.segments * WINDOW.segment_frames
    return spectrogram(mono, WINDOW, FRONT_END.reference)[:, WINDOW.frames - columns : WINDOW.frames]


class Order(Sampler[list[Key]]):
    """The keys of each step from `start` on: a permutation an epoch, dealt to the steps, and in each to the processes.

    It depends on the seed only: a run goes on where it stood, and two processes take what one of twice the batch does.
    """

    def __init__(self, size: int, batch: int, seed: int = 0, start: int = 0) -> None:
        self._size, self._batch, self._start = size, batch, start
        self._permutation = lru_cache(2)(lambda epoch: np.random.default_rng((seed, epoch)).permutation(size))

    def __iter__(self) -> Iterator[list[Key]]:
        state = PartialState()
        for step in count(self._start):
            first = (step * state.num_processes + state.process_index) * self._batch
            yield [self._key(place) for place in range(first, first + self._batch)]

    def _key(self, place: int) -> Key:
        epoch, k = divmod(place, self._size)
        return epoch, int(self._permutation(epoch)[k])


def default_workers() -> int:
    """Processes that read for each training process: its share of the CPUs but one, at most MOST_WORKERS."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(MOST_WORKERS, (os.cpu_count() or 1) // here - 1))


def loader(windows: WindowSet, order: Sampler[list[Key]] | Sequence[list[Key]], workers: int) -> DataLoader[Window]:
    """Batches (`Windows`) of the keys in `order`; leaves torch's global random numbers alone."""
    return DataLoader(
        windows, batch_sampler=order, num_workers=workers, collate_fn=_collate, generator=torch.Generator()
    )


def _collate(batch: list[Window]) -> Windows:
    clean, augmented = (
        torch.from_numpy(np.stack(views)) for views in zip(*(window[:2] for window in batch), strict=True)
    )
    label = torch.tensor([window.label for window in batch])
    return Windows(clean, augmented, label, [path for window in batch for path in window.skipped])
