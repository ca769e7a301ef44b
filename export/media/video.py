"""Shows to video files, through FFmpeg (PyAV).

Both kinds are MP4 with H.264 and AAC, or what `export.media.formats` has besides. A *live* one is written as fragments
of half a second, so that what is written plays after a crash at any moment, and what `sync` saw after a power cut;
closing it hides the fragments and leaves a plain file (`export.media.fragments`). A *finished* one (offline renders,
exports) is written beside its name and moved there when complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from export.media.formats import VideoFormat, choose_format, light
from export.media.fragments import FragmentIndex
from export.media.writing import AudioTrack, Sink, abandon, check_sound, writing
from tpos_models.errors import InputError

_BT709 = 1  # H.273's code for the matrix, the primaries and the transfer function alike
_LIVE_MP4 = {"movflags": "delay_moov+frag_keyframe+skip_trailer", "frag_duration": "500000", "flush_packets": "1"}
_FINISHED_MP4 = {"movflags": "faststart"}
_INTERLEAVE_US = "500000"  # a stalled sound stream holds back at most this much picture
_ONE_THREAD = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}  # older ones know no other number


class VideoWriter:
    """Writes one video file; owned by one thread.

    `size` is (width, height) of the pictures. An odd side gets its last row or column twice, because H.264 halves the
    colour planes; a picture of another size is scaled to fill the frame. Time 0 is the first audio sample, frames lie
    on the grid of 1 / `fps`. `sample_rate` None makes a silent film. `live` chooses the crash-safe kind and an encoder
    tuned for little CPU. `form` is H.264 unless asked otherwise. Raises InputError for what cannot be
    encoded, StorageError where the file cannot be written, MediaError where FFmpeg fails.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float,
        sample_rate: int | None = None,
        channels: int = 2,
        *,
        live: bool = False,
        form: VideoFormat | None = None,
    ) -> None:
        self.path = Path(path)
        _check(size, fps)
        self._form = form or choose_format(None, "format", self.path)
        if sample_rate is not None:
            check_sound("aac", sample_rate, channels)
        self.size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self.fps = Fraction(fps).limit_denominator(1001)
        self.frames = 0
        """Frames written, repeated ones included."""
        self._live = live
        self._last_slot = -1
        self._picture: av.VideoFrame | None = None
        self._convert = VideoReformatter()
        self._part = (
            self.path if live else self.path.with_name(f".{self.path.stem}.{os.getpid()}.part{self.path.suffix}")
        )
        with writing(self.path):
            self._sink = Sink(self._part, synced=live)
            self._index = FragmentIndex(self._part, self._sink) if live else None
        self._container = _open_container(self._sink, live, self._form.suffix[1:])
        self._stream = self._add_stream(self._form)
        self._track = AudioTrack(self._container, "aac", sample_rate, channels) if sample_rate else None
        self._open = True

    def _add_stream(self, form: VideoFormat) -> av.VideoStream:
        options = dict(form.live if self._live else form.finished)
        stream = self._container.add_stream(form.codec, rate=self.fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = self.size
        stream.pix_fmt = form.pixels
        context = stream.codec_context
        context.time_base = 1 / self.fps
        if not form.intra:
            context.gop_size = max(1, round(self.fps))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        if form.bits_per_pixel:
            context.bit_rate = round(self.size[0] * self.size[1] * self.fps * form.bits_per_pixel)
        return stream

    @property
    def size_bytes(self) -> int:
        """Bytes written."""
        return self._sink.size_bytes

    @property
    def audio_position(self) -> int:
        """The next audio sample to be written."""
        return self._track.position if self._track else 0

    def write_video(self, image: np.ndarray, pts_s: float) -> None:
        """Write one picture, RGB uint8 (height, width, 3), shown from `pts_s`, at least one frame after the last."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"picture {image.shape} {image.dtype}: (height, width, 3) uint8 is accepted")
        with self._writing():
            self._picture = self._to_yuv(image)
            self._encode(self._picture, pts_s)

    def repeat_video(self, pts_s: float) -> None:
        """Show the last picture once more, without converting it again."""
        if self._picture is None:
            raise InputError(f"no picture to repeat in {self.path.name}: write one first")
        with self._writing():
            self._encode(self._picture, pts_s)

    def write_audio(self, samples: np.ndarray, start_sample: int) -> None:
        """Write float samples (n, channels), -1..1, that begin at `start_sample`.

        A gap before them becomes silence; what was written already is cut off; NaN is silenced.
        """
        if self._track is None:
            raise InputError(f"{self.path.name} was opened without audio: give it a sample rate")
        with self._writing():
            self._track.write(samples, start_sample)

    def sync(self) -> None:
        """Wait until what was written is on the disk; any thread may call it. StorageError."""
        with writing(self.path):
            self._sink.sync()

    def _to_yuv(self, image: np.ndarray) -> av.VideoFrame:
        height, width = image.shape[:2]
        if (width + width % 2, height + height % 2) == self.size != (width, height):
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        pixels, order = (light(image), "rgba") if self._form.alpha else (np.ascontiguousarray(image), "rgb24")
        return self._convert.reformat(
            av.VideoFrame.from_ndarray(pixels, order),
            *self.size,
            format=self._form.pixels,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            **_ONE_THREAD,
        )

    def _encode(self, picture: av.VideoFrame, pts_s: float) -> None:
        slot = round(pts_s * self.fps)
        if slot <= self._last_slot:
            raise InputError(
                f"frame at {pts_s:.3f} s: later than {float(self._last_slot / self.fps):.3f} s is accepted"
            )
        self._last_slot = picture.pts = slot
        picture.time_base = 1 / self.fps
        self._container.mux(self._stream.encode(picture))
        if self._index:
            self._index.follow()
        self.frames += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self._open:
            raise InputError(f"{self.path.name} is closed: open another file")
        with writing(self.path):
            yield

    def close(self) -> None:
        """Finish the file; a second call does nothing. A finished file with no frame in it is not kept."""
        if not self._open:
            return
        try:
            if self.frames:
                self._finish()
        finally:
            self.abort()

    def _finish(self) -> None:
        with writing(self.path):
            self._container.mux(self._stream.encode(None))
            if self._track:
                self._track.flush()
            self._container.close()
            if self._index:
                self._index.finish()
                self._index.close()
            self._sink.close()
            os.replace(self._part, self.path)
        self._open = False

    def abort(self) -> None:
        """Stop here: a live file keeps what it has, a finished one leaves nothing behind."""
        if not self._open:
            return
        self._open = False
        abandon(self._container, self._sink)
        if self._index:
            self._index.close()
        if not (self._live and self.frames):
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The end of the block and Ctrl-C finish the file and keep it; any other error is an `abort`."""
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.abort()


def _check(size: tuple[int, int], fps: float) -> None:
    if min(size) < 2 or max(size) > 8192:
        raise InputError(f"video size {size[0]}x{size[1]}: 2x2 to 8192x8192 are accepted")
    if not 1 <= fps <= 240:
        raise InputError(f"{fps} frames per second: 1 to 240 are accepted")


def _open_container(sink: Sink, live: bool, kind: str) -> OutputContainer:
    options = {**(_LIVE_MP4 if live else _FINISHED_MP4), "max_interleave_delta": _INTERLEAVE_US}
    return av.open(sink, "w", format=kind, container_options=options)
