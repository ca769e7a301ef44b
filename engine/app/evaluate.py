"""`tpos evaluate`: how well a film, or a recorded session's, follows its sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.app.hear import hear_segments
from engine.core.console import Progress
from engine.recording.folders import video_of
from engine.recording.session import RECORD, open_session
from export.media.reading import VideoInfo, read_frames, read_sound, read_video_info
from tpos_models.errors import InputError, MediaError, MissingFileError
from tpos_models.metrics.clip import Clip, HubClip
from tpos_models.metrics.film import LEAST_FRAMES, Evaluation, evaluate
from tpos_models.stable_diffusion import hub


@dataclass(frozen=True)
class Source:
    """A film that can be measured, and the prompt it began with."""

    video: Path
    info: VideoInfo
    prompt: str


Watch = Callable[[int, np.ndarray], None]
"""Called with every frame's number and the frame, RGB uint8 (H, W, 3)."""


def open_clip(folder: Path | None) -> Clip | None:
    """The CLIP of a folder, by default the fetched one if any; raises `ModelError`."""
    found = folder or hub.cached(hub.CLIP)
    return HubClip(found) if found else None


def open_film(source: str) -> Source:
    """A video file, or a session by its folder or name; raises `InputError`."""
    video, prompt = _find(source)
    info = read_video_info(video)
    if not info.frames:
        raise MediaError(f"{video}: no pictures; a video with a sound track would be accepted")
    if info.frames < LEAST_FRAMES:
        raise InputError(f"{video}: {info.frames} frames; a film of at least {LEAST_FRAMES} would be accepted")
    return Source(video, info, prompt)


def evaluate_film(
    film: Source,
    clip: Clip | None,
    prompt: str | None,
    heard: str | None,
    progress: Progress,
    watch: Watch | None = None,
) -> Evaluation:
    """Measure a film; raises `InputError`. Without `clip` there are no measures of CLIP's.

    `prompt` is by default the session's, `heard` what the built-in encoder hears most of.
    """
    samples, rate = _sound(film)
    said, segments = hear_segments(samples, rate) if clip is not None else ("", ())
    frames = _watched(film, progress, watch)
    asked = film.prompt if prompt is None else prompt
    return evaluate(frames, film.info.fps, samples, rate, clip, asked, said if heard is None else heard, segments)


def as_dict(measured: Evaluation) -> dict[str, Any]:
    """For --json: the measures; null where there is nothing to measure."""
    names = ("fps", "frames", "av_align", "correlation", "lag_s", "lag_alias_s", "warp_error")
    values = {name: getattr(measured, name) for name in names}
    for name in ("score", "direction", "recall", "chance"):
        values[f"clip_{name}"] = getattr(measured.clip, name, None)
    values |= {"onsets": len(measured.curves.onsets_s), "peaks": len(measured.curves.peaks_s)}
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}


def _find(source: str) -> tuple[Path, str]:
    path = Path(source).expanduser()
    if path.is_file():
        return path, ""
    if video_of(path).is_file() and not (path / RECORD).is_file():
        return video_of(path), ""
    if not path.exists() and (path.name != source or path.suffix):
        raise MissingFileError(f"{path}: no such file; a video, or a session's folder or name would be accepted")
    session = open_session(path if path.is_dir() else source)
    prompts = session.states[0][1].prompts if session.states else ()
    return video_of(session.info.path), ", ".join(prompt.text for prompt in prompts)


def _sound(film: Source) -> tuple[np.ndarray, int]:
    """Mono and its rate, of a film with sound that is heard."""
    if not film.info.audio_codec:
        raise MediaError(f"{film.video}: no sound track; a video with one would be accepted")
    samples, rate = read_sound(film.video)
    mono = samples.mean(1)
    if not mono.size or float(np.abs(mono).max()) < 1e-4:
        raise InputError(f"{film.video}: its sound is silence; pictures can only be measured against something heard")
    return mono, rate


def _watched(film: Source, progress: Progress, watch: Watch | None) -> Iterator[np.ndarray]:
    for i, (_, frame) in enumerate(read_frames(film.video)):
        progress(i / film.info.frames)
        if watch is not None:
            watch(i, frame)
        yield frame
