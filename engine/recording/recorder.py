"""Recording a live show: one thread turns pictures, sound and decisions into a session folder.

Everything handed in is accounted for. A full disk, a lost sound card or a slow encoder costs part of the recording,
never the show.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from engine.core.clock import Clock
from engine.core.messages import Frame, ShowState
from engine.recording.folders import default_root, new_folder, remember_root
from engine.recording.session import (
    START,
    About,
    Counters,
    SessionRecord,
    SessionState,
    to_json,
    to_log,
    write_record,
)
from engine.recording.session_writer import SessionWriter, check_space
from export.media.formats import VideoFormat
from export.media.writing import writing
from tpos_models.errors import RunError, StorageError, TposError

_POLL_S = 0.1
_SOUNDS, _LINES = 4096, 4096
_MIB = 2**20


class RecorderState(StrEnum):
    """Whether a recorder records."""

    IDLE = "idle"
    RECORDING = "recording"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """What the operator sees; `error` is one line where it failed."""

    state: RecorderState = RecorderState.IDLE
    path: Path | None = None
    seconds: float = 0.0
    size_bytes: int = 0
    error: str = ""
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """How a recording ended; `error` is empty unless it broke off."""

    path: Path
    duration_s: float
    size_bytes: int
    counters: Counters
    error: str = ""


class Recorder:
    """Records while the show runs: `start`, hand in, `stop`; any thread may call any method.

    `size` is the video's (width, height), `fps` its constant rate; sound comes at `sample_rate` and is kept with 1 or
    2 `channels`; the film is H.264, or in `form`. Pictures wait in a queue of at most `queue_mib`; when it is full the
    newest is refused and counted. Arrays handed in belong to the recorder: the caller must not change them afterwards.
    `min_free_mib` must be free to start, a quarter of it to go on.
    """

    def __init__(
        self,
        root: Path | None,
        size: tuple[int, int],
        fps: float,
        sample_rate: int,
        channels: int,
        clock: Clock,
        *,
        queue_mib: int = 64,
        min_free_mib: int = 256,
        form: VideoFormat | None = None,
    ) -> None:
        self._root = root or default_root()
        self._size, self._fps, self._form = size, fps, form
        self._sample_rate, self._channels = sample_rate, channels
        self._clock = clock
        pictures = queue_mib * _MIB // (size[0] * size[1] * 3)
        self._limits = {"picture": min(max(pictures, 4), round(4 * fps)), "sound": _SOUNDS, "line": _LINES}
        self._min_free = min_free_mib * _MIB
        self._running: _Running | None = None
        self._lock = threading.Lock()

    def start(self, name: str | None = None, about: Callable[[], About] = About) -> Path:
        """Begin a session, named by the time unless `name` is given; returns its folder.

        `about` is asked now, and at the end once more: a model that was still loading is known then.

        Raises InputError for a name that is not one, StorageError where it cannot be written, RunError while one runs.
        """
        with self._lock:
            if self._running:
                raise RunError(f"already recording {self._running.writer.folder.name}: stop it first")
            folder = new_folder(self._root, name)
            remember_root(self._root)
            try:
                check_space(folder, self._min_free)
                writer = self._new_writer(folder, about())
            except TposError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._running = _Running(writer, _Inbox(self._limits), self._clock, self._fps, about)
            return folder

    def _new_writer(self, folder: Path, about: About) -> SessionWriter:
        record = SessionRecord(
            started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            pid=os.getpid(),
            size=self._size,
            fps=self._fps,
            sample_rate=self._sample_rate,
            channels=self._channels,
            program=about.program,
            model=about.model,
            spec=about.spec,
            options=about.options,
            input=about.input,
        )
        if about.picture is not None:
            with writing(folder):
                Image.fromarray(about.picture).save(folder / START, compress_level=1)
        return SessionWriter(folder, record, about.preset, self._clock.now(), self._min_free // 4, self._form)

    def due(self, time_s: float) -> bool:
        """Whether a picture of this time would get a frame of its own: spares reading back one that would not."""
        running = self._running
        return running is not None and running.due(time_s)

    def offer(self, image: np.ndarray, time_s: float) -> bool:
        """Hand in a picture, RGB uint8 (height, width, 3), and the show's time it belongs to; False if refused."""
        running = self._running
        return running is not None and running.offer(image, time_s)

    def audio(self, samples: np.ndarray, start_index: int, time_s: float, stems: np.ndarray | None = None) -> bool:
        """Hand in a chunk of sound, float32 (n,) or (n, channels), -1..1, and its stems (n, MAX_STEMS), if any.

        `start_index` is the running number of its first sample, `time_s` when its newest was captured.
        """
        running = self._running
        return running is not None and running.audio(samples, start_index, time_s, stems)

    def log(self, time_s: float, kind: str, data: dict[str, Any]) -> bool:
        """Hand in a line for the control log; `data` is anything msgspec can write as JSON."""
        running = self._running
        return running is not None and running.log(time_s, kind, data)

    def log_state(self, time_s: float, state: ShowState) -> bool:
        """Log the operator's state, whole: at the start, and whenever it changed."""
        return self.log(time_s, "state", to_log(state, time_s))

    def log_frame(self, frame: Frame) -> bool:
        """Log that a picture was sampled; the line's time is that of the sound that shaped it."""
        delay_s = round(frame.time_s - frame.audio_time_s, 6)
        data = {"index": frame.index, "revision": frame.revision, "seed": frame.seed, "delay_s": delay_s}
        return self.log(frame.audio_time_s, "frame", data)

    @property
    def status(self) -> RecorderStatus:
        """How the recording stands."""
        running = self._running
        return running.status if running else RecorderStatus()

    def stop(self) -> SessionSummary | None:
        """Finish the session: what was handed in is written first. None if none runs; never raises for the disk."""
        with self._lock:
            running, self._running = self._running, None
        return running.stop() if running else None


