"""One recording and its threads: the one that writes, and the one that waits for the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.core.clock import Clock
from engine.recording.inbox import Inbox
from engine.recording.session import About, Counters, SessionState, to_json, write_record
from engine.recording.session_writer import SessionWriter
from tpos_models.errors import RunError, StorageError, TposError

SYNC_S = 0.5
"""So often what was written is put onto the disk. With what waits for its place, half a second, and for the end of its
fragment, another, a power cut costs less than two."""
STALLED_S = 1.2
"""A disk that has not answered for so long is stalled."""
_POLL_S = 0.1


class RecorderState(StrEnum):
    """Whether a recorder records."""

    IDLE = "idle"
    RECORDING = "recording"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """What the operator sees; `path` is None until there is a folder, `error` one line where it failed."""

    state: RecorderState = RecorderState.IDLE
    path: Path | None = None
    seconds: float = 0.0
    size_bytes: int = 0
    error: str = ""
    counters: Counters = field(default_factory=Counters)
    stalled: bool = False
    """The disk has not answered for a while."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """How a recording ended; `error` is empty unless it broke off."""

    path: Path
    duration_s: float
    size_bytes: int
    counters: Counters
    error: str = ""


class Take:
    """One recording: what is handed in is written by a thread "tpos-recorder", which also opens and ends the session.

    Nothing here waits for the disk but `join`, and that not for ever. `open_writer` is called in the thread, `about` at
    its end; time 0 is `origin_s`, on the show's `clock`.
    """

    def __init__(
        self,
        open_writer: Callable[[], SessionWriter],
        inbox: Inbox,
        clock: Clock,
        origin_s: float,
        rates: tuple[float, int],
        about: Callable[[], About],
    ) -> None:
        self._open_writer, self._inbox, self._clock, self._about = open_writer, inbox, clock, about
        self._origin_s, self._end_s = origin_s, float("inf")
        self._fps, self._sample_rate = rates
        self._writer: SessionWriter | None = None
        self._offered_slot = -1
        self._error = ""
        self._unsynced = ""
        self._written = threading.Event()
        self._turned_s = self._synced_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="tpos-recorder", daemon=True)
        self._thread.start()

    def due(self, time_s: float) -> bool:
        return not self._error and self._slot(time_s) > self._offered_slot

    def offer(self, image: np.ndarray, time_s: float) -> bool:
        self._offered_slot = self._slot(time_s)
        return self._inbox.put("picture", lambda writer: writer.picture(image, time_s))

    def audio(self, samples: np.ndarray, start_index: int, time_s: float, stems: np.ndarray | None) -> bool:
        seconds = len(samples) / self._sample_rate
        return self._inbox.put("sound", lambda writer: writer.sound(samples, start_index, time_s, stems), seconds)

    def log(self, time_s: float, kind: str, data: dict[str, Any]) -> bool:
        raw = msgspec.Raw(to_json(data))
        return self._inbox.put("line", lambda writer: writer.line(time_s, kind, raw))

    @property
    def status(self) -> RecorderStatus:
        """How it stands."""
        state = RecorderState.FAILED if self._error else RecorderState.RECORDING
        counters, writer = self._counters(), self._writer
        if writer is None:
            return RecorderStatus(state, error=self._error, counters=counters, stalled=self.stalled)
        return RecorderStatus(
            state, writer.folder, writer.seconds, writer.size_bytes, self._error, counters, self.stalled
        )

    @property
    def stalled(self) -> bool:
        """Its thread, or the one that waits for the disk, has not come round for a while."""
        return not self.ended and time.monotonic() - min(self._turned_s, self._synced_s) > STALLED_S

    @property
    def ended(self) -> bool:
        """All is written that could be."""
        return not self._thread.is_alive()

    @property
    def summary(self) -> SessionSummary | None:
        """How it ended; None where no folder could be had."""
        writer = self._writer
        if writer is None:
            return None
        error = self._error or ("" if self.ended else f"{writer.folder}: its disk does not answer")
        return SessionSummary(writer.folder, writer.seconds, writer.size_bytes, self._counters(not self.ended), error)

    def release(self) -> None:
        """Accept no more; what was handed in is written, and the session ends by itself."""
        self._end_s = min(self._end_s, self._clock.now())
        self._inbox.close()

    def join(self, patience_s: float) -> bool:
        """Wait for its end, as long as something is written within `patience_s`; False where nothing is."""
        seen, since_s = None, 0.0
        while not self.ended:
            if (now := (self._turned_s, self._writer and self._writer.size_bytes)) != seen:
                seen, since_s = now, time.monotonic()
            elif time.monotonic() - since_s > patience_s:
                return False
            self._thread.join(_POLL_S)
        return True

    @property
    def _now_s(self) -> float:
        """The moment that the files are to be brought up to."""
        return min(self._clock.now(), self._end_s)

    def _slot(self, time_s: float) -> int:
        return round((time_s - self._origin_s) * self._fps)

    def _run(self) -> None:
        try:
            self._writer = self._open_writer()
            self._write(self._writer)
        except Exception as error:  # noqa: BLE001 - supervised: whatever breaks here, the show goes on
            self._error = _said(error)
            self._give_up()
        if self._writer:
            self._write_record(self._writer)

    def _write(self, writer: SessionWriter) -> None:
        self._synced_s = time.monotonic()
        syncing = threading.Thread(target=self._sync, args=(writer,), name="tpos-recorder-disk", daemon=True)
        syncing.start()
        try:
            while not self._inbox.finished:
                work = self._inbox.get(_POLL_S)
                if work:
                    work(writer)
                if self._inbox.idle:
                    writer.keep_up(self._now_s)
                writer.report(self._now_s)
                self._turned_s = time.monotonic()
                if self._unsynced:
                    raise RunError(self._unsynced)
        finally:
            self._written.set()
        writer.finish(self._now_s)

    def _sync(self, writer: SessionWriter) -> None:
        """The disk's thread: however slow it is, encoding goes on."""
        try:
            while not self._written.wait(SYNC_S):
                writer.sync()
                self._synced_s = time.monotonic()
        except Exception as error:  # noqa: BLE001 - supervised: the other thread ends the take with it
            self._unsynced = _said(error)  # the error itself would hold the take, and the take it
        self._synced_s = float("inf")

    def _give_up(self) -> None:
        """Close what is open, and take what still comes without writing it, until it is released."""
        if self._writer:
            self._writer.abandon()
            self._write_record(self._writer)
        self._synced_s = float("inf")
        while not self._inbox.finished:
            self._inbox.get(_POLL_S)
            self._turned_s = time.monotonic()

    def _write_record(self, writer: SessionWriter) -> None:
        about = self._about()
        done = replace(
            writer.record,
            spec=about.spec,
            options=about.options,
            state=SessionState.FAILED if self._error else SessionState.COMPLETE,
            error=self._error,
            duration_s=writer.seconds,
            counters=self._counters(),
        )
        with suppress(StorageError):  # a disk full to the last byte: the session will be listed as cut short
            write_record(writer.folder, done)

    def _counters(self, left: bool = False) -> Counters:
        """The writer's counters, and what never reached it; with what waits for it, where it is `left` to itself."""
        done, inbox = self._writer.counters if self._writer else Counters(), self._inbox
        dropped = {**done.dropped, "queue": round(inbox.refused["picture"])}
        if self._error or left:
            dropped["failed"] = round(inbox.offered["picture"]) - done.written - sum(dropped.values())
        return replace(
            done,
            offered=round(inbox.offered["picture"]),
            dropped={reason: count for reason, count in dropped.items() if count},
            audio_dropped_s=inbox.refused["sound"],
            log_dropped=round(inbox.refused["line"]),
        )


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, TposError) else f"recording broke: {error!r}"
