"""Scenes of sound, composed anew for every step.

Loudness, distance, mixtures, room, device colour, background and what was sounding before are all applied to decibels,
so one pool of spectrograms serves every step and nothing is transformed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from tpos_models.audio.spectrogram import mel_bands, relative
from tpos_models.pocket.audio_networks import WINDOW
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.training.audio.data import Clip, Kind

Key = TypeVar("Key")
SURE = 0.4
"""Chance from which on a sound is in the bank."""
CENTRES = mel_bands(WINDOW.rows, WINDOW.n_fft // 2 + 1) @ np.arange(WINDOW.n_fft // 2 + 1)
"""Where each row lies, in bins."""


def bank_of(clips: Sequence[Clip]) -> list[str]:
    """Everything that some clip surely is, silence and noise: what sounds are compared with."""
    found = {"silence", "noise"}
    for clip in clips:
        sure = np.flatnonzero(clip.chances.max(0) >= SURE)
        found |= {clip.names[k] for k in sure}
    return sorted(found)


@dataclass(frozen=True)
class Batch:
    """`pictures` (B, N, rows, frames) in 0..1; `chances` (B, bank) and `strengths` (B, conditions) in 0..1.

    `shares` (B, bank) sum to 1: each sound has a share of its scene by its strength, and what it is shares in that.
    """

    pictures: np.ndarray
    chances: np.ndarray
    shares: np.ndarray
    strengths: np.ndarray


def joined(*batches: Batch) -> Batch:
    """Batches as one, in this order."""
    return Batch(*(np.concatenate([getattr(batch, part.name) for batch in batches]) for part in fields(Batch)))


Shares = Mapping[Kind, float]
"""How often a sound is of each kind, among the kinds that there are."""
EVEN: Shares = {Kind.SYNTHETIC: 0.17, Kind.LABELLED: 0.28, Kind.TAGGED: 0.11, Kind.MUSIC: 0.19, Kind.RENDERED: 0.25}

MUSICAL = frozenset({"music", "rendered", "beat", "kick", "hats", "bass", "pad", "voice", "sweep"})
"""Labels that clips of music are filed under."""


class Composer:
    """Composes scenes of sound, `segments` long, from a pool of clips; holds no state between batches.

    `changes` is the share of scenes in which one sound ends and another begins; `bank` that of the clips, if not given.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        segments: int = 1,
        shares: Shares = EVEN,
        changes: float = 0.3,
        bank: list[str] | None = None,
    ) -> None:
        self.segments = segments
        two = min(0.43, 0.91 - changes)
        self._kinds = {"silence": 0.05, "noise": 0.02, "two": two, "change": changes, "one": 0.93 - changes - two}
        self.columns = segments * WINDOW.segment_frames
        self.bank = bank or bank_of(clips)
        self._places = {names: self._place_of(names) for names in {clip.names for clip in clips}}
        self._pools: dict[Kind, dict[str, list[Clip]]] = {}
        for clip in clips:
            self._pools.setdefault(clip.kind, {}).setdefault(clip.label, []).append(clip)
        self._shares = {kind: shares[kind] for kind in Kind if kind in self._pools}

    def _place_of(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which of these names are in the bank, and where."""
        rows = {name: row for row, name in enumerate(self.bank)}
        known = [k for k, name in enumerate(names) if name in rows]
        return np.array(known, int), np.array([rows[names[k]] for k in known], int)

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Compose `size` scenes."""
        scenes = [self._scene(rng) for _ in range(size)]
        power = _in_room(rng, np.stack([s[0] for s in scenes]))
        db = compressed(rng, coloured(rng, 10 * np.log10(power + np.float32(1e-12))))
        cut = db.reshape(size, WINDOW.rows, self.segments, WINDOW.segment_frames).swapaxes(1, 2)
        return Batch(relative(cut), *(np.stack(known) for known in list(zip(*scenes, strict=True))[1:]))

    def _draw(self, rng: np.random.Generator, musical: bool | None = None) -> Clip:
        """Any clip, or any of music, or of what is none; of each kind a label is as likely as its clips' root."""
        pools = {
            kind: some
            for kind, pool in self._pools.items()
            if (some := {label: clips for label, clips in pool.items() if musical in (None, label in MUSICAL)})
        } or self._pools
        pool = pools[_one_of(rng, {kind: self._shares[kind] for kind in pools})]
        clips = pool[_one_of(rng, {label: len(clips) ** 0.5 for label, clips in pool.items()})]
        return clips[rng.integers(len(clips))]

    def _scene(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """One scene (power, chances, shares, strengths): what sounds now, one or two at once, after another or none."""
        kind = str(rng.choice(list(self._kinds), p=list(self._kinds.values())))
        if kind in ("silence", "noise"):
            loud = (-170, -72) if kind == "silence" else (-50, -10)
            sure = np.array([float(name == kind) for name in self.bank], np.float32)
            return at_level(background(rng, self.columns), rng.uniform(*loud)), sure, sure, self._strengths(sure * 0)
        level_db, start = rng.uniform(-46, -4), self._start(rng, kind)
        power = np.zeros((WINDOW.rows, self.columns), np.float32)
        if kind == "change":
            power += at_level(self._place(rng, self._draw(rng), 0)[0], level_db + rng.normal(0, 6))
            power *= _fade_out(rng, start, self.columns)
        chances, shares = np.zeros((2, len(self.bank)), np.float32)
        below_db = (0.0, rng.uniform(0, 18)) if kind == "two" else (0.0,)
        for below, clip in zip(rng.permutation(below_db), self._drawn(rng, len(below_db)), strict=True):
            sound, end = self._place(rng, clip, start)
            power += at_level(sound, level_db - below)
            known, rows = self._places[clip.names]
            heard = clip.heard_at(end)[known].astype(np.float32)
            chances[rows] += audible(below) * heard * (1 - chances[rows])
            shares[rows] += strength_of(below) * heard / max(float(heard.sum()), 1e-6)
        noise = background(rng, self.columns)
        if rng.uniform() < 0.5:
            noise = at_level(noise, level_db - rng.uniform(8, 45))
        return power + noise, chances, shares / max(float(shares.sum()), 1e-6), self._strengths(chances)

    def _drawn(self, rng: np.random.Generator, count: int) -> list[Clip]:
        """So many clips: of two, mostly music and something that is not, where there are both."""
        if count > 1 and rng.uniform() < 0.6:
            return [self._draw(rng, musical=True), self._draw(rng, musical=False)]
        return [self._draw(rng) for _ in range(count)]

    def _strengths(self, chances: np.ndarray) -> np.ndarray:
        """Chances (bank,) as strengths of the conditions (conditions,)."""
        of = [chances[self.bank.index(name)] if name in self.bank else 0.0 for name in CONDITIONS]
        return np.clip(np.array(of, np.float32) * 1.2 - 0.2, 0, 1)

    def _start(self, rng: np.random.Generator, kind: str) -> int:
        """The column from which it sounds: 0, or a moment ago; mostly a very short one where another sound ended."""
        if kind == "change":
            longest = min(2 * WINDOW.segment_frames, self.columns) - 20
            return int(self.columns - 20 - longest * rng.uniform() ** 1.7)
        ago = int(rng.integers(20, WINDOW.segment_frames + 60)) if rng.uniform() > 0.6 else self.columns
        return max(0, self.columns - ago)

    def _place(self, rng: np.random.Generator, clip: Clip, start: int) -> tuple[np.ndarray, int]:
        """A clip's power on a canvas, heard among the newest columns from `start` on, and its last column.

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
        return canvas, int(source[inside][-1])


def _one_of(rng: np.random.Generator, odds: Mapping[Key, float]) -> Key:
    likely = np.array(list(odds.values()))
    return list(odds)[rng.choice(len(likely), p=likely / likely.sum())]


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


def audible(below_db: float) -> float:
    """How surely a sound is heard that lies so far below another."""
    return float(np.clip(2 - below_db / 12, 0.0, 1.0))


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


def coloured(rng: np.random.Generator, db: np.ndarray) -> np.ndarray:
    """The colour of rooms, distances and devices: smooth curves over the rows, band limits."""
    rows = np.arange(db.shape[1]) / db.shape[1]
    size = (db.shape[0], 1)
    curve = np.zeros((db.shape[0], db.shape[1]))
    for k in range(1, 5):
        curve += rng.normal(0, 4.5 / k, size) * np.cos(np.pi * k * rows + rng.uniform(0, 6.28, size))
    curve -= np.where(rng.uniform(size=size) < 0.15, 90 * np.maximum(0, rows - rng.uniform(0.5, 1, size)), 0)
    curve -= np.where(rng.uniform(size=size) < 0.15, 90 * np.maximum(0, rng.uniform(0, 0.25, size) - rows), 0)
    return db + curve[:, :, None].astype(np.float32)


def compressed(rng: np.random.Generator, db: np.ndarray) -> np.ndarray:
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
