"""Mixtures of sounds that teachers listened to: one or two at once, coloured, shifted, remade, as no folder holds.

A few hundred recordings teach what they hold; what a teacher hears in ten thousands of mixtures of them teaches how
it hears (knowledge distillation, Hinton et al., 2015): its classes, sure or not, and its features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
import torch
from rich.console import Console
from rich.progress import track

from tpos_models import weights
from tpos_models.audio.encoder import EncoderConfig, TPoSEncoder
from tpos_models.audio.spectrogram import faded, relative
from tpos_models.errors import InputError, ModelError
from tpos_models.pocket.audio_networks import POCKET, WINDOW
from tpos_models.training.audio import textures
from tpos_models.training.audio.corpus import SHORTEST_S, Teachers, sounds_of
from tpos_models.training.audio.data import AUDIBLE_DB, decibels, recordings, synthetic_sounds
from tpos_models.training.audio.scenes import coloured, compressed, spec_augment

SECONDS = 2.0
"""A little more than a segment, of which the newest columns are kept."""
FILE, MAP = "mixtures-{:03d}", "map"
PER_FILE, COUNT = 1000, 40_000
"""In a file, and in all."""
LONGEST_S, SYNTHESISED_S, SYNTHESISED_SEEDS = 60.0, 4.0, 8
RECORDED, SYNTHESISED = 0.38, 0.15
"""Shares of what is drawn: labelled recordings, synthesised sounds; the rest is of the other folders."""
REMADE = {"texture": 0.28, "strewn": 0.17, "crossed": 0.13, "stretched": 0.08, "reversed": 0.03}
"""Shares of what is mixed that nobody recorded (see `textures`); the rest is as it is."""
ACTIVE_EVERY_S = 0.1
"""How often is looked whether a sound is heard."""


class MixedBatch(NamedTuple):
    """Pictures (B, rows, frames) in 0..1, scores (B, names), features (B, size), maps (B, channels, rows, columns)."""

    pictures: torch.Tensor
    scores: torch.Tensor
    features: torch.Tensor
    maps: tuple[torch.Tensor, ...]

    def to(self, device: torch.device) -> MixedBatch:
        """All of it there."""
        pictures, scores, features = (one.to(device) for one in self[:3])
        return MixedBatch(pictures, scores, features, tuple(one.to(device) for one in self.maps))


@dataclass(frozen=True)
class Mixtures:
    """`db` (n, rows, segment_frames) and what teachers hear there: `scores` (n, names) 0..1, `features` (n, size).

    `maps`, where a teacher has some, are those of its layers, each (n, channels, rows, columns) on the grid of the
    encoder's stage of that number.
    """

    db: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    maps: tuple[np.ndarray, ...] = ()

    def batch(self, rng: np.random.Generator, size: int) -> MixedBatch:
        """So many at random: a third coloured anew, a sixth fading into the past, and of all a third masked."""
        chosen = rng.integers(len(self.db), size=size)
        db, third = self.db[chosen].astype(np.float32), size // 3
        db[:third] = compressed(rng, coloured(rng, db[:third]))
        db[third : third + size // 6] = faded(db[third : third + size // 6])
        pictures = relative(db)
        pictures[::3] = spec_augment(rng, pictures[::3, None], masks=1)[:, 0]
        told = (torch.from_numpy(each[chosen].astype(np.float32)) for each in (self.scores, self.features, *self.maps))
        scores, features, *maps = told
        return MixedBatch(torch.from_numpy(pictures), scores, features, tuple(maps))


def stage_grids(config: EncoderConfig = POCKET) -> list[tuple[int, int]]:
    """Rows and columns of the maps of an encoder's stages, but the last."""
    encoder = TPoSEncoder(config).eval()
    with torch.no_grad():
        stages = encoder.feature_extractor.stages(encoder.seen(torch.zeros(1, WINDOW.rows, WINDOW.segment_frames)))
    return [(stage.shape[2], stage.shape[3]) for stage in stages[:-1]]


