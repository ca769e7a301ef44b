"""Video and sound files back to arrays, whole or cut short by a crash."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError

from tpos_models.errors import MediaError, MissingFileError


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, counted packet by packet; a part that is absent has zeros."""

    codec: str
    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    """End of the last frame."""
    audio_codec: str
    sample_rate: int
    channels: int
    audio_duration_s: float
    """End of the last sound."""


def read_video_info(path: str | Path) -> VideoInfo:
    """Count a video file through; works on one that a crash cut short. Raises MissingFileError, MediaError."""
    with _opened(path) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        frames, ends_s = 0, [0.0] * len(container.streams)
        for packet in _until_damage(container.demux()):
            if packet.pts is None or packet.time_base is None:
                continue
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            ends_s[packet.stream_index] = max(ends_s[packet.stream_index], end_s)
            frames += video is not None and packet.stream_index == video.index
        return VideoInfo(
            codec=video.codec_context.name if video else "",
            width=video.width if video else 0,
            height=video.height if video else 0,
            fps=float(video.average_rate or 0) if video else 0.0,
            frames=frames,
            duration_s=ends_s[video.index] if video else 0.0,
            audio_codec=audio.codec_context.name if audio else "",
            sample_rate=audio.codec_context.sample_rate if audio else 0,
            channels=audio.codec_context.channels if audio else 0,
            audio_duration_s=ends_s[audio.index] if audio else 0.0,
        )


def read_frames(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """Each frame as (time in seconds, RGB uint8 (height, width, 3)), up to the end or the damage."""
    with _opened(path) as container:
        for frame in _until_damage(container.decode(video=0)):
            yield float(frame.time), upright(frame.to_ndarray(format="rgb24"), frame)


def upright(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """A frame's image (height, width, 3) as its film is to be shown: phones write theirs lying on their side."""
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))  # both count against the clock


def read_grey(path: str | Path, size: tuple[int, int]) -> Iterator[tuple[float, np.ndarray]]:
    """Each frame as (time in seconds, brightness uint8 (height, width)), scaled to `size`; errors as the last frame."""
    with _opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"no picture in {path}: a video is accepted")
        for frame in _until_damage(container.decode(video=0)):
            small = frame.reformat(*size, format="gray", interpolation="AREA")
            yield float(frame.time or 0.0), small.to_ndarray()


def film_rate(path: str | Path) -> float:
    """Pictures a second of a film; raises MissingFileError, MediaError."""
    with _opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"no picture in {path}: a film is accepted")
        return float(container.streams.video[0].average_rate or 25)


def loop_frames(path: str | Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """Each frame and its time in seconds, the film over and over; of a damaged one what can be read."""
    apart_s = 1 / film_rate(path)
    with _opened(path) as container:
        lap_s = time_s = -apart_s
        while True:
            first_s: float | None = None
            lap_s = time_s + apart_s
            for frame in _until_damage(container.decode(video=0)):
                own_s = float(frame.time or 0.0)
                first_s = own_s if first_s is None else first_s
                time_s = lap_s + own_s - first_s
                yield time_s, frame
            if first_s is None:
                return
            container.seek(0)


def read_last_frame(path: str | Path) -> np.ndarray:
    """The last frame, RGB uint8 (height, width, 3), found from the end; raises MissingFileError, MediaError."""
    with _opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"no picture in {path}: a video is accepted")
        if container.duration:
            container.seek(max(0, container.duration - 5 * av.time_base))
        last = _last(_until_damage(container.decode(video=0)))
        if last is None:
            container.seek(0)
            last = _last(_until_damage(container.decode(video=0)))
        if last is None:
            raise MediaError(f"no picture in {path}: a video with a frame that can be read is accepted")
        return upright(last.to_ndarray(format="rgb24"), last)


def _last(frames: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
    newest = deque(frames, maxlen=1)
    return newest[0] if newest else None


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """The whole sound, float32 (samples, channels), and its rate (see `sound_blocks`)."""
    rates, blocks = zip(*sound_blocks(path), strict=True)
    return np.concatenate(blocks), rates[0]


def sound_blocks(path: str | Path, least_s: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and samples, float32 (n, channels), block by block up to the end or the damage; sample 0 is time 0.

    There is a block at least, of no samples where there are none. Raises MissingFileError, MediaError; with `least_s`
    also where it ends earlier, or a part before its end is damaged.
    """
    with _opened(path) as container:
        if not container.streams.audio:
            raise MediaError(f"no sound in {path}: a file with an audio stream is accepted")
        stream = container.streams.audio[0]
        to_float, count, early = AudioResampler(format="fltp"), 0, 0
        for decoded in _until_damage(container.decode(stream)):
            if least_s is not None and round((decoded.time or 0) * decoded.sample_rate) != count:
                raise MediaError(f"{path} is damaged {count / decoded.sample_rate:.1f} s from its start")
            rate = stream.codec_context.sample_rate  # of some known only now
            if not count:
                lead = round((decoded.time or 0) * rate)
                early = max(-lead, 0)
                yield rate, np.zeros((max(lead, 0), stream.codec_context.channels), np.float32)
            count += decoded.samples
            for frame in to_float.resample(decoded):
                yield rate, np.ascontiguousarray(frame.to_ndarray().T[early:], np.float32)
                early = max(early - frame.samples, 0)
        if least_s is not None and count < least_s * stream.codec_context.sample_rate:
            raise MediaError(f"{path} ends after {count / stream.codec_context.sample_rate:.1f} s")
        if not count:
            yield stream.codec_context.sample_rate, np.zeros((0, stream.codec_context.channels), np.float32)


def even_blocks(blocks: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    """Samples (n, channels) in blocks of exactly `frames`, but for the last."""
    rest: np.ndarray | None = None
    for block in blocks:
        rest = block if rest is None or not len(rest) else np.concatenate([rest, block])
        whole = len(rest) // frames * frames
        yield from (rest[i : i + frames] for i in range(0, whole, frames))
        rest = rest[whole:]
    if rest is not None and len(rest):
        yield rest


@contextmanager
def _opened(path: str | Path) -> Iterator[InputContainer]:
    if not Path(path).is_file():
        raise MissingFileError(f"no file {path}: a video or sound file is accepted")
    try:
        with av.open(str(path)) as container:
            yield container
    except FFmpegError as error:
        raise MediaError(f"cannot read {path}: {error.strerror}") from error


def _until_damage(items: Iterator) -> Iterator:
    """A crash leaves half a packet at the end: what comes before it counts."""
    try:
        yield from items
    except FFmpegError:
        return
