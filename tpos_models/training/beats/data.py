"""What the beat network learns from: sounds with beats that are known, and sounds that have none, as band powers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from tpos_models.beats.bands import HOP_S, SAMPLE_RATE, band_powers
from tpos_models.beats.network import FASTEST_BPM, SLOWEST_BPM
from tpos_models.errors import MissingFileError
from tpos_models.toml_data import read_toml
from tpos_models.training.audio.labelled import read_file
from tpos_models.training.music.piece import read_labels

SUFFIXES = (".flac", ".wav", ".ogg")
_TICKING = ("clock_tick",)
LOOP_S = 45.0
"""A loop is repeated this long."""
LOOPS: dict[str, tuple[int, int]] = read_toml(Path(__file__).parent / "loops.toml", dict[str, tuple[int, int]])
SPEEDS = (0.82, 0.91, 1.0, 1.1, 1.22)


@dataclass(frozen=True)
class Labelled:
    """One recording and its truth; times in seconds since its first sample."""

    path: Path
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    """Empty where they are not known."""
    repeat_s: float = 0.0
    """Length of a loop that is to be repeated; 0 for what is played once."""

    def samples(self) -> np.ndarray:
        """Mono float32 at 44.1 kHz; raises `MediaError`."""
        sound, rate = read_file(self.path)
        mono = sound.mean(1)
        if rate != SAMPLE_RATE:
            mono = soxr.resample(mono, rate, SAMPLE_RATE)
        if not self.repeat_s:
            return mono
        length = round(self.repeat_s * SAMPLE_RATE)
        fitted = np.pad(mono[:length], (0, max(0, length - len(mono))))
        return np.tile(fitted, int(LOOP_S / self.repeat_s) + 1)


@dataclass(frozen=True)
class Excerpt:
    """Amplitudes (T, BANDS) float16 of a recording's bands, hop by hop, and its beats; no beats: there are none."""

    name: str
    amplitudes: np.ndarray
    beats_s: np.ndarray
    downbeats_s: np.ndarray


@dataclass(frozen=True)
class _Beats:
    """What of a render's labels is needed here, and enough for who writes them by hand."""

    beats_s: list[float]
    downbeats_s: list[float]


def labelled(folder: Path) -> list[Labelled]:
    """Sounds whose beats are known, in one order on every machine. Raises `MissingFileError`, `MediaError`,
    `ModelError`.

    Renders, which have a NAME.json with `beats_s` and `downbeats_s` beside them, and the loops that loops.toml knows.
    """
    sounds = [_known(path) for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    found = [sound for sound in sounds if sound]
    if not found:
        raise MissingFileError(f"{folder}: no sounds whose beats are known; NAME.flac beside NAME.json were expected")
    return found


def _known(path: Path) -> Labelled | None:
    if path.stem in LOOPS:
        sound, rate = read_file(path)
        length_s, (count, bar) = len(sound) / rate, LOOPS[path.stem]
        times_s = np.arange(count * (int(LOOP_S / length_s) + 1)) * length_s / count
        return Labelled(path, times_s, times_s[::bar] if bar else times_s[:0], length_s)
    record = path.with_suffix(".json")
    if not record.exists():
        return None
    truth = read_labels(record, _Beats)
    return Labelled(path, np.array(truth.beats_s), np.array(truth.downbeats_s))


def excerpts(sounds: Iterable[Labelled], speeds: Sequence[float]) -> Iterator[Excerpt]:
    """Every sound at every speed, as a turntable plays it, at which its tempo is one that the network may name."""
    for sound in sounds:
        samples = sound.samples()
        samples *= 0.12 / max(float(np.sqrt(np.square(samples).mean())), 1e-6)
        bpm = 60 / np.median(np.diff(sound.beats_s)) if len(sound.beats_s) > 1 else None
        for speed in speeds:
            if bpm and not SLOWEST_BPM <= bpm * speed <= FASTEST_BPM:
                continue
            played = samples if speed == 1 else soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE, "LQ")
            amplitudes = np.sqrt(band_powers(played)).astype(np.float16)
            yield Excerpt(sound.path.stem, amplitudes, sound.beats_s / speed, sound.downbeats_s / speed)