def load_mixtures(folder: Path) -> Mixtures | None:
    """All that `collect_mixtures` wrote below a folder; None where there are none. Raises ModelError."""
    files = sorted(folder.rglob("mixtures-*.json"))
    if not files:
        return None
    parts, told = [], []
    for path in files:
        part, record = weights.load_arrays(path.parent, path.stem)
        parts.append(part)
        told.append((record.get("names"), {name: array.shape[1:] for name, array in part.items()}))
        if told[-1] != told[0] or not part.keys() >= {"db", "scores", "features"}:
            raise ModelError(f"{path}: not of the same teachers as {files[0].name}; a folder of its own is needed")
    whole = {name: np.concatenate([part.pop(name) for part in parts]) for name in sorted(parts[0])}
    maps = tuple(whole[name] for name in whole if name.startswith(MAP))
    return Mixtures(whole["db"], whole["scores"], whole["features"], maps)


def collect_mixtures(
    folders: Sequence[Path],
    out: Path,
    teachers: Teachers,
    count: int,
    held_out: Sequence[str] = (),
) -> int:
    """Write `count` mixtures, or as many more as fill a file, what is there already left as it is; how many are new.

    The first folder holds recordings by label, those left out whose names begin with one of `held_out`.
    """
    if not teachers.embeds:
        raise InputError("train mixtures: a teacher with embed(samples, rate) is needed")
    todo = [
        number for number in range(math.ceil(count / PER_FILE)) if not (out / f"{FILE.format(number)}.json").exists()
    ]
    if not todo:
        return 0
    sources, grids = Sources.of(folders, held_out), stage_grids()
    for number in track(todo, "mixtures", console=Console(stderr=True)):
        rng = np.random.default_rng(number)
        heard: dict[str, list[np.ndarray]] = {}
        for _ in range(PER_FILE):
            samples = mixture(rng, sources)
            told = {f"{MAP}{stage}": one for stage, one in enumerate(teachers.maps(samples, grids), 1)}
            told |= {"db": decibels(samples)[:, -WINDOW.segment_frames :]}
            told |= {"scores": teachers.score(samples), "features": teachers.embed(samples)}
            for name, array in told.items():
                heard.setdefault(name, []).append(array)
        tensors = {name: torch.from_numpy(np.stack(arrays).astype(np.float16)) for name, arrays in heard.items()}
        weights.save(out, FILE.format(number), tensors, {"names": list(teachers.names)})
    return len(todo) * PER_FILE


