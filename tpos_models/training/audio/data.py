"""Sounds to learn from: spectrograms computed once, and what is known of each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from tpos_models.audio.spectrogram import columns_db, in_rows
from tpos_models.errors import MissingFileError
from tpos_models.pocket.audio_networks import WINDOW
from tpos_models.pocket.synth.sounds import NAMES, synthesise
from tpos_models.training.audio.labelled import SUFFIXES, read_sound
from tpos_models.training.audio.labels import GENERAL, label_of

AUDIBLE_DB = 25.0
"""A column belongs to the sound when it is at most this far below the clip's loudest."""

LEAST_CHANCE = 0.05
"""What a tagger thinks less likely is not there."""
SCORED_EVERY_S = 0.75
SCORED_EVERY = SCORED_EVERY_S * WINDOW.sample_rate / WINDOW.hop_length


class Kind(StrEnum):
    """Where a clip comes from: what of each is drawn how often is `Shares`'."""

    SYNTHETIC = "synthetic"
    LABELLED = "labelled"
    TAGGED = "tagged"
    MUSIC = "music"
    RENDERED = "rendered"


@dataclass(frozen=True)
class Clip:
    """One sound as decibels: `db` (rows, columns) float16, `active` the columns in which it is audible.

    `chances` (windows, names) 0..1 float16 say how sure it is that each of `names` sounds, window k in the segment that
    ends `(k + 1) * SCORED_EVERY_S` after the clip's start; one window says it of the whole clip. `label` is what it is
    filed under.
    """

    label: str
    db: np.ndarray
    active: np.ndarray
    kind: Kind
    group: str
    names: tuple[str, ...]
    chances: np.ndarray

    def heard_at(self, column: int) -> np.ndarray:
        """The chances (names,) of the segment that ends at a column."""
        window = round(column / SCORED_EVERY - 1)
        return self.chances[min(max(window, 0), len(self.chances) - 1)]


def to_clip(samples: np.ndarray, label: str, kind: Kind, group: str = "") -> Clip:
    """Compute the spectrogram of what is one sound throughout, rows as the network sees them."""
    db = decibels(samples)
    return Clip(label, db, audible_columns(db), kind, group, (label,), np.ones((1, 1), np.float16))


def decibels(samples: np.ndarray) -> np.ndarray:
    """The whole spectrogram, rows as the network sees them: float16 (rows, 1 + n // hop)."""
    return in_rows(columns_db(np.pad(samples, WINDOW.n_fft // 2), WINDOW), WINDOW).astype(np.float16)


def audible_columns(db: np.ndarray) -> np.ndarray:
    """The columns of a spectrogram in which its sound is heard: all, where that is none."""
    level = 10 * np.log10(np.sum(10 ** (db.astype(np.float32) / 10), axis=0))
    active = np.flatnonzero(level > max(level.max() - AUDIBLE_DB, -100.0))
    return active if active.size else np.arange(db.shape[1])


def tagged_clip(db: np.ndarray, scores: np.ndarray, names: Sequence[str], group: str, kind: Kind | None = None) -> Clip:
    """A clip of which taggers say what it is: `scores` (windows, names) 0..1.

    Without a kind it is music where that is what it mostly is, else filed under its surest class that says something.
    """
    labels = [label_of(name) for name in names]
    own = tuple(dict.fromkeys(labels))
    chances = np.zeros((len(scores), len(own)), np.float32)
    for k, label in enumerate(labels):
        at = own.index(label)
        chances[:, at] = np.maximum(chances[:, at], scores[:, k])
    chances[chances < LEAST_CHANCE] = 0
    mean = chances.mean(0)
    likeliest = [own[k] for k in np.argsort(-mean) if own[k] not in GENERAL and mean[k] > 0]
    musical = "music" in own and mean[own.index("music")] > 0.5 and db.shape[1] > 4 * WINDOW.segment_frames
    kind = kind or (Kind.MUSIC if musical else Kind.TAGGED)
    label = str(kind) if kind in (Kind.MUSIC, Kind.RENDERED) else next(iter(likeliest), "silence")
    return Clip(label, db, audible_columns(db), kind, group, own, chances.astype(np.float16))


def synthetic_sounds(
    seeds: Iterable[int], seconds: float, names: Sequence[str] = NAMES
) -> Iterator[tuple[str, np.ndarray]]:
    """Every sound of `sounds.py` by name, for every seed, in strengths that go through 0.2..1."""
    for seed in seeds:
        for name in names:
            if name != "silence":
                yield name, synthesise(name, seconds, seed, strength=0.2 + 0.8 * (seed * 0.618 % 1))


def synthetic_clips(seeds: Iterable[int], seconds: float, names: Sequence[str] = NAMES) -> list[Clip]:
    """Those sounds as clips."""
    return [to_clip(samples, name, Kind.SYNTHETIC) for name, samples in synthetic_sounds(seeds, seconds, names)]


@dataclass(frozen=True)
class Recording:
    """A labelled file; `label` is that of the sound it is, where synthesised ones are called otherwise."""

    path: Path
    label: str

    @property
    def name(self) -> str:
        """LABEL/NAME.wav."""
        return f"{self.path.parent.name}/{self.path.name}"

    def read(self) -> np.ndarray:
        """Mono float32 at the encoder's rate; raises MediaError."""
        return read_sound(self.path, WINDOW.sample_rate)


def recordings(folder: Path, held_out: Sequence[str] = ()) -> list[Recording]:
    """Labelled recordings, one folder per label, those left out whose names start with one of `held_out`.

    Raises MissingFileError where there are none.
    """
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise MissingFileError(f"{folder}: no labelled sounds; LABEL/NAME{', '.join(SUFFIXES)} would be accepted")
    kept = [path for path in paths if not path.name.startswith(tuple(held_out))]
    return [Recording(path, label_of(path.parent.name)) for path in kept]


def recorded_clips(folder: Path, held_out: Sequence[str] = ()) -> list[Clip]:
    """Recordings as clips; see `recordings`."""
    return [
        to_clip(recording.read(), recording.label, Kind.LABELLED, recording.name)
        for recording in recordings(folder, held_out)
    ]


def attribution(folder: Path, names: Sequence[str]) -> list[str]:
    """The authors and licences of these clips in ATTRIBUTION.csv, a line each; empty where there is no such file."""
    table = folder / "ATTRIBUTION.csv"
    if not table.exists():
        return []
    with table.open(newline="") as rows:
        return [", ".join(row.values()) for row in csv.DictReader(rows) if next(iter(row.values())) in names]