def recordings(folder: Path, held_out: Sequence[str] = ()) -> list[Path]:
    """The sounds below a folder but those whose names begin so, and clocks: they tick; raises `MissingFileError`."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES and path.parent.name not in _TICKING]
    kept = [path for path in paths if not path.name.startswith(tuple(held_out))]
    if not kept:
        raise MissingFileError(f"{folder}: no recordings; {', '.join(SUFFIXES)} were expected")
    return kept


def beatless(paths: Iterable[Path]) -> Iterator[Excerpt]:
    """Recordings in which nothing beats."""
    nothing = np.zeros(0)
    yield from excerpts((Labelled(path, nothing, nothing) for path in paths), (1.0,))


def clicks(rng: np.random.Generator, count: int, seconds: float = 30.0) -> Iterator[Excerpt]:
    """Metronomes from 54 to 200 BPM, some with an accent on one, some in noise."""
    t = np.arange(round(0.08 * SAMPLE_RATE)) / SAMPLE_RATE
    for number in range(count):
        bpm, bar, start_s = 54 * (200 / 54) ** rng.uniform(), int(rng.choice([0, 0, 3, 4])), rng.uniform(0, 1)
        hz, decay_s = rng.uniform(60, 4000), rng.uniform(0.002, 0.03)
        wave = np.sin(2 * np.pi * hz * t) if rng.uniform() < 0.7 else rng.standard_normal(len(t))
        click = wave * np.exp(-t / decay_s)
        beats_s = np.arange(start_s, seconds - 0.1, 60 / bpm)
        sound = 10 ** rng.uniform(-5, -1.5) * rng.standard_normal(round(seconds * SAMPLE_RATE))
        for beat, time_s in enumerate(beats_s):
            at = round(time_s * SAMPLE_RATE)
            sound[at : at + len(click)] += (0.7 if not bar or beat % bar == 0 else 0.35) * click
        amplitudes = np.sqrt(band_powers(sound.astype(np.float32))).astype(np.float16)
        yield Excerpt(f"clicks-{number}", amplitudes, beats_s, beats_s[::bar] if bar else beats_s[:0])


def drones(rng: np.random.Generator, count: int, seconds: float = 30.0) -> Iterator[Excerpt]:
    """What sounds and sings without a beat: harmonics that glide, tremble and swell at no regular times, and noises."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    for number in range(count):
        sound = np.zeros(len(t))
        for _ in range(int(rng.integers(0, 4))):
            knots = np.cumsum(rng.uniform(0.15, rng.uniform(0.3, 4), 400))
            swell = np.interp(t, knots, rng.uniform(size=400) ** 2) ** rng.integers(0, 2)
            glide = np.interp(t, knots + 0.1, rng.normal(0, 0.15, 400)) * rng.integers(0, 2)
            vibrato = rng.choice([0, 0.03, 0.1, 0.3]) * rng.uniform() * np.sin(2 * np.pi * rng.uniform(3, 8) * t)
            phase = 2 * np.pi * np.cumsum(80 * 2 ** (rng.uniform(0, 3.7) + glide + vibrato)) / SAMPLE_RATE
            sound += swell * sum(np.sin(h * phase) / h for h in range(1, int(rng.integers(2, 12))))
        tilt = (1 + np.fft.rfftfreq(len(t), 1 / SAMPLE_RATE) / 60) ** -rng.uniform(0, 1.2)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(t))) * tilt, len(t))
        sound += 10 ** rng.uniform(-3, 1) * noise / noise.std()
        sound *= 0.12 / np.sqrt(np.square(sound).mean())
        amplitudes = np.sqrt(band_powers(sound.astype(np.float32))).astype(np.float16)
        yield Excerpt(f"drone-{number}", amplitudes, np.zeros(0), np.zeros(0))


def hop_of(times_s: np.ndarray) -> np.ndarray:
    """The hop into which each time falls."""
    return np.floor(times_s / HOP_S).astype(int)
