"""What a frame is where it is no array of pixels: a scene of the field, and pixels that a GPU keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class FieldScene:
    """Numbers that make a picture of any size (`tpos_models.pocket.field`); arrays are read-only."""

    z: np.ndarray
    """float32 (channels, rows, columns) of cells, unit Gaussian."""
    prompt: np.ndarray
    """float32 (n,): prompt features, sound and all."""
    size: tuple[int, int]
    """(width, height) of the picture that pixels would have made: its shape counts."""


def between(older: FieldScene, newer: FieldScene, progress: float) -> FieldScene:
    """The moment between two, `progress` 0..1: the prompt mixed, and the noise turned, so that it keeps its variance.

    Where they have different shapes, there is none between them: it is the newer.
    """
    if progress >= 1.0 or older.z.shape != newer.z.shape:
        return newer
    z = _mixed(older.z, newer.z, progress)
    z *= _mixed(_deviation(older.z), _deviation(newer.z), progress) / np.maximum(_deviation(z), 1e-6)
    return FieldScene(z, _mixed(older.prompt, newer.prompt, progress), newer.size)


def _mixed(a: np.ndarray, b: np.ndarray, progress: float) -> np.ndarray:
    return a + np.float32(progress) * (b - a)


def _deviation(z: np.ndarray) -> np.ndarray:
    """Of each channel: (channels, 1, 1)."""
    return np.sqrt(np.square(z).mean((1, 2), keepdims=True))


class DevicePixels(Protocol):
    """Contiguous bytes in a GPU's memory, there as long as this is: a tensor of torch's."""

    @property
    def nbytes(self) -> int: ...

    def data_ptr(self) -> int: ...
