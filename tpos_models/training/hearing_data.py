"""Sounds to learn from: spectrograms computed once, then composed into scenes of sound at every step.

Loudness, distance, mixtures, room, device colour, background and what was sounding before are all applied to decibels,
so one pool of spectrograms serves every step and nothing is transformed twice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tpos_models.contracts import AudioWindow
from tpos_models.errors import MediaError, MissingFileError
from tpos_models.pocket.hearing import STRONGEST
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.pocket.sounds import NAMES, synthesise
from tpos_models.spectrogram import RANGE_DB, columns_db, resize

WINDOW = AudioWindow()
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
AUDIBLE_DB = 25.0
"""A column belongs to the sound when it is at most this far below the clip's loudest."""

PHRASES: dict[str, tuple[str, ...]] = {
    "fire": ("fire", "crackling fire", "a campfire burning", "flames", "burning wood"),
    "rain": ("rain", "rain falling", "heavy rain", "rainfall", "a rain shower"),
    "thunder": ("thunder", "thunder and lightning", "a thunderclap", "a thunderstorm rumbling"),
    "snow": ("snow", "footsteps in snow", "walking on crunching snow", "snowfall"),
    "wind": ("wind", "strong wind blowing", "wind howling", "a gust of wind"),
    "waves": ("waves", "sea waves", "ocean waves", "waves on the beach"),
    "fog": ("fog", "a foghorn", "a ship's horn in the fog", "mist"),
    "sunset": ("sunset", "cicadas at sunset", "a warm evening", "dusk"),
    "night": ("night", "crickets at night", "an owl at night", "crickets chirping"),
    "sunny": ("sunny", "birds singing", "birdsong on a sunny day", "birds chirping", "sunny weather"),
    "bubbles": ("bubbles", "underwater bubbles", "bubbling water", "under water"),
    "explosion": ("explosion", "an explosion", "a volcano erupting", "a bomb blast"),
    "splash": ("splash", "water splashing", "splashing water", "something falls into water"),
    "aurora": ("aurora", "northern lights", "shimmering bells", "wind chimes"),
    "kick": ("kick drum", "a kick drum", "a bass drum", "drums"),
    "hats": ("hi-hats", "cymbals", "a hi-hat"),
    "bass": ("bass line", "a bass line", "a bass guitar", "a synth bass"),
    "pad": ("synth pad", "a synth pad", "a synthesizer chord", "a sustained synthesizer"),
    "voice": ("voice", "a voice singing", "a person singing", "a human voice"),
    "sweep": ("noise sweep", "a noise sweep", "a whoosh"),
    "beat": ("dance music", "a drum beat", "a techno beat", "club music"),
    "silence": ("silence", "a quiet room", "quiet"),
    "baby_cry": ("crying baby", "a baby crying", "baby cry"),
    "chainsaw": ("chainsaw", "a chainsaw cutting wood", "a chainsaw"),
    "clock_tick": ("clock ticking", "a ticking clock", "clock tick"),
    "dog_bark": ("dog barking", "a barking dog", "dog bark", "dog"),
    "helicopter": ("helicopter", "a helicopter flying", "a helicopter"),
    "rooster": ("rooster crowing", "a rooster", "rooster"),
    "sneeze": ("sneezing", "a person sneezing", "a sneeze"),
}
"""What each label is called; a label without a line here is called by its own name."""

SAME_AS = {"fire_crackling": "fire", "sea_waves": "waves"}
"""Labels of recordings that name a sound we already have."""


