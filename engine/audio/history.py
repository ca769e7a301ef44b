"""The newest samples of a stream, addressed by their number since its start."""

from __future__ import annotations

import numpy as np


class History:
    """The last `size` rows of a stream of (n, channels) float32; not thread safe, its owner holds the lock."""

    def __init__(self, size: int, channels: int = 1) -> None:
        self.size = size
        self.end = 0
        """Samples received since the start."""
        self._ring = np.zeros((size, channels), np.float32)

    def append(self, samples: np.ndarray) -> None:
        """Add (n, channels) samples, n <= size."""
        at = self.end % self.size
        first = min(len(samples), self.size - at)
        self._ring[at : at + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]
        self.end += len(samples)

    def since(self, start: int) -> tuple[np.ndarray, int]:
        """A copy of the samples from number `start` on, and the number of the first: later if some are gone."""
        start = min(max(start, self.end - self.size, 0), self.end)
        at, count = start % self.size, self.end - start
        first = min(count, self.size - at)
        return np.concatenate([self._ring[at : at + first], self._ring[: count - first]]), start

    def newest(self, count: int) -> np.ndarray:
        """A copy of the last `count` samples, fewer at the start of the stream."""
        return self.since(self.end - min(count, self.size))[0]
