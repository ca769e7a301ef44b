"""One session being written: its files, its time axis, its counters."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from engine.core.stems import MAX_STEMS
from engine.recording.av_sync import FrameGrid, Placed, SoundAxis
from engine.recording.session import AUDIO, LOG, PRESET, STEMS, VIDEO, Counters, SessionRecord, write_record
from export.media.formats import VideoFormat
from export.media.video import VideoWriter
from export.media.writing import Sink, SoundWriter, sync_folder, write_synced, writing
from tpos_models.errors import StorageError, TposError

_SETTLE_S = 0.5  # pictures may come this much after their time and still get their own place
_SILENT_AFTER_S = 1.5  # no sound for so long: the device is gone, silence takes its place
_PROGRESS_S = 1.0
_MIB = 2**20


class SessionWriter:
    """Writes one session folder; owned by one thread, the recorder's. What `sync` saw outlives a power cut.

    `origin_s` is the moment, on the show's clock, that becomes time 0; recording breaks off when fewer than
    `spare_bytes` are left on the disk. Raises StorageError and MediaError.
    """

    def __init__(
        self,
        folder: Path,
        record: SessionRecord,
        preset: str,
        origin_s: float,
        spare_bytes: int,
        form: VideoFormat | None = None,
    ) -> None:
        self.folder = folder
        self.counters = Counters()
        """What was written so far; `offered` is the recorder's to count."""
        self.record = record
        self._spare_bytes = spare_bytes
        self._axis = SoundAxis(origin_s, record.sample_rate)
        self._grid = FrameGrid(record.fps)
        self._device_lost = False
        self._progress_s = origin_s
        write_record(folder, record)
        sound = (record.sample_rate, record.channels)
        write_synced(folder / PRESET, preset.encode())
        with writing(folder), ExitStack() as opened:
            film = (folder / VIDEO).with_suffix(form.suffix if form else ".mp4")
            video = VideoWriter(film, record.size, record.fps, *sound, live=True, form=form)
            self._video = opened.enter_context(video)
            self._sound = opened.enter_context(SoundWriter(folder / AUDIO, *sound))
            self._stems: SoundWriter | None = None
            self._log = opened.enter_context(closing(Sink(folder / LOG, synced=True)))
            sync_folder(folder)
            opened.pop_all()

    @property
    def seconds(self) -> float:
        """Length of the video so far."""
        return self._video.frames / self.record.fps

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        stems = self._stems.size_bytes if self._stems else 0
        return self._video.size_bytes + self._sound.size_bytes + stems + self._log.size_bytes

    def picture(self, image: np.ndarray, time_s: float) -> None:
        """Put a picture where its time lies in the sound."""
        self._show(self._grid.offer(image, self._axis.seconds(time_s)))

    def sound(self, samples: np.ndarray, start_index: int, time_s: float, stems: np.ndarray | None = None) -> None:
        """Append a chunk, and its stems (n, MAX_STEMS) beside it; what was lost before it becomes silence."""
        self._device_lost = False
        start = self._axis.place(start_index, len(samples), time_s)
        late = max(0, self._sound.position - start)
        self._write_sound(_with_channels(samples, self.record.channels), start)
        if stems is not None:
            self._stems = self._stems or self._new_stems()
            self._stems.write(stems[late:], start + late)

    def line(self, time_s: float, kind: str, data: msgspec.Raw) -> None:
        """Append a line to the control log."""
        entry = {"time_s": round(max(0.0, self._axis.seconds(time_s)), 6), "kind": kind, "data": data}
        with writing(self.folder / LOG):
            self._log.write(msgspec.json.encode(entry) + b"\n")
        self.counters = replace(self.counters, log_lines=self.counters.log_lines + 1)

    def keep_up(self, now_s: float) -> None:
        """Nothing waits to be written: keep the files moving up to shortly before now."""
        now = self._axis.seconds(now_s)
        if now - self._sound_s > _SILENT_AFTER_S:
            self._axis.forget()
            self._device_lost = True
        if self._device_lost:
            self._silence_until(now - _SETTLE_S)
        self._show(self._grid.advance(now - _SETTLE_S))

    def report(self, now_s: float) -> None:
        """Once a second: watch the disk, and log how far the files are."""
        if now_s - self._progress_s < _PROGRESS_S:
            return
        self._progress_s = now_s
        check_space(self.folder, self._spare_bytes)
        so_far = {"frames": self._video.frames, "size_bytes": self.size_bytes}
        self.line(now_s, "progress", msgspec.Raw(msgspec.json.encode(so_far)))

    def sync(self) -> None:
        """Wait until what was written is on the disk; from any thread. StorageError."""
        for file in (self._video, self._sound, self._stems):
            if file:
                file.sync()
        with writing(self.folder / LOG):
            self._log.sync()

    def finish(self, now_s: float) -> None:
        """Bring picture and sound to the same end and close the files; StorageError, MediaError."""
        end = self._axis.seconds(now_s)
        if end - self._sound_s > _SETTLE_S:
            self._silence_until(end)
        self._show(self._grid.finish(self._sound_s))
        self._video.close()
        self._sound.close()
        if self._stems:
            self._stems.close()
        with writing(self.folder / LOG):
            self._log.close()

    def abandon(self) -> None:
        """Close what is still open after trouble, as far as the disk allows; never raises."""
        for file in (self._video, self._sound, self._stems, self._log):
            with suppress(TposError, OSError):
                if file:
                    file.close()

    def _new_stems(self) -> SoundWriter:
        stems = SoundWriter(self.folder / STEMS, self.record.sample_rate, MAX_STEMS)
        with writing(self.folder):
            sync_folder(self.folder)
        return stems

    @property
    def _sound_s(self) -> float:
        return self._sound.position / self.record.sample_rate

    def _silence_until(self, seconds: float) -> None:
        nothing = np.zeros((0, self.record.channels), np.float32)
        self._write_sound(nothing, round(seconds * self.record.sample_rate))

    def _write_sound(self, samples: np.ndarray, start: int) -> None:
        silence_s = max(0, start - self._sound.position) / self.record.sample_rate
        self._sound.write(samples, start)
        self._video.write_audio(samples, start)
        self.counters = replace(self.counters, audio_s=self._sound_s, silence_s=self.counters.silence_s + silence_s)

    def _show(self, placed: list[Placed]) -> None:
        for slot, image in placed:
            pts_s = slot / self.record.fps
            if image is None and self._video.frames:
                self._video.repeat_video(pts_s)
            else:
                self._video.write_video(self._black() if image is None else image, pts_s)
            self._count(image is None)

    def _count(self, repeated: bool) -> None:
        c = self.counters
        self.counters = replace(
            c,
            written=c.written + (not repeated),
            repeated=c.repeated + repeated,
            late=self._grid.late,
            dropped={"rate": self._grid.replaced} if self._grid.replaced else {},
        )

    def _black(self) -> np.ndarray:
        width, height = self.record.size
        return np.zeros((height, width, 3), np.uint8)


def check_space(folder: Path, needed_bytes: int) -> None:
    """StorageError where fewer than `needed_bytes` are free."""
    with writing(folder):
        free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StorageError(f"disk nearly full: {free // _MIB} MiB free in {folder}, {needed_bytes // _MIB} are needed")


def _with_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    """Samples (n,) or (n, any) as (n, 1 or 2)."""
    samples = samples.reshape(len(samples), -1)
    if samples.shape[1] == channels:
        return samples
    return np.repeat(samples.mean(1, keepdims=True, dtype=np.float32), channels, axis=1)