class _Running:
    """One recording and its thread, "tpos-recorder"."""

    def __init__(
        self, writer: SessionWriter, inbox: _Inbox, clock: Clock, fps: float, about: Callable[[], About]
    ) -> None:
        self.writer = writer
        self._about = about
        self._inbox = inbox
        self._clock = clock
        self._fps = fps
        self._offered_slot = -1
        self._error = ""
        self._thread = threading.Thread(target=self._run, name="tpos-recorder", daemon=True)
        self._thread.start()

    def due(self, time_s: float) -> bool:
        return not self._error and self._slot(time_s) > self._offered_slot

    def offer(self, image: np.ndarray, time_s: float) -> bool:
        self._offered_slot = self._slot(time_s)
        return self._inbox.put("picture", lambda writer: writer.picture(image, time_s))

    def audio(self, samples: np.ndarray, start_index: int, time_s: float, stems: np.ndarray | None) -> bool:
        seconds = len(samples) / self.writer.record.sample_rate
        return self._inbox.put("sound", lambda writer: writer.sound(samples, start_index, time_s, stems), seconds)

    def log(self, time_s: float, kind: str, data: dict[str, Any]) -> bool:
        raw = msgspec.Raw(to_json(data))
        return self._inbox.put("line", lambda writer: writer.line(time_s, kind, raw))

    def _slot(self, time_s: float) -> int:
        return round((time_s - self.writer.origin_s) * self._fps)

    @property
    def status(self) -> RecorderStatus:
        writer = self.writer
        state = RecorderState.FAILED if self._error else RecorderState.RECORDING
        return RecorderStatus(state, writer.folder, writer.seconds, writer.size_bytes, self._error, self._counters())

    def stop(self) -> SessionSummary:
        self._inbox.close()
        self._thread.join()
        writer = self.writer
        return SessionSummary(writer.folder, writer.seconds, writer.size_bytes, self._counters(), self._error)

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - supervised: whatever breaks here, the show goes on
            self._error = str(error) if isinstance(error, TposError) else f"recording broke: {error!r}"
            self.writer.abandon()
            self._write_record()
            while not self._inbox.finished:
                self._inbox.get(_POLL_S)
        self._write_record()

    def _write(self) -> None:
        while not self._inbox.finished:
            work = self._inbox.get(_POLL_S)
            if work:
                work(self.writer)
            if self._inbox.idle:
                self.writer.keep_up(self._clock.now())
            self.writer.report(self._clock.now())
        self.writer.finish(self._clock.now())

    def _write_record(self) -> None:
        state = SessionState.FAILED if self._error else SessionState.COMPLETE
        about = self._about()
        done = replace(
            self.writer.record,
            spec=about.spec,
            options=about.options,
            state=state,
            error=self._error,
            duration_s=self.writer.seconds,
            counters=self._counters(),
        )
        with suppress(StorageError):  # a disk full to the last byte: the session will be listed as cut short
            write_record(self.writer.folder, done)

    def _counters(self) -> Counters:
        """The writer's counters, and what never reached it."""
        done, inbox = self.writer.counters, self._inbox
        dropped = {**done.dropped, "queue": round(inbox.refused["picture"])}
        if self._error:
            dropped["failed"] = round(inbox.offered["picture"]) - done.written - sum(dropped.values())
        return replace(
            done,
            offered=round(inbox.offered["picture"]),
            dropped={reason: count for reason, count in dropped.items() if count},
            audio_dropped_s=inbox.refused["sound"],
            log_dropped=round(inbox.refused["line"]),
        )


class _Inbox:
    """Bounded queue of work for the recorder's thread; policy: refuse and report, each kind with its own bound."""

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._work: deque[tuple[str, Callable[[SessionWriter], None]]] = deque()
        self._waiting = dict.fromkeys(limits, 0)
        self._closed = False
        self.offered = dict.fromkeys(limits, 0.0)
        """Handed in so far, by kind and weight."""
        self.refused = dict.fromkeys(limits, 0.0)

    def put(self, kind: str, work: Callable[[SessionWriter], None], weight: float = 1.0) -> bool:
        """Hand in one piece of work, counted with `weight`; False if it is refused."""
        with self._changed:
            if self._closed:
                return False
            self.offered[kind] += weight
            if self._waiting[kind] >= self._limits[kind]:
                self.refused[kind] += weight
                return False
            self._waiting[kind] += 1
            self._work.append((kind, work))
            self._changed.notify()
            return True

    def close(self) -> None:
        """Accept no more; what waits is still done."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def get(self, timeout_s: float) -> Callable[[SessionWriter], None] | None:
        """The oldest work, None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._work) or self._closed, timeout_s)
            if not self._work:
                return None
            kind, work = self._work.popleft()
            self._waiting[kind] -= 1
            return work

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not self._work

    @property
    def finished(self) -> bool:
        """Closed and empty."""
        return self._closed and not self._work
