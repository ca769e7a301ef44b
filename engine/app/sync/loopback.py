"""The clicks, played at their moments, and what of them an input hears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.app.sync.signal import FIRST_S, PERIOD_S, Apart, apart, click, find_clicks, moment_s
from engine.audio import SAMPLE_RATE
from engine.audio.sources import PacedSource, Source
from engine.core.clock import Clock

LOUDNESS = 0.8
LONGEST_S = 120.0
"""So much of what is heard is kept."""


class Clicks(PacedSource):
    """Silence with a click in each moment; `began_s` is when moment 0 of the test was, on the clock, None before."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("clicks", SAMPLE_RATE, 1, clock, True)
        self.began_s: float | None = None

    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        sound = (LOUDNESS * click(self.sample_rate).imag).astype(np.float32)
        waiting, end, number = np.zeros(0, np.float32), 0, 0
        while True:
            start = round(moment_s(number) * self.sample_rate) - len(sound) // 2
            waiting = np.concatenate([waiting, np.zeros(start - end, np.float32), sound])
            end, number = start + len(sound), number + 1
            while len(waiting) >= self.block_frames:
                yield waiting[: self.block_frames, None]
                waiting = waiting[self.block_frames :]

    def follow(self) -> None:
        """Take out what was played; to be called now and then."""
        while block := self.ring.read():
            if self.began_s is None:
                self.began_s = block.captured_s - len(block.samples) / self.sample_rate


class Echo:
    """What `source` hears of the clicks. Owned by the main thread."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._blocks: list[np.ndarray] = []
        self._starts_s: list[float] = []
        """When the first sample of all was captured, as each block says."""
        self._frames = 0

    def follow(self) -> None:
        """Take in what was heard; to be called now and then."""
        while block := self.source.ring.read():
            if self._frames > LONGEST_S * self.source.sample_rate:
                continue
            gap = np.zeros((block.lost_frames, block.samples.shape[1]), np.float32)
            heard = np.concatenate([gap, block.samples])
            self._blocks.append(heard[:, self.source.picks or slice(None)].mean(1))
            self._frames += len(heard)
            self._starts_s.append(block.captured_s - self._frames / self.source.sample_rate)

    def measure(self, began_s: float) -> Apart | None:
        """How much later than at their moments clicks were captured, None where none were. Raises InputError."""
        if not self._blocks:
            return None
        start_s = float(np.median(self._starts_s)) - began_s
        heard = [start_s + at_s for at_s in find_clicks(np.concatenate(self._blocks), self.source.sample_rate)]
        heard = [at_s for at_s in heard if at_s > FIRST_S - PERIOD_S / 2]
        moments = [moment_s(number) for number in range(round(LONGEST_S / PERIOD_S) + 2)]
        return apart(heard, moments, f"{self.source.name}: clicks") if heard else None
