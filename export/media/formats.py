"""What a film is written in, by a word: for the web, for people who edit, for small files, by an NVIDIA GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from tpos_models.errors import InputError

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells of errors only
Options = Mapping[str, str]


@dataclass(frozen=True)
class VideoFormat:
    """One of them: its word, its encoder, the names of its files, its pixels, and what the encoder is told.

    `live` says it for shows that are drawn meanwhile, `finished` for all others. With `alpha` black is transparent.
    """

    word: str
    codec: str
    suffix: str = ".mp4"
    pixels: str = "yuv420p"
    live: Options = field(default_factory=dict)
    finished: Options = field(default_factory=dict)
    alpha: bool = False
    bits_per_pixel: float = 0.0
    """Where the encoder has no measure of quality."""

    @property
    def intra(self) -> bool:
        """Every picture stands alone."""
        return self.suffix == ".mov"


_LIVE_X264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "21", "threads": "1"}
_FINISHED_X264 = {"preset": "veryfast", "crf": "16", "mbtree": "0"}
"""Without x264's macroblock tree: with AVX-512 it makes another file of the same pictures at every run."""
_422, _4444 = {"profile": "standard"}, {"profile": "4444", "alpha_bits": "16"}
_NVENC = {"preset": "p4", "rc": "constqp", "qp": "20"}

H264 = VideoFormat("h264", "libx264", live=_LIVE_X264, finished=_FINISHED_X264)
PLAIN = VideoFormat("h264", "mpeg4", bits_per_pixel=0.25)
"""Where FFmpeg lacks the first."""
FORMATS: dict[str, VideoFormat] = {
    form.word: form
    for form in (
        H264,
        VideoFormat("prores", "prores_ks", ".mov", "yuv422p10le", _422, _422),
        VideoFormat("prores4444", "prores_ks", ".mov", "yuva444p10le", _4444, _4444, alpha=True),
        VideoFormat("av1", "libsvtav1", live={"preset": "12", "crf": "32"}, finished={"preset": "8", "crf": "22"}),
        VideoFormat("nvenc", "h264_nvenc", live=_NVENC, finished=_NVENC),
        VideoFormat("av1-nvenc", "av1_nvenc", live=_NVENC, finished=_NVENC),
    )
}


def choose_format(word: str | None, option: str, film: Path | None = None) -> VideoFormat:
    """The format of a word, opened once to see that this machine has it; None is H.264, or ProRes for a .mov.

    Raises InputError where there is none, it cannot be had here, or the `film`'s name is not one of its files'.
    """
    if word is None:
        word = "prores" if film is not None and film.suffix.lower() == ".mov" else "h264"
    if word not in FORMATS:
        raise InputError(f"--{option} {word}: {', '.join(FORMATS)} would be accepted")
    form = FORMATS[word]
    if film is not None and film.suffix.lower() != form.suffix:
        raise InputError(f"video file {film.name}: a name ending in {form.suffix} is accepted for {word}")
    if form is H264:
        return H264 if H264.codec in av.codecs_available else PLAIN
    if why := _missing(form):
        had = [other for other, known in FORMATS.items() if other != word and not _missing(known)]
        absent = f"{form.codec} cannot be opened here ({why})"
        raise InputError(f"--{option} {word}: {absent}; {', '.join(had)} would be accepted")
    return form


def _missing(form: VideoFormat) -> str:
    """Why this machine cannot encode it, "" where it can."""
    if form.codec not in av.codecs_available:
        return "this FFmpeg lacks it"
    try:
        context = av.VideoCodecContext.create(form.codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width = context.height = 256
        context.pix_fmt, context.framerate, context.time_base = form.pixels, Fraction(30), Fraction(1, 30)
        context.options = dict(form.live)
        context.open()
    except (FFmpegError, OSError) as error:
        return error.strerror or str(error)
    return ""


def light(image: np.ndarray) -> np.ndarray:
    """RGB uint8 (h, w, 3) as RGBA with straight alpha, the largest of the colours: over black it is what it was."""
    alpha = image.max(-1, keepdims=True)
    colour = np.rint(255.0 * image / np.maximum(alpha, 1))
    return np.concatenate([colour.astype(np.uint8), alpha], -1)
