"""A film's frames in chunks: drawn by a farm's workers while the film is put together, and kept until it is done.

Whoever asks gets a call that waits for the frame. A worker that dies gives its chunk to the next one. A chunk is kept
under a digest of all that it is made of: a film that was stopped is asked for in the same chunks, and finds them.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import PriorityQueue
from types import TracebackType
from typing import Protocol

from engine.core import console
from engine.core.messages import LoraStrength
from engine.inference.farm.drawing import Asked, Drawing, DrawnFrame, digest, on_host, unpack
from export.media.writing import writing
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.errors import MediaError, RunError
from tpos_models.registry import POCKET

CHUNK_FRAMES, CHUNK_BYTES = 16, 48_000_000
"""So many frames at most in a chunk, and bytes of pixels: what is lost with a worker, or by a stop."""
CHUNKS_A_WORKER = 2
"""Under way: one that is drawn, and one that waits."""
MOST_TRIES = 4
CLOSE_S = 5.0
SUFFIX = ".frames"


class WorkerLost(Exception):
    """A worker is gone in mid-work; another may do it."""


class Worker(Protocol):
    """One thread's way to a `Drawer`."""

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        """As `Drawer.draw`; raises `WorkerLost`."""
        ...


@dataclass
class Cost:
    """What a film has taken so far; changed under its lock by those that draw and the one that asks."""

    drawn: int = 0
    """Frames."""
    kept: int = 0
    """Frames that an earlier export had drawn."""
    worker_s: float = 0.0
    """Seconds of workers, one that waits costs none; not those of workers that were lost."""
    lost: int = 0
    """Workers."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, drawn: int = 0, kept: int = 0, worker_s: float = 0.0, lost: int = 0) -> None:
        with self.lock:
            self.drawn, self.kept = self.drawn + drawn, self.kept + kept
            self.worker_s, self.lost = self.worker_s + worker_s, self.lost + lost

    def as_dict(self) -> dict[str, float]:
        """For `--json`."""
        return {"drawn": self.drawn, "kept": self.kept, "worker_s": self.worker_s, "workers_lost": self.lost}

    def __str__(self) -> str:
        parts = [f"{self.worker_s:.0f} worker-seconds"]
        parts += [f"{self.kept} frames kept"] if self.kept else []
        parts += [f"{self.lost} workers lost"] if self.lost else []
        return ", ".join(parts)


class Farm(ABC):
    """Where workers are, and what they have cost."""

    def __init__(self) -> None:
        self.cost = Cost()

    @abstractmethod
    def workers(self, drawing: Drawing) -> int:
        """How many there is room for, 1 or more."""

    @abstractmethod
    def start(self, drawing: Drawing) -> Worker:
        """Wait for room, and for a model to be loaded there. Raises `WorkerLost`, and what `Drawer` raises."""


@dataclass(order=True)
class _Chunk:
    """Frames that are drawn together; the first of a film come first."""

    number: int
    asked: list[Asked] = field(default_factory=list, compare=False)
    path: Path = field(default_factory=Path, compare=False)
    tries: int = field(default=0, compare=False)
    answer: Future[bytes] = field(default_factory=Future, compare=False)
    _frames: list[DrawnFrame] = field(default_factory=list, compare=False)

    def frame(self, index: int) -> DrawnFrame:
        """Wait for one of its frames; raises what drawing it raised."""
        if not self._frames:
            self._frames = unpack(self.answer.result(), len(self.asked))
        return self._frames[index]


_END = _Chunk(-1)


class Chunks:
    """One film's frames; owned by the loop that asks for them, in their order.

    Chunks lie in `folder` until `forget`. `frame_bytes` is the size of a picture.
    """

    def __init__(self, farm: Farm, drawing: Drawing, folder: Path, frame_bytes: int) -> None:
        self.cost = farm.cost
        self.folder = folder
        self._farm, self._drawing = farm, drawing
        self._made_of = digest((drawing, _files(drawing)))
        self._frames = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // frame_bytes))
        self._open = _Chunk(0)
        """Where frames are collected."""
        self._jobs: PriorityQueue[_Chunk] = PriorityQueue()
        self._closed = threading.Event()
        workers = farm.workers(drawing)
        self.at_once = CHUNKS_A_WORKER * workers * self._frames
        """How many frames should be asked for before the first is waited for."""
        self._lanes = [threading.Thread(target=self._serve, name=f"tpos-farm-{n}", daemon=True) for n in range(workers)]
        for lane in self._lanes:
            lane.start()

    def ask(self, request: SampleRequest, loras: tuple[LoraStrength, ...]) -> Callable[[], DrawnFrame]:
        """The call waits for the frame of `request`; where its chunk is not full by then, it is drawn as it is."""
        chunk, index = self._open, len(self._open.asked)
        chunk.asked.append(Asked(on_host(request), loras))
        if len(chunk.asked) == self._frames:
            self._send()

        def wait() -> DrawnFrame:
            if chunk is self._open:
                self._send()
            return chunk.frame(index)

        return wait

    def _send(self) -> None:
        """Have the open chunk drawn, unless it was kept."""
        chunk, self._open = self._open, _Chunk(self._open.number + 1)
        chunk.path = self.folder / f"{digest((self._made_of, chunk.asked))}{SUFFIX}"
        with suppress(OSError, MediaError):
            packed = chunk.path.read_bytes()
            unpack(packed, len(chunk.asked))
            chunk.answer.set_result(packed)
            self.cost.add(kept=len(chunk.asked))
            return
        self._jobs.put(chunk)

    def _serve(self) -> None:
        """One worker's thread: chunk after chunk, the earliest first, by another worker where one is lost."""
        worker: Worker | None = None
        starts = 0
        while not self._closed.is_set():
            chunk: _Chunk | None = None
            try:
                worker = worker or self._farm.start(self._drawing)
                starts, chunk = 0, self._jobs.get()
                if chunk is _END:
                    return
                chunk.answer.set_result(self._drawn(worker, chunk))
            except WorkerLost as error:
                worker, starts = None, starts + 1
                if not self._again(chunk, starts, error):
                    return
            except Exception as error:  # noqa: BLE001 - whoever waits for the chunk raises it
                self._fail(chunk, error)
                if chunk is None:
                    return

    def _drawn(self, worker: Worker, chunk: _Chunk) -> bytes:
        packed, worker_s = worker.draw(chunk.asked)
        part = chunk.path.with_name(f".{chunk.path.name}.{os.getpid()}.part")
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(packed)
            os.replace(part, chunk.path)
        self.cost.add(drawn=len(chunk.asked), worker_s=worker_s)
        return packed

    def _again(self, chunk: _Chunk | None, starts: int, error: WorkerLost) -> bool:
        """Put a lost worker's chunk back; whether its lane should go on."""
        if self._closed.is_set():
            return False
        self.cost.add(lost=1)
        tries = starts
        if chunk is not None:
            chunk.tries = tries = chunk.tries + 1
        if tries >= MOST_TRIES:
            self._fail(chunk, RunError(f"{tries} workers in a row were lost: {error}"))
            return False
        if chunk is not None:
            self._jobs.put(chunk)
        console.notify(f"tpos: a worker was lost ({error}); another goes on")
        return True

    def _fail(self, chunk: _Chunk | None, error: Exception) -> None:
        """Let whoever waits for a chunk raise it; of none, for the next."""
        chunk = chunk or self._jobs.get()
        if chunk is not _END:
            chunk.answer.set_exception(error)

    def forget(self) -> None:
        """The film is whole: nothing of it need be kept."""
        for path in self.folder.glob(f"*{SUFFIX}*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # there is something in it that is not ours, or there is none
            self.folder.rmdir()

    def __enter__(self) -> Chunks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take up no chunk any more; what is being drawn is waited for, but not for long: the farm ends it."""
        self._closed.set()
        for _ in self._lanes:
            self._jobs.put(_END)
        until_s = time.monotonic() + CLOSE_S
        for lane in self._lanes:
            lane.join(max(0.0, until_s - time.monotonic()))


def _files(drawing: Drawing) -> list[tuple[str, int, int]]:
    """What lies in the files that a drawing names: their names, sizes and times."""
    loras = drawing.additions.loras
    named = (drawing.name, *loras, *(lora.rpartition(":")[0] for lora in loras if ":" in lora))
    paths = [Path(name).expanduser() for name in named if name != POCKET]
    files = [file for path in paths for file in (path, *sorted(path.rglob("*"))) if file.is_file()]
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
