"""`tpos evaluate`: how well a film, or a recorded session's, follows its sound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.app.hear import name_sounds
from engine.core.console import Progress
from engine.recording.session import RECORD, VIDEO, open_session
from export.media.reading import VideoInfo, read_frames, read_sound, read_video_info
from tpos_models.errors import InputError, MediaError, MissingFileError
from tpos_models.metrics.clip import HubClip
from tpos_models.metrics.film import LEAST_FRAMES, Evaluation, evaluate
from tpos_models.stable_diffusion import hub


def evaluate_film(
    source: str, clip: Path | None, prompt: str | None, heard: str | None, progress: Progress
) -> Evaluation:
    """Measure a video file, or a session by its folder or name; raises `InputError`.

    `clip` is a folder of CLIP, by default the fetched one if any; without one there is no CLIP direction. `prompt` is
    by default the session's, `heard` what the built-in encoder hears most of.
    """
    video, shown = _find(source)
    info = read_video_info(video)
    if 0 < info.frames < LEAST_FRAMES:
        raise InputError(f"{video}: {info.frames} frames; a film of at least {LEAST_FRAMES} would be accepted")
    samples, rate = _sound(video, info)
    seeing = _open_clip(clip)
    if seeing is not None and heard is None:
        heard = name_sounds(samples, rate)
    frames = _watched(video, info, progress)
    return evaluate(frames, info.fps, samples, rate, seeing, prompt if prompt is not None else shown, heard or "")


def as_dict(measured: Evaluation) -> dict[str, Any]:
    """For --json: the measures; null where there is nothing to measure."""
    values = {key: value for key, value in asdict(measured).items() if key != "curves"}
    numbers = {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in values.items()}
    return {**numbers, "onsets": len(measured.curves.onsets_s), "peaks": len(measured.curves.peaks_s)}


def _find(source: str) -> tuple[Path, str]:
    """The film and the prompt it began with."""
    path = Path(source).expanduser()
    if path.is_file():
        return path, ""
    if (path / VIDEO).is_file() and not (path / RECORD).is_file():
        return path / VIDEO, ""
    if not path.exists() and path.name != source:
        raise MissingFileError(f"{path}: no such file; a video, or a session's folder or name would be accepted")
    session = open_session(path if path.is_dir() else source)
    prompts = session.states[0][1].prompts if session.states else ()
    return session.info.path / VIDEO, ", ".join(prompt.text for prompt in prompts)


def _sound(video: Path, info: VideoInfo) -> tuple[np.ndarray, int]:
    """Mono and its rate, of a film that has pictures and sound that is heard."""
    if not info.frames:
        raise MediaError(f"{video}: no pictures; a video with a sound track would be accepted")
    if not info.audio_codec:
        raise MediaError(f"{video}: no sound track; a video with one would be accepted")
    samples, rate = read_sound(video)
    mono = samples.mean(1)
    if not mono.size or float(np.abs(mono).max()) < 1e-4:
        raise InputError(f"{video}: its sound is silence; pictures can only be measured against something heard")
    return mono, rate


def _watched(video: Path, info: VideoInfo, progress: Progress) -> Iterator[np.ndarray]:
    for i, (_, frame) in enumerate(read_frames(video)):
        progress(i / info.frames)
        yield frame


def _open_clip(folder: Path | None) -> HubClip | None:
    found = folder or hub.cached(hub.CLIP)
    return HubClip(found) if found else None