def phrases(label: str) -> tuple[str, ...]:
    """The phrases a label is trained with, its plainest first."""
    return PHRASES.get(label, (label.replace("_", " "),))


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
    db = resize(columns_db(np.pad(samples, WINDOW.n_fft // 2), WINDOW), WINDOW.rows)
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

    def read(self, speed: float = 1.0) -> np.ndarray:
        """Mono float32 at the encoder's rate, played at `speed`; raises MediaError."""
        try:
            samples, rate = soundfile.read(self.path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise MediaError(f"{self.path}: not a readable sound; {', '.join(SUFFIXES)} would be accepted") from error
        return soxr.resample(samples.mean(axis=1), rate * speed, WINDOW.sample_rate)


def recordings(folder: Path) -> list[Recording]:
    """Labelled recordings, one folder per label; raises MissingFileError where there are none."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise MissingFileError(f"{folder}: no labelled sounds; LABEL/NAME{', '.join(SUFFIXES)} would be accepted")
    return [Recording(path, SAME_AS.get(path.parent.name, path.parent.name)) for path in paths]


def recorded_clips(folder: Path, held_out: str = "", speeds: Sequence[float] = (1.0,)) -> list[Clip]:
    """Recordings as clips at every speed, those left out whose names start with `held_out`."""
    return [
        to_clip(recording.read(speed), recording.label, real=True, group=recording.name)
        for recording in recordings(folder)
        if not held_out or not recording.path.name.startswith(held_out)
        for speed in speeds
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
    """Composes scenes of sound from a pool of clips; holds no state between batches."""

    def __init__(self, clips: Sequence[Clip], segments: int, real_share: float = 0.7, changes: float = 0.2) -> None:
        self.segments = segments
        self._kinds = {"silence": 0.06, "two": 0.14, "change": changes, "one": 0.8 - changes}
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
        db = _coloured(rng, 10 * np.log10(power + 1e-12))
        pictures = np.clip(db / RANGE_DB + 1, 0, 1)
        cut = pictures.reshape(size, WINDOW.rows, self.segments, WINDOW.segment_frames).swapaxes(1, 2)
        return Batch(np.ascontiguousarray(cut), np.stack([s[1] for s in scenes]), np.stack([s[2] for s in scenes]))

    def _draw(self, rng: np.random.Generator) -> Clip:
        real = True in self._pools and (False not in self._pools or rng.uniform() < self._real_share)
        pool = self._pools[real]
        clips = pool[sorted(pool)[rng.integers(len(pool))]]
        return clips[rng.integers(len(clips))]

    def _scene(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One scene (power, labels, strengths): what sounds now, one or two at once, after another or none."""
        power = background(rng, self.columns)
        labels = np.zeros(len(self.bank), np.float32)
        strengths = np.zeros(len(CONDITIONS), np.float32)
        kind = rng.choice(list(self._kinds), p=list(self._kinds.values()))
        start = 0 if rng.uniform() < 0.6 else max(0, self.columns - int(rng.integers(30, WINDOW.segment_frames + 60)))
        if kind == "change":
            heard = min(2 * WINDOW.segment_frames, self.columns) - 30
            start = self.columns - 30 - int(heard * rng.uniform() ** 2.5)  # mostly what began a moment ago
            power += self._place(rng, self._draw(rng), 0) * _fade_out(rng, start, self.columns)
        target_db = rng.uniform(-46, -4)
        for k in range({"silence": 0, "two": 2}.get(str(kind), 1)):
            clip = self._draw(rng)
            sound = self._place(rng, clip, start)
            quieter_db = abs(rng.normal(0, 5)) if k else 0.0
            sound *= 10 ** ((target_db - quieter_db - loudness_db(sound)) / 10)
            level_db = loudness_db(sound[:, -WINDOW.segment_frames :])
            labels[self.bank.index(clip.label)] += 10 ** (-quieter_db / 20)
            if clip.label in CONDITIONS:
                i = CONDITIONS.index(clip.label)
                strengths[i] = max(strengths[i], strength_of(level_db))
            power += sound
        if not labels.any():
            labels[self.bank.index("silence")] = 1
        return power, labels / labels.sum(), strengths

    def _place(self, rng: np.random.Generator, clip: Clip, start: int) -> np.ndarray:
        """A clip's power on a canvas, sounding from `start`, such that it is heard among the newest columns."""
        audible = int(clip.active[rng.integers(clip.active.size)])
        lands = start + int(rng.integers(0, 6)) if start else self.columns - int(rng.integers(10, 120))
        source = np.arange(start, self.columns) + audible - lands
        if rng.uniform() < 0.5:
            source %= clip.db.shape[1]
        inside = (source >= 0) & (source < clip.db.shape[1])
        canvas = np.zeros((WINDOW.rows, self.columns), np.float32)
        canvas[:, start:][:, inside] = 10 ** (clip.db[:, source[inside]].astype(np.float32) / 10)
        return canvas


def loudness_db(power: np.ndarray) -> float:
    """Level of the louder moments (90th percentile of columns)."""
    return 10 * float(np.log10(np.quantile(power.sum(axis=0), 0.9) + 1e-12))


def strength_of(level_db: float) -> float:
    """How strong a picture a sound of this level deserves: nothing at -52 dB, 1 at -16 dB, STRONGEST at -7 dB."""
    return float(np.clip((level_db + 52) / 36, 0.0, STRONGEST))


def background(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Power of the noise floor of a room and a microphone: tilted, and grainy as noise is."""
    rows = np.arange(WINDOW.rows)
    level_db = rng.uniform(-115, -78) - rng.uniform(0, 20) * rows / WINDOW.rows + rng.uniform(0, 20) * np.exp(-rows / 3)
    return (10 ** (level_db / 10)[:, None] * rng.exponential(size=(WINDOW.rows, columns))).astype(np.float32)


def _fade_out(rng: np.random.Generator, stop: int, columns: int) -> np.ndarray:
    """Power gain that is 1 up to `stop` and then falls, at once or slowly."""
    return 10.0 ** (-rng.uniform(0.15, 3.0) * np.maximum(0, np.arange(columns) - stop)).astype(np.float32)


def _in_room(rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
    """A reverberant tail behind some of the scenes: each column lingers, falling by a few dB a column."""
    for i in np.flatnonzero(rng.uniform(size=power.shape[0]) < 0.2):
        keep, wet = 10 ** (-rng.uniform(0.07, 0.6)), 10 ** rng.uniform(-1.4, -0.4)
        tail = np.zeros(power.shape[1], np.float32)
        for k in range(power.shape[2]):
            now = power[i, :, k].copy()
            power[i, :, k] += wet * tail
            tail = keep * np.maximum(tail, now)
    return power


def _coloured(rng: np.random.Generator, db: np.ndarray) -> np.ndarray:
    """The colour of rooms, distances and devices: smooth curves over the rows, band limits."""
    rows = np.arange(db.shape[1]) / db.shape[1]
    size = (db.shape[0], 1)
    curve = np.zeros((db.shape[0], db.shape[1]))
    for k in range(1, 4):
        curve += rng.normal(0, 2.0 / k, size) * np.cos(np.pi * k * rows**0.5 + rng.uniform(0, 6.28, size))
    cut = rng.uniform(0.15, 1.3, size)
    curve -= np.where(rng.uniform(size=size) < 0.2, 60 * np.maximum(0, rows - cut), 0)
    rumble = np.where(rng.uniform(size=size) < 0.15, rng.uniform(5, 25, size), 0)
    curve -= rumble * np.exp(-rows * db.shape[1] / rng.uniform(0.5, 3.0, size))
    return db + curve[:, :, None].astype(np.float32)


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
