"""The ring between the audio callback and the analysis thread: raw blocks, one writer, one reader, no lock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One block as it was captured: `samples` float32 (frames, channels), the reader's own copy."""

    samples: np.ndarray
    captured_s: float
    """When its newest sample was captured, on the show's clock."""
    arrived_s: float
    """When the callback that brought it ran, on the show's clock."""
    lost_frames: int
    """Frames that were overwritten unread just before this block."""


class BlockRing:
    """Preallocated slots for `slots` blocks of up to `frames` x `channels` samples.

    The writer (the PortAudio callback, or a file's feeder) owns `written`; the reader (the analysis thread) owns
    `consumed` and `overruns`. The writer never waits: a reader that is lapped counts what it lost.
    """

    def __init__(self, slots: int, frames: int, channels: int) -> None:
        self.slots, self.frames, self.channels = slots, frames, channels
        self.written = 0
        self.consumed = 0
        self.overruns = 0
        self._samples = np.zeros((slots, frames, channels), np.float32)
        self._counts = np.zeros(slots, np.int64)
        self._captured_s = np.zeros(slots)
        self._arrived_s = np.zeros(slots)

    @property
    def room(self) -> int:
        """Blocks that can be written before the reader loses one."""
        return self.slots - 1 - (self.written - self.consumed)

    def write(self, samples: np.ndarray, captured_s: float, arrived_s: float) -> None:
        """Copy one block in; called by the writer only. `samples` (n <= frames, c <= channels); the rest is silent."""
        slot = self.written % self.slots
        count, there = samples.shape
        self._samples[slot, :count, :there] = samples
        self._samples[slot, :count, there:] = 0
        self._counts[slot] = count
        self._captured_s[slot] = captured_s
        self._arrived_s[slot] = arrived_s
        self.written += 1

    def read(self) -> Block | None:
        """The oldest unread block, None if there is none; called by the reader only."""
        lost = self._skip_overwritten()
        while self.consumed < self.written:
            slot = self.consumed % self.slots
            samples = self._samples[slot, : self._counts[slot]].copy()
            block = Block(samples, float(self._captured_s[slot]), float(self._arrived_s[slot]), lost)
            overtaken = self._skip_overwritten()
            if not overtaken:
                self.consumed += 1
                return block
            lost += overtaken
        return None

    def _skip_overwritten(self) -> int:
        """Move past blocks the writer has reused, or is about to; returns the frames lost."""
        behind = self.written - self.slots + 1 - self.consumed
        if behind <= 0:
            return 0
        self.consumed += behind
        self.overruns += behind
        return behind * self.frames
