"""Sounds to learn from: spectrograms computed once, then composed into scenes of sound at every step.

Loudness, distance, mixtures, room, device colour, background and what was sounding before are all applied to decibels,
so one pool of spectrograms serves every step and nothing is transformed twice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from tpos_models.audio.spectrogram import columns_db, in_rows, mel_bands, relative
from tpos_models.errors import MissingFileError
from tpos_models.pocket.audio_networks import WINDOW
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.pocket.synth.sounds import NAMES, synthesise
from tpos_models.toml_data import read_toml
from tpos_models.training.audio.labelled import SUFFIXES, read_sound

BINS = WINDOW.n_fft // 2 + 1
AUDIBLE_DB = 25.0
"""A column belongs to the sound when it is at most this far below the clip's loudest."""

CENTRES = mel_bands(WINDOW.rows, BINS) @ np.arange(BINS)
"""Where each row lies, in bins."""


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """labels.toml: what each label is called, and labels of recordings that name a sound we already have."""

    phrases: dict[str, tuple[str, ...]]
    same_as: dict[str, str]


LABELS = read_toml(Path(__file__).with_name("labels.toml"), Labels)


def phrases(label: str) -> tuple[str, ...]:
    """The phrases a label is trained with, its plainest first."""
    return LABELS.phrases.get(label, (label.replace("_", " "),))


@dataclass(frozen=True)
class Clip:
    """One sound as decibels: `db` (rows, columns) float16, `active` the columns in which it is audible."""

    label: str
    db: np.ndarray
    active: np.ndarray
    real: bool
    group: str = ""


