"""Where sound comes from: one small interface, and the sources that need no sound card."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.ring import BlockRing
from engine.audio.sound_file import AudioFile
from engine.audio.soundtrack import stream
from engine.core.clock import Clock, WallClock
from engine.core.own_thread import Supervised

BLOCK_FRAMES = 256
"""Frames per block at 44.1 and 48 kHz: 5.8 ms; proportionally more at higher rates."""
RING_S = 5.0
HELD_UP_S = 1.0
"""A piece that was held up for less catches up; after more it goes on from where it was, and is in time at once."""


class SourceState(StrEnum):
    """LOST: a device that vanished and is being looked for; ENDED: a file that is over."""

    OK = "ok"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SourceCounters:
    """What a source knows of its own health. `cpu_load` is PortAudio's, 0..1 of a callback's time."""

    blocks: int = 0
    overflows: int = 0
    """Blocks before which the driver had to drop samples."""
    losses: int = 0
    """Times the device vanished."""
    cpu_load: float = 0.0
    warning: str = ""


class Source(ABC):
    """A stream of blocks into its `ring`; started, stopped and closed as often as one likes.

    `picks` are the channels to listen to, from 0; all if empty.
    """

    def __init__(self, name: str, sample_rate: int, channels: int, picks: tuple[int, ...] = ()) -> None:
        self.name, self.sample_rate, self.channels, self.picks = name, sample_rate, channels, picks
        self.channels_there = channels
        """How many are not silent for want of a device that has them."""
        self.block_frames = block_frames(sample_rate)
        self.ring = BlockRing(round(RING_S * sample_rate / self.block_frames), self.block_frames, channels)
        self.state = SourceState.OK
        self.overflows = 0
        """Blocks before which the driver had to drop samples."""

    @property
    def block_s(self) -> float:
        """Seconds in one block."""
        return self.block_frames / self.sample_rate

    @abstractmethod
    def start(self) -> None:
        """Begin to write blocks; raises DeviceError where a device will not open."""

    @abstractmethod
    def stop(self) -> None:
        """Write no more blocks; `start` goes on from here."""

    @abstractmethod
    def counters(self) -> SourceCounters:
        """Health so far."""

    def close(self) -> None:
        """Stop, and free what was held."""
        self.stop()

    def __enter__(self) -> Source:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def block_frames(sample_rate: int) -> int:
    """Frames per block at this rate: near 6 ms."""
    return BLOCK_FRAMES * max(1, round(sample_rate / 48_000))


class Monitor(Protocol):
    """Who makes a paced source heard: see `engine.audio.playback`."""

    def begin(self) -> float:
        """Get ready, for a second or two at most; returns how long before it is to be heard it wants a block."""
        ...

    def push(self, block: np.ndarray, end_s: float) -> None:
        """Let `block` be heard so that it ends at `end_s`. Never waits for a device, never raises."""
        ...


class PacedSource(Source):
    """Plays `blocks()` into the ring in real time on the given clock, and aloud where there is a `monitor`.

    Its thread is the ring's writer. Where it was held up it catches up, for `HELD_UP_S` at most, and it waits for a
    reader that is seconds behind instead of overwriting: a file can wait.
    """

    def __init__(self, name: str, sample_rate: int, channels: int, clock: Clock | None, loop: bool) -> None:
        super().__init__(name, sample_rate, channels)
        self._clock = clock or WallClock()
        self.monitor: Monitor | None = None
        self._loop, self._blocks = loop, self.blocks(loop)
        self._ahead: deque[np.ndarray] = deque()
        """Blocks that the monitor has and the ring has not."""
        self._stopping = threading.Event()
        self._thread: Supervised | None = None

    @abstractmethod
    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        """The piece in blocks of up to `block_frames`, over and over if `loop`."""

    def start(self) -> None:
        if self._thread is None and self.state is not SourceState.ENDED:
            self._stopping.clear()
            self._thread = Supervised("audio-feed", self._feed, self._stopping).start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def counters(self) -> SourceCounters:
        return SourceCounters(blocks=self.ring.written)

    def _feed(self) -> None:
        """Play; what breaks off is silence, from its beginning again where it loops, and over where it does not."""
        if self.state is SourceState.LOST:
            self._blocks, self._ahead = self.blocks(self._loop), deque()
        try:
            self._play()
        except Exception:
            self.state = SourceState.LOST if self._loop else SourceState.ENDED
            raise

    def _play(self) -> None:
        monitor = self.monitor
        lead_s = monitor.begin() if monitor else 0.0
        due_s: float | None = None
        ahead = 0
        for block in self._blocks:
            if due_s is None:  # a decoder or synthesiser may have taken its time to begin
                due_s = self._clock.now() + lead_s
                self.state = SourceState.OK
            self._ahead.append(block)
            ahead += len(block)
            if monitor:
                monitor.push(block, due_s + ahead / self.sample_rate)
            while ahead > lead_s * self.sample_rate and self._ahead:
                ahead -= len(self._ahead[0])
                due_s = self._deliver(due_s)
                if self._stopping.is_set():
                    self._blocks = chain(self._ahead, self._blocks)
                    self._ahead = deque()
                    return
        while due_s is not None and self._ahead and not self._stopping.is_set():
            due_s = self._deliver(due_s)
        if not self._ahead:
            self.state = SourceState.ENDED

    def _deliver(self, due_s: float) -> float:
        """Write the oldest block, which begins at `due_s`, when it is over; returns that time, or now if held up."""
        block = self._ahead.popleft()
        end_s = due_s + len(block) / self.sample_rate
        self._wait_until(end_s)
        now_s = self._clock.now()
        if now_s - end_s > HELD_UP_S:
            end_s = now_s
        self.ring.write(block, end_s, now_s)
        return end_s

    def _wait_until(self, due_s: float) -> None:
        while not self._stopping.is_set():
            ahead_s = due_s - self._clock.now()
            if ahead_s > 0:
                self._clock.sleep(min(ahead_s, 0.05))
            elif self.ring.room > 0:
                return
            else:
                time.sleep(0.002)  # the reader is a real thread, whatever the clock


class FileSource(PacedSource):
    """A sound file, paced in real time. Raises MissingFileError or MediaError at once for what cannot be read."""

    def __init__(self, path: str | Path, clock: Clock | None = None, loop: bool = False) -> None:
        self._file = AudioFile(path)
        super().__init__(self._file.path.name, self._file.sample_rate, self._file.channels, clock, loop)
        next(self._file.chunks())  # fail now, not on stage
        self.duration_s = self._file.duration_s

    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        for _ in count() if loop else range(1):
            yield from self._file.blocks(self.block_frames)

    def counters(self) -> SourceCounters:
        return SourceCounters(blocks=self.ring.written, warning=self._file.warning)


class SynthSource(PacedSource):
    """The built-in soundtrack again and again, for machines with nothing plugged in."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__("synth", SAMPLE_RATE, 1, clock, loop=True)

    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        for part in stream(loop):
            for i in range(0, len(part), self.block_frames):
                yield part[i : i + self.block_frames, None]
