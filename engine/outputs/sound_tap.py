"""The show's sound on its way to outputs that carry it: each takes what is new, as far as its picture is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

LONGEST_S = 0.25
"""What waits longer is left out: sound that comes late is worse than none."""


class Sound(Protocol):
    """What keeps the input's newest seconds: `Capture`."""

    def raw(self, since: int) -> tuple[np.ndarray, int]:
        """Samples from a number on, float32 (n, channels), and the number of the first."""
        ...

    def time_of(self, sample: int) -> float:
        """When a sample was captured, on the show's clock."""
        ...


class SoundTap:
    """Where the show's sound is plugged in, once it is there; any thread may look."""

    def __init__(self) -> None:
        self.sound: Sound | None = None


class SoundReader:
    """One output's place in the sound of `rate` Hz. Owned by its thread."""

    def __init__(self, tap: SoundTap, rate: int) -> None:
        self._tap, self._rate = tap, rate
        self._next: int | None = None

    def until(self, time_s: float, chunk: int) -> np.ndarray:
        """What is new of the sound captured by `time_s`, whole chunks of samples: float32 (n, channels)."""
        sound = self._tap.sound
        if sound is None:
            return np.zeros((0, 0), np.float32)
        samples, start = sound.raw(self._next or 0)
        end = start + len(samples)
        ripe = end - max(0, round((sound.time_of(end) - time_s) * self._rate))
        oldest = ripe if self._next is None else ripe - round(LONGEST_S * self._rate)
        first = max(start, oldest)
        count = max(0, ripe - first) // chunk * chunk
        self._next = first + count
        return samples[first - start :][:count]
