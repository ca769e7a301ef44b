"""What every media file we write is made of: the disk under it, its error border, and its sound."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from tpos_models.errors import InputError, MediaError, StorageError, TposError

_AAC_BITS_PER_CHANNEL = 96_000
_LAYOUTS = {1: "mono", 2: "stereo", 4: "quad"}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The border where Python's and FFmpeg's errors become ours: StorageError for the disk, MediaError otherwise."""
    try:
        yield
    except (StorageError, InputError):
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {reason}; a folder with space and permission is accepted") from error
    except FFmpegError as error:
        raise MediaError(f"cannot encode {path}: {error.strerror}") from error


def sync_file(descriptor: int) -> None:
    """Wait until what was written to an open file or folder outlives a power cut."""
    if sys.platform == "darwin":
        from fcntl import F_FULLFSYNC, fcntl  # fsync(2) there leaves it in the drive's own cache

        fcntl(descriptor, F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """The same of the names in a folder, where its file system knows such a thing."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync_file(descriptor)
        finally:
            os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, onto the disk; StorageError."""
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path.parent):
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                sync_file(file.fileno())
            os.replace(part, path)
            sync_folder(path.parent)
    except StorageError:
        with suppress(OSError):
            part.unlink()
        raise


class Sink:
    """The file under a container, opened at once; its errors come back as Python's own.

    FFmpeg writes nothing more after an error, so what is on the disk then stays as it is: whole writes, since players
    refuse a film that ends within the header of a fragment. With `synced` what is written over at the end, the head of
    the file, reaches the disk after all that it tells of.
    """

    def __init__(self, path: Path, synced: bool = False) -> None:
        self.name = str(path)
        self.size_bytes = 0
        """Bytes written."""
        self._synced = synced
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - lives as long as its writer

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(self.size_bytes)
            raise
        self.size_bytes = max(self.size_bytes, self._file.tell())
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = self._file.tell()
        to = self._file.seek(offset, whence)
        if self._synced and to < at:
            self.sync()
        return to

    def tell(self) -> int:
        return self._file.tell()

    def sync(self) -> None:
        """Wait until what was written is on the disk; any thread may, and a closed file is no error."""
        with suppress(ValueError):
            sync_file(self._file.fileno())

    def close(self) -> None:
        try:
            if self._synced:
                self.sync()
        finally:
            self._file.close()


def abandon(container: OutputContainer, sink: Sink) -> None:
    """Close a container after trouble, as far as it goes; never raises."""
    for close in (container.close, sink.close):
        with suppress(FFmpegError, OSError):
            close()


def check_sound(codec: str, sample_rate: int, channels: int) -> None:
    """InputError where `codec` cannot carry such sound."""
    layouts = [count for count in _LAYOUTS if codec == "flac" or count <= 2]
    if channels not in layouts:
        raise InputError(f"{channels} audio channels in {codec}: {' or '.join(map(str, layouts))} are accepted")
    rates = av.Codec(codec, "w").audio_rates
    if sample_rate < 1 or (rates and sample_rate not in rates):
        accepted = ", ".join(map(str, sorted(rates or ()))) or "a positive rate"
        raise InputError(f"{sample_rate} Hz audio in {codec}: {accepted} Hz is accepted")


class AudioTrack:
    """One audio stream without holes: a gap becomes silence, what overlaps is cut off.

    `codec` is "aac", or "flac" (24 bits); samples are float (n, channels), -1..1, sample 0 is time 0.
    """

    def __init__(self, container: OutputContainer, codec: str, sample_rate: int, channels: int) -> None:
        self.position = 0
        """The next sample to be written."""
        self._container = container
        self._rate, self._channels = sample_rate, channels
        self._layout = _LAYOUTS[channels]
        self._format = "s32" if codec == "flac" else "fltp"
        stream = container.add_stream(codec, rate=sample_rate)
        assert isinstance(stream, av.AudioStream)
        self._context = stream.codec_context
        self._context.layout = self._layout
        self._context.format = self._format
        if codec == "aac":
            self._context.bit_rate = _AAC_BITS_PER_CHANNEL * channels
        self._stream = stream

    def write(self, samples: np.ndarray, start_sample: int) -> None:
        """Write samples that begin at `start_sample`; NaN is silenced, what is too loud clipped."""
        if samples.ndim != 2 or samples.shape[1] != self._channels:
            raise InputError(f"audio of shape {samples.shape}: (samples, {self._channels}) is accepted")
        while (gap := start_sample - self.position) > 0:
            self._encode(np.zeros((min(gap, self._rate), self._channels), np.float32))
        if len(samples) > -gap:
            self._encode(np.clip(np.nan_to_num(samples[-gap:]), -1.0, 1.0))

    def flush(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))

    def _encode(self, samples: np.ndarray) -> None:
        pack = _as_s32 if self._format == "s32" else _as_planes
        frame = av.AudioFrame.from_ndarray(pack(samples), self._format, self._layout)
        frame.sample_rate = self._rate
        frame.pts = self.position
        frame.time_base = Fraction(1, self._rate)
        self._container.mux(self._stream.encode(frame))
        self.position += len(samples)


def _as_planes(samples: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(samples.T, dtype=np.float32)


def _as_s32(samples: np.ndarray) -> np.ndarray:
    """FLAC keeps the upper 24 of 32 bits."""
    return (np.round(samples.astype(np.float64) * (2**23 - 1)).astype(np.int32) << 8).reshape(1, -1)


class SoundWriter:
    """Writes raw sound as 24-bit FLAC; owned by one thread.

    The file can be read after a crash at any moment, to within 0.2 s, after a power cut to what `sync` saw. Errors as
    `VideoWriter`.
    """

    def __init__(self, path: str | Path, sample_rate: int, channels: int) -> None:
        check_sound("flac", sample_rate, channels)
        self.path = Path(path)
        with writing(self.path):
            self._sink = Sink(self.path, synced=True)
        self._container = av.open(self._sink, "w", format="flac", container_options={"flush_packets": "1"})
        self._track = AudioTrack(self._container, "flac", sample_rate, channels)
        self._open = True

    @property
    def size_bytes(self) -> int:
        """Bytes written."""
        return self._sink.size_bytes

    @property
    def position(self) -> int:
        """The next sample to be written."""
        return self._track.position

    def write(self, samples: np.ndarray, start_sample: int) -> None:
        """As `VideoWriter.write_audio`."""
        with writing(self.path):
            self._track.write(samples, start_sample)

    def sync(self) -> None:
        """As `VideoWriter.sync`."""
        with writing(self.path):
            self._sink.sync()

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        try:
            with writing(self.path):
                self._track.flush()
                self._container.close()
                self._sink.close()
        except TposError:
            abandon(self._container, self._sink)
            raise

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