def to_clip(samples: np.ndarray, label: str, real: bool, group: str = "") -> Clip:
    """Compute a clip's spectrogram, rows as the network sees them."""
    db = in_rows(columns_db(np.pad(samples, WINDOW.n_fft // 2), WINDOW), WINDOW)
    level = 10 * np.log10(np.sum(10 ** (db / 10), axis=0))
    active = np.flatnonzero(level > max(level.max() - AUDIBLE_DB, -100.0))
    return Clip(label, db.astype(np.float16), active if active.size else np.arange(db.shape[1]), real, group)


def synthetic_clips(seeds: Iterable[int], seconds: float, names: Sequence[str] = NAMES) -> list[Clip]:
    """Every sound of `sounds.py` for every seed, in strengths that go through 0.2..1."""
    return [
        to_clip(synthesise(name, seconds, seed, strength=0.2 + 0.8 * (seed * 0.618 % 1)), name, real=False)
        for seed in seeds
        for name in names
        if name != "silence"
    ]


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


def recordings(folder: Path) -> list[Recording]:
    """Labelled recordings, one folder per label; raises MissingFileError where there are none."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise MissingFileError(f"{folder}: no labelled sounds; LABEL/NAME{', '.join(SUFFIXES)} would be accepted")
    return [Recording(path, LABELS.same_as.get(path.parent.name, path.parent.name)) for path in paths]


def recorded_clips(folder: Path, held_out: str = "") -> list[Clip]:
    """Recordings as clips, those left out whose names start with `held_out`."""
    return [
        to_clip(recording.read(), recording.label, real=True, group=recording.name)
        for recording in recordings(folder)
        if not held_out or not recording.path.name.startswith(held_out)
    ]


def attribution(folder: Path) -> list[str]:
    """The authors and licences in ATTRIBUTION.csv, one line a clip; empty where there is no such file."""
    table = folder / "ATTRIBUTION.csv"
    if not table.exists():
        return []
    with table.open(newline="") as rows:
        return [", ".join(row.values()) for row in csv.DictReader(rows)]


@dataclass(frozen=True)
class Batch:
    """`pictures` (B, N, rows, frames) in 0..1; `labels` (B, bank) sums to 1; `strengths` (B, conditions)."""

    pictures: np.ndarray
    labels: np.ndarray
    strengths: np.ndarray


class Composer:
    """Composes scenes of sound, `segments` long, from a pool of clips; holds no state between batches."""

    def __init__(
        self, clips: Sequence[Clip], segments: int = 1, real_share: float = 0.75, changes: float = 0.3
    ) -> None:
        self.segments = segments
        self._kinds = {"silence": 0.07, "two": 0.3, "change": changes, "one": 0.63 - changes}
        self.columns = segments * WINDOW.segment_frames
        self.bank = sorted({clip.label for clip in clips} | {"silence"})
        pools: dict[bool, dict[str, list[Clip]]] = {True: {}, False: {}}
        for clip in clips:
            pools[clip.real].setdefault(clip.label, []).append(clip)
        self._pools = {real: pool for real, pool in pools.items() if pool}
        self._real_share = real_share

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Compose `size` scenes."""
        scenes = [self._scene(rng) for _ in range(size)]
        power = _in_room(rng, np.stack([s[0] for s in scenes]))
        db = _compressed(rng, _coloured(rng, 10 * np.log10(power + np.float32(1e-12))))
        cut = db.reshape(size, WINDOW.rows, self.segments, WINDOW.segment_frames).swapaxes(1, 2)
        return Batch(relative(cut), np.stack([s[1] for s in scenes]), np.stack([s[2] for s in scenes]))

    def _draw(self, rng: np.random.Generator, like: Clip | None = None) -> Clip:
        """Any clip, every label as often as another; or another one of what `like` is."""
        real = True in self._pools and (False not in self._pools or rng.uniform() < self._real_share)
        pool = self._pools[like.real if like else real]
        clips = pool[like.label if like else sorted(pool)[rng.integers(len(pool))]]
        return clips[rng.integers(len(clips))]

    def _scene(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One scene (power, labels, strengths): what sounds now, one or two at once, after another or none."""
        labels, strengths = np.zeros(len(self.bank), np.float32), np.zeros(len(CONDITIONS), np.float32)
        kind = str(rng.choice(list(self._kinds), p=list(self._kinds.values())))
        if kind == "silence":
            labels[self.bank.index("silence")] = 1
            return at_level(background(rng, self.columns), rng.uniform(-170, -72)), labels, strengths
        level_db, start = rng.uniform(-46, -4), self._start(rng, kind)
        power = np.zeros((WINDOW.rows, self.columns), np.float32)
        if kind == "change":
            power += at_level(self._place(rng, self._draw(rng), 0), level_db + rng.normal(0, 6))
            power *= _fade_out(rng, start, self.columns)
        clip: Clip | None = None
        for below_db in (0.0, rng.uniform(0, 12)) if kind == "two" else (0.0,):
            clip = self._draw(rng, clip if rng.uniform() < 0.5 else None)
            power += at_level(self._place(rng, clip, start), level_db - below_db)
            labels[self.bank.index(clip.label)] += 10 ** (-below_db / 20)
            if clip.label in CONDITIONS:
                i = CONDITIONS.index(clip.label)
                strengths[i] = max(strengths[i], strength_of(below_db))
        noise = background(rng, self.columns)
        if rng.uniform() < 0.5:
            noise = at_level(noise, level_db - rng.uniform(8, 45))
        return power + noise, labels / labels.sum(), strengths

    def _start(self, rng: np.random.Generator, kind: str) -> int:
        """The column from which it sounds: 0, or a moment ago; mostly a very short one where another sound ended."""
        if kind == "change":
            longest = min(2 * WINDOW.segment_frames, self.columns) - 20
            return int(self.columns - 20 - longest * rng.uniform() ** 1.7)
        ago = int(rng.integers(20, WINDOW.segment_frames + 60)) if rng.uniform() > 0.6 else self.columns
        return max(0, self.columns - ago)

    def _place(self, rng: np.random.Generator, clip: Clip, start: int) -> np.ndarray:
        """A clip's power on a canvas, sounding from `start`, such that it is heard among the newest columns.

        Its speed and its pitch are shifted by up to a fifth, each for itself.
        """
        speed, pitch = np.exp(rng.uniform(-0.18, 0.18, 2))
        audible = int(clip.active[rng.integers(clip.active.size)])
        onset = start + int(rng.integers(0, 6)) if start else self.columns - int(rng.integers(8, WINDOW.segment_frames))
        source = (audible + (np.arange(start, self.columns) - onset) * speed).astype(int)
        if rng.uniform() < 0.5:
            source %= clip.db.shape[1]
        inside = (source >= 0) & (source < clip.db.shape[1])
        canvas = np.zeros((WINDOW.rows, self.columns), np.float32)
        db = at_pitch(clip.db[:, source[inside]].astype(np.float32), float(pitch))
        canvas[:, start:][:, inside] = np.exp(db * np.float32(np.log(10) / 10))
        return canvas


def at_pitch(db: np.ndarray, factor: float) -> np.ndarray:
    """Rows (rows, columns) moved up by a factor in frequency; what lies above the top row of the original is silent."""
    source = np.interp(CENTRES / factor, CENTRES, np.arange(WINDOW.rows), right=WINDOW.rows)
    low = np.minimum(source.astype(int), WINDOW.rows - 2)
    share = np.clip(source - low, 0, 1).astype(np.float32)[:, None]
    moved = db[low] * (1 - share) + db[low + 1] * share
    moved[source >= WINDOW.rows] -= 20
    return moved


def loudness_db(power: np.ndarray) -> float:
    """Level of the louder moments (90th percentile of columns)."""
    loudness = power.sum(axis=0)
    k = int(0.9 * (loudness.size - 1))
    return 10 * float(np.log10(np.partition(loudness, k)[k] + 1e-12))


def at_level(power: np.ndarray, level_db: float) -> np.ndarray:
    """Power scaled so that its louder moments have this level."""
    return power * np.float32(10 ** ((level_db - loudness_db(power)) / 10))


def strength_of(below_db: float) -> float:
    """How strong a picture a sound deserves that lies so far below the loudest: loudness itself is `magnitude`'s."""
    return float(np.clip(1 - below_db / 24, 0.0, 1.0))


def background(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Power of the noise floor of a room and a microphone: tilted, and grainy as noise is."""
    rows = np.arange(WINDOW.rows) / WINDOW.rows
    level_db = rng.uniform(-115, -88) - rng.uniform(0, 30) * rows + rng.uniform(0, 20) * np.exp(-8 * rows)
    grain = rng.standard_exponential((WINDOW.rows, columns), np.float32)
    return (10 ** (level_db / 10)).astype(np.float32)[:, None] * grain


def _fade_out(rng: np.random.Generator, stop: int, columns: int) -> np.ndarray:
    """Power gain that is 1 up to `stop` and then falls, at once or slowly."""
    return 10.0 ** (-rng.uniform(0.15, 3.0) * np.maximum(0, np.arange(columns) - stop)).astype(np.float32)


def _in_room(rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
    """A reverberant tail behind a fifth of the scenes (B, rows, columns): columns linger, falling by some dB each."""
    inside = np.flatnonzero(rng.uniform(size=len(power)) < 0.2)
    keep = 10 ** (-rng.uniform(0.07, 0.6, (len(inside), 1))).astype(np.float32)
    wet = 10 ** rng.uniform(-1.4, -0.4, (len(inside), 1)).astype(np.float32)
    rooms, tail = power[inside], np.zeros((len(inside), power.shape[1]), np.float32)
    for k in range(power.shape[2]):
        now = rooms[:, :, k].copy()
        rooms[:, :, k] += wet * tail
        tail = keep * np.maximum(tail, now)
    power[inside] = rooms
    return power


def _coloured(rng: np.random.Generator, db: np.ndarray) -> np.ndarray:
    """The colour of rooms, distances and devices: smooth curves over the rows, band limits."""
    rows = np.arange(db.shape[1]) / db.shape[1]
    size = (db.shape[0], 1)
    curve = np.zeros((db.shape[0], db.shape[1]))
    for k in range(1, 5):
        curve += rng.normal(0, 4.5 / k, size) * np.cos(np.pi * k * rows + rng.uniform(0, 6.28, size))
    curve -= np.where(rng.uniform(size=size) < 0.15, 90 * np.maximum(0, rows - rng.uniform(0.5, 1, size)), 0)
    curve -= np.where(rng.uniform(size=size) < 0.15, 90 * np.maximum(0, rng.uniform(0, 0.25, size) - rows), 0)
    return db + curve[:, :, None].astype(np.float32)


def _compressed(rng: np.random.Generator, db: np.ndarray) -> np.ndarray:
    """More or less contrast below the loudest point, as dynamics processors and distances leave it."""
    top_db = db.max((1, 2), keepdims=True)
    return top_db + (db - top_db) * rng.uniform(0.85, 1.15, (len(db), 1, 1)).astype(np.float32)


def spec_augment(rng: np.random.Generator, pictures: np.ndarray, masks: int = 2) -> np.ndarray:
    """SpecAugment (Park et al., 2019) as TPoS uses it: masks of at most 15 % of the bins and 30 % of the time."""
    out = pictures.copy()
    rows, columns = out.shape[-2:]
    for scene in out:
        for _ in range(masks):
            height, width = int(rng.uniform(0, 0.15) * rows), int(rng.uniform(0, 0.3) * columns)
            top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
            segment = rng.integers(scene.shape[0])
            scene[:, top : top + height] = 0
            scene[segment, :, left : left + width] = 0
    return out