@dataclass(frozen=True)
class Sources:
    """Sounds to mix, mono float16 at the encoder's rate, by folder, and how often each folder is drawn from."""

    pools: Sequence[Sequence[np.ndarray]]
    shares: np.ndarray

    @classmethod
    def of(cls, folders: Sequence[Path], held_out: Sequence[str] = ()) -> Sources:
        """Recordings in the first folder, any sounds in the others, and synthesised ones.

        Of the others each is drawn as often as the root of its sounds. Raises MissingFileError.
        """
        recorded = [part for one in recordings(folders[0], held_out) for part in _parts(one.read())]
        if not recorded:
            raise InputError(f"{folders[0]}: every recording is held out; some to mix are needed")
        made = [
            part for _, samples in synthetic_sounds(range(SYNTHESISED_SEEDS), SYNTHESISED_S) for part in _parts(samples)
        ]
        others = [[part for _, samples, _ in sounds_of(folder) for part in _parts(samples)] for folder in folders[1:]]
        roots = np.array([len(pool) ** 0.5 for pool in others])
        rest = (1 - RECORDED - SYNTHESISED) * roots / max(roots.sum(), 1e-9)
        shares = np.array([RECORDED, SYNTHESISED, *rest])
        return cls([recorded, made, *others], shares / shares.sum())

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Any sound, float32 at peak 1."""
        pool = self.pools[int(rng.choice(len(self.pools), p=self.shares))]
        samples = pool[int(rng.integers(len(pool)))].astype(np.float32)
        return samples / max(1e-5, float(np.abs(samples).max()))


def _parts(samples: np.ndarray) -> list[np.ndarray]:
    """A sound as float16, of a longer one than LONGEST_S every second half of that; nothing shorter than SHORTEST_S."""
    length = round(LONGEST_S * WINDOW.sample_rate)
    kept = length if samples.size <= length else length // 2
    parts = [samples[start : start + kept].astype(np.float16) for start in range(0, samples.size, length)]
    return [part for part in parts if part.size >= SHORTEST_S * WINDOW.sample_rate]


def mixture(rng: np.random.Generator, sources: Sources) -> np.ndarray:
    """One sound, or two of which one is up to 15 dB softer, and noise far below: mono float32 (n,), peak 0.5."""
    samples = _sound(rng, sources)
    if rng.uniform() < 0.5:
        samples = samples + 10 ** (-rng.uniform(0, 15) / 20) * _sound(rng, sources)
    samples = samples + 10 ** (-rng.uniform(25, 70) / 20) * rng.standard_normal(samples.size)
    return (0.5 / np.abs(samples).max() * samples).astype(np.float32)


def _sound(rng: np.random.Generator, sources: Sources) -> np.ndarray:
    """SECONDS of a sound at RMS 1: an excerpt, or what nobody recorded."""
    n = round(SECONDS * WINDOW.sample_rate)
    match str(rng.choice([*REMADE, "as it is"], p=[*REMADE.values(), 1 - sum(REMADE.values())])):
        case "texture":
            out = textures.texture(rng, n)
        case "strewn":
            out = _equalised(rng, textures.grains(rng, _at_speed(rng, sources.draw(rng), 0.7), n))
        case "crossed":
            other = textures.texture(rng, n) if rng.uniform() < 0.4 else _excerpt(rng, sources.draw(rng))
            out = textures.crossed(rng, *rng.permutation([_excerpt(rng, sources.draw(rng)), other]))
        case "stretched":
            out = _equalised(rng, textures.stretched(rng, sources.draw(rng), n))
        case "reversed":
            out = _excerpt(rng, sources.draw(rng))[::-1]
        case _:
            out = _excerpt(rng, sources.draw(rng))
    return out / max(1e-5, float(np.sqrt(np.mean(out**2))))


def _excerpt(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """SECONDS of a sound, mostly at another speed and of another colour; sometimes its start, or in a room."""
    n = round(SECONDS * WINDOW.sample_rate)
    if rng.uniform() < 0.7:
        samples = _at_speed(rng, samples, 0.4)
    if samples.size < n and rng.uniform() < 0.4:
        out = np.resize(samples, n)
    else:
        active = _active(samples)
        start = int(active[rng.integers(active.size)]) - int(rng.integers(n))
        if rng.uniform() < 0.6:
            start = max(0, min(start, samples.size - n))
        first, last = max(0, start), min(samples.size, start + n)
        out = np.pad(samples[first:last], (first - start, n - (last - start)))
    out = _equalised(rng, out) if rng.uniform() < 0.6 else out
    return _reverberant(rng, out) if rng.uniform() < 0.15 else out


def _at_speed(rng: np.random.Generator, samples: np.ndarray, most: float) -> np.ndarray:
    """Up to e^`most` times as fast or slow, pitch and all."""
    rate = WINDOW.sample_rate
    return soxr.resample(samples, rate, rate * float(np.exp(rng.uniform(-most, most))), quality="LQ")


def _active(samples: np.ndarray) -> np.ndarray:
    """Where a sound is heard, in samples; at least somewhere."""
    every = round(ACTIVE_EVERY_S * WINDOW.sample_rate)
    power = np.add.reduceat(samples**2, np.arange(0, samples.size, every))
    return np.flatnonzero(power >= power.max() * 10 ** (-AUDIBLE_DB / 10)) * every


def _equalised(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """Through a smooth curve of some decibels."""
    spectrum = np.fft.rfft(samples)
    place, curve_db = np.linspace(0, 1, spectrum.size) ** 0.5, np.zeros(spectrum.size)
    for k in range(1, 5):
        curve_db += rng.normal(0, 4 / k) * np.cos(np.pi * k * place + rng.uniform(0, 2 * np.pi))
    return np.fft.irfft(spectrum * 10 ** (curve_db / 20), samples.size).astype(np.float32)


def _reverberant(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """With a decaying tail of noise behind it."""
    tail_n = WINDOW.sample_rate // 2
    decay = np.exp(-np.arange(tail_n) / WINDOW.sample_rate / rng.uniform(0.03, 0.2))
    wet = textures.convolved(samples, rng.standard_normal(tail_n) * decay)
    gain = rng.uniform(0.1, 0.6) * np.abs(samples).max() / max(1e-5, float(np.abs(wet).max()))
    return (samples + gain * wet).astype(np.float32)
