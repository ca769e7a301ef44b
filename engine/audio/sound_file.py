"""Sound files: anything libsndfile or FFmpeg reads, as blocks of float32."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile as sf

from export.media.reading import even_blocks
from tpos_models.errors import MediaError, MissingFileError

ACCEPTED = "WAV, FLAC, OGG, MP3, or anything FFmpeg reads"
_CHUNK_FRAMES = 2048


class AudioFile:
    """One readable sound file: `sample_rate`, `channels`, `duration_s` (0 where the container does not say).

    `warning` says in words what could not be read, "" so far as all is well; a damaged tail is known only after
    `chunks` has reached it. Raises MissingFileError, or MediaError for what no decoder takes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.warning = ""
        _check_readable(self.path)
        info = _soundfile_info(self.path)
        if info is not None:
            self._decode = self._soundfile_chunks
            self.sample_rate, self.channels, self._promised = info.samplerate, info.channels, info.frames
            self.duration_s = info.frames / info.samplerate
        else:
            self._decode = self._ffmpeg_chunks
            self.sample_rate, self.channels, self.duration_s = self._probe_ffmpeg()
            self._promised = 0  # what these containers say is an estimate
        self._warn_if_cut_short()

    def chunks(self) -> Iterator[np.ndarray]:
        """Decode from the start: float32 (n, channels), n as the decoder likes it; stops at damage and says so."""
        heard = 0
        for chunk in self._decode():
            heard += len(chunk)
            yield chunk
        if heard == 0:
            raise MediaError(f"{self.path}: holds no samples; give {ACCEPTED}")
        if heard < self._promised and not self.warning:
            self.warning = f"{self.path.name}: cut short, {heard / self.sample_rate:.2f} s could be read"

    def blocks(self, frames: int) -> Iterator[np.ndarray]:
        """The same, in blocks of exactly `frames`, but for the last."""
        return even_blocks(self.chunks(), frames)

    def _soundfile_chunks(self) -> Iterator[np.ndarray]:
        with sf.SoundFile(str(self.path)) as file:
            while True:
                try:
                    chunk = file.read(_CHUNK_FRAMES, dtype="float32", always_2d=True)
                except sf.LibsndfileError:
                    return
                if not len(chunk):
                    return
                yield chunk

    def _ffmpeg_chunks(self) -> Iterator[np.ndarray]:
        resampler = av.AudioResampler(format="fltp", rate=self.sample_rate)
        with av.open(str(self.path)) as container:
            try:
                for frame in container.decode(audio=0):
                    for part in resampler.resample(frame):
                        yield np.ascontiguousarray(part.to_ndarray().T, np.float32)
            except av.FFmpegError as error:
                self.warning = f"{self.path.name}: damaged, read up to there ({error.strerror})"

    def _probe_ffmpeg(self) -> tuple[int, int, float]:
        try:
            with av.open(str(self.path)) as container:
                if container.streams.audio:
                    stream = container.streams.audio[0]
                    seconds = stream.duration * stream.time_base if stream.duration and stream.time_base else 0
                    return stream.rate, stream.channels, float(seconds)
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise MediaError(f"{self.path}: not a sound file; give {ACCEPTED}") from error
        raise MediaError(f"{self.path}: has no sound in it; give {ACCEPTED}")

    def _warn_if_cut_short(self) -> None:
        with self.path.open("rb") as file:
            head = file.read(8)
        if head[:4] != b"RIFF":
            return
        promised, size = struct.unpack("<I", head[4:])[0] + 8, self.path.stat().st_size
        if size < promised < 0xFFFF_0000:
            self.warning = f"{self.path.name}: cut short, {self.duration_s:.2f} s could be read"


def _soundfile_info(path: Path) -> sf._SoundFileInfo | None:
    """What libsndfile says of the file, None where FFmpeg should read it: soundfile seeks after every chunk, and
    libsndfile's MP3 decoder does not come back to the same sample."""
    try:
        info = sf.info(str(path))
    except sf.LibsndfileError:
        return None
    return None if info.format == "MP3" else info


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise MissingFileError(f"{path}: no such file; give a sound file ({ACCEPTED})")
    if not path.is_file():
        raise MediaError(f"{path}: not a file; give a sound file ({ACCEPTED})")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: is empty; give a sound file ({ACCEPTED})")
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise MediaError(f"{path}: may not be read by this user") from error
