"""Labelled recordings on disk, VGGSound's table and folders named by label, and what is held out of them."""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from tpos_models.errors import MediaError, MissingFileError

log = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".mp4", ".mkv", ".webm")
"""The sound of a video counts; of one clip in several formats the first of these is taken."""
TABLE = "vggsound.csv"
SPLITS = {"train": False, "test": True, "val": True}
"""Whether a split is held out of training."""
HELD_OUT_EVERY = 10


@dataclass(frozen=True)
class Labelled:
    """One recording, what it is called, and whether it is kept for validation."""

    path: Path
    label: str
    held_out: bool = False


def labelled_sounds(folder: Path) -> list[Labelled]:
    """The recordings of a folder, in one order on every machine.

    With a vggsound.csv (Chen et al., 2020) those of its clips that are there, named ID_SSSSSS.wav (or .mp4 ...) at any
    depth, in its own splits. Else LABEL/NAME.wav below train/ and test/, as Landscape; or LABEL/NAME.wav alone, where
    every tenth of a label is held out, and the last of a shorter one. Raises `MissingFileError` when there are none.
    """
    table = folder / TABLE
    sounds = list(_of_table(table)) if table.is_file() else _of_splits(folder) or _of_labels(folder)
    if not sounds:
        raise MissingFileError(
            f"{folder}: no labelled sounds; LABEL/NAME{', '.join(SUFFIXES)}, or {TABLE} and its clips were expected"
        )
    return sounds


def _of_table(table: Path) -> Iterator[Labelled]:
    files = sorted(_sounds(table.parent, "**/*"), key=lambda path: -SUFFIXES.index(path.suffix.lower()))
    clips = {path.stem: path for path in files}
    rows = absent = 0
    with table.open(newline="", encoding="utf-8") as lines:
        for rows, row in enumerate(csv.reader(lines), 1):
            try:
                youtube, start_s, label, split = row
                name, held_out = f"{youtube}_{int(start_s):06d}", SPLITS[split]
            except (ValueError, KeyError) as error:
                raise MediaError(
                    f"{table}, line {rows}: a YouTube id, whole seconds, a label, and train or test were expected"
                ) from error
            absent += name not in clips
            if name in clips:
                yield Labelled(clips[name], label, held_out)
    if absent:
        log.warning("%s: %d of its %d clips are not here", table, absent, rows)


def _of_splits(folder: Path) -> list[Labelled]:
    return [
        Labelled(path, _label(path), held_out)
        for split, held_out in SPLITS.items()
        for path in _sounds(folder / split, "*/*")
    ]


def _of_labels(folder: Path) -> list[Labelled]:
    labels = defaultdict(list)
    for path in _sounds(folder, "*/*"):
        labels[_label(path)].append(path)
    return [
        Labelled(path, label, k > 0 and (len(paths) - 1 - k) % HELD_OUT_EVERY == 0)
        for label, paths in labels.items()
        for k, path in enumerate(paths)
    ]


def _sounds(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES)


def _label(path: Path) -> str:
    return path.parent.name.replace("_", " ")


def read_sound(path: Path, sample_rate: int) -> np.ndarray:
    """Mono float32 (n,) at a rate in Hz, as `read_file` reads it."""
    samples, rate = read_file(path)
    return soxr.resample(samples.mean(axis=1), rate, sample_rate)


def read_file(path: Path) -> tuple[np.ndarray, int]:
    """Float32 (n, channels) and the rate in Hz of what libsndfile or FFmpeg can read, n > 0; raises `MediaError`."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples, rate = _decoded(path)
    if not samples.size:
        raise MediaError(f"{path}: holds no sound")
    return samples, rate


def _decoded(path: Path) -> tuple[np.ndarray, int]:
    """The first sound of anything that FFmpeg opens: float32 (n, channels), and its rate in Hz."""
    try:
        with av.open(str(path)) as container:
            planar = av.AudioResampler("fltp")
            frames = [part for frame in container.decode(audio=0) for part in planar.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T, frames[0].sample_rate
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"{path}: not a readable sound; {', '.join(SUFFIXES)} would be accepted") from error
