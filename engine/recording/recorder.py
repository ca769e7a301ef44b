"""Recording a live show: one thread turns pictures, sound and decisions into a session folder.

Everything handed in is accounted for. A full or stalled disk, a lost sound card or a slow encoder costs part of the
recording, never the show.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.core.clock import Clock
from engine.core.messages import Frame, ShowState
from engine.recording.folders import default_root, new_folder, remember_root, session_name
from engine.recording.inbox import Inbox
from engine.recording.session import START, About, SessionRecord, to_log
from engine.recording.session_writer import SessionWriter, check_space
from engine.recording.take import RecorderStatus, SessionSummary, Take
from export.media.formats import VideoFormat
from export.media.writing import write_synced
from tpos_models.errors import RunError, TposError

PATIENCE_S = 4.0
"""So long a disk may not answer at the end of a show."""
_SOUNDS, _LINES = 4096, 4096
_FINISHING = 4
_MIB = 2**20


class Recorder:
    """Records while the show runs: `start`, hand in, `release`; any thread may call any method. `stop` alone waits.

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
        self._take: Take | None = None
        self._finishing: list[Take] = []
        self._name = ""
        self._lock = threading.Lock()

    def start(self, name: str | None = None, about: Callable[[], About] = About) -> str:
        """Begin a session, named by the time unless `name` is given; returns its name, which may get a number yet.

        Its folder is made by the recorder's thread: `status` says when it is there, and why it cannot be. `about` is
        asked now, and at the end once more: a model that was still loading is known then. Raises InputError for a name
        that is not one, RunError while one runs or too many are being finished.
        """
        with self._lock:
            if self._take:
                raise RunError(f"already recording {self._name}: stop it first")
            if len(self._finishing) == _FINISHING:
                raise RunError(f"{_FINISHING} recordings are being finished: a disk that answers is accepted")
            self._name = session_name(name)
            origin_s = self._clock.now()
            opening = partial(self._open, self._name, about(), origin_s)
            rates = self._fps, self._sample_rate
            self._take = Take(opening, Inbox(self._limits), self._clock, origin_s, rates, about)
            return self._name

    def _open(self, name: str, about: About, origin_s: float) -> SessionWriter:
        """In the recorder's thread; StorageError, InputError."""
        folder = new_folder(self._root, name)
        remember_root(self._root)
        try:
            check_space(folder, self._min_free)
            return self._new_writer(folder, about, origin_s)
        except TposError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _new_writer(self, folder: Path, about: About, origin_s: float) -> SessionWriter:
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
            png = io.BytesIO()
            Image.fromarray(about.picture).save(png, "PNG", compress_level=1)
            write_synced(folder / START, png.getvalue())
        return SessionWriter(folder, record, about.preset, origin_s, self._min_free // 4, self._form)

    def due(self, time_s: float) -> bool:
        """Whether a picture of this time would get a frame of its own: spares reading back one that would not."""
        take = self._take
        return take is not None and take.due(time_s)

    def offer(self, image: np.ndarray, time_s: float) -> bool:
        """Hand in a picture, RGB uint8 (height, width, 3), and the show's time it belongs to; False if refused."""
        take = self._take
        return take is not None and take.offer(image, time_s)

    def audio(self, samples: np.ndarray, start_index: int, time_s: float, stems: np.ndarray | None = None) -> bool:
        """Hand in a chunk of sound, float32 (n,) or (n, channels), -1..1, and its stems (n, MAX_STEMS), if any.

        `start_index` is the running number of its first sample, `time_s` when its newest was captured.
        """
        take = self._take
        return take is not None and take.audio(samples, start_index, time_s, stems)

    def log(self, time_s: float, kind: str, data: dict[str, Any]) -> bool:
        """Hand in a line for the control log; `data` is anything msgspec can write as JSON."""
        take = self._take
        return take is not None and take.log(time_s, kind, data)

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
        take = self._take
        return take.status if take else RecorderStatus()

    @property
    def finishing(self) -> bool:
        """Whether a session that was released is still being written."""
        return bool(self._finishing)

    @property
    def stalled(self) -> bool:
        """Whether a disk has not answered for a while."""
        return any(take.stalled for take in (*self._finishing, self._take) if take)

    def release(self) -> None:
        """End the session, if one runs: what was handed in is written by itself, and another may begin meanwhile."""
        with self._lock:
            if self._take:
                self._take.release()
                self._finishing.append(self._take)
            self._take = None

    def ended(self) -> list[SessionSummary]:
        """The sessions that were finished since the last call; those that never got a folder are left out."""
        with self._lock:
            ended = [take for take in self._finishing if take.ended]
            self._finishing = [take for take in self._finishing if take not in ended]
        return [take.summary for take in ended if take.summary]

    def stop(self, patience_s: float = PATIENCE_S) -> list[SessionSummary]:
        """As `release`, and wait, as long as the disk answers within `patience_s`; what `ended`, and what did not.

        The latter is left to itself: its files play as far as they are.
        """
        self.release()
        with self._lock:
            takes, self._finishing = self._finishing, []
        for take in takes:
            take.join(patience_s)
        return [take.summary for take in takes if take.summary]
