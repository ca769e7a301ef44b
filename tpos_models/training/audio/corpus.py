"""A corpus to learn from: sounds of any folder as decibels, with what teachers hear in them, second by second.

A teacher is an audio tagger of somebody else's, needed here and nowhere else: a Python file names them. Sounds are read
once and kept as one .npz each, so that trainings start at once and nobody's recordings need to be at hand again.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np
import soundfile
import soxr
import torch
from torch.nn import functional as F

from tpos_models.errors import MediaError, MissingFileError, ModelError
from tpos_models.pocket.audio_networks import WINDOW
from tpos_models.training.audio.data import SCORED_EVERY_S, Clip, Kind, decibels, tagged_clip
from tpos_models.training.audio.labelled import SUFFIXES, read_sound
from tpos_models.training.audio.scenes import CENTRES
from tpos_models.training.music.general_midi import INSTRUMENTS
from tpos_models.training.music.piece import Piece
from tpos_models.training.music.styles import styles

log = logging.getLogger(__name__)

SCORED_S = 2.0
"""Teachers hear the newest 2 s, a little more than a segment, so often."""
CLIP_S, LONGEST_S, SHORTEST_S = 20.0, 180.0, 0.08
SEGMENT_S, LEAST_HEARD_S = WINDOW.segment_samples / WINDOW.sample_rate, 0.04
QUIET_DB = -60.0
"""A stretch whose loudest moment is below is silence, whatever a teacher hears in it."""
MEL_HZ = 700.0
"""Where HTK's mel scale bends."""
ARCHIVES = (".rcc", ".ocg", ".ocd")
"""Files that hold Ogg streams: Qt's resources, and C4Group (gzip under a magic number of its own)."""


class Teacher(Protocol):
    """An audio tagger."""

    def scores(self, samples: np.ndarray, rate: int) -> Mapping[str, float]:
        """Probabilities 0..1 of its classes in mono float32 samples at a rate in Hz."""
        ...


@runtime_checkable
class Embedding(Protocol):
    """A tagger whose features can be had, too."""

    def embed(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Features (size,) of mono float32 samples at a rate in Hz."""
        ...


@runtime_checkable
class Layered(Protocol):
    """A tagger of which it can be had, too, how its layers see a sound."""

    highest_hz: float

    def maps(self, samples: np.ndarray, rate: int) -> Sequence[np.ndarray]:
        """Three maps, from fine to coarse, of mono float32 samples at a rate in Hz.

        Each is (channels, rows, columns): rows even in mel (HTK) from 0 to `highest_hz`, columns over all samples.
        """
        ...


class Teachers:
    """Several at once: the mean of those that know a class."""

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        self._teachers = teachers
        self._embedding = next((teacher for teacher in teachers if isinstance(teacher, Embedding)), None)
        self._layered = next((teacher for teacher in teachers if isinstance(teacher, Layered)), None)
        told = [teacher.scores(np.zeros(round(SCORED_S * WINDOW.sample_rate), np.float32), WINDOW.sample_rate)
                for teacher in teachers]  # fmt: skip
        self.names = tuple(dict.fromkeys(name for scores in told for name in scores))

    @classmethod
    def load(cls, path: Path) -> Teachers:
        """From the classes of a Python file that are taggers (a class with `scores` that takes no arguments).

        Raises `MissingFileError`, and `ModelError` for one that does not run.
        """
        spec = importlib.util.spec_from_file_location("teachers", path) if path.suffix == ".py" else None
        if spec is None or spec.loader is None or not path.is_file():
            raise MissingFileError(f"{path}: a Python file whose classes have scores(samples, rate) was expected")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            found = [value for value in vars(module).values() if isinstance(value, type) and hasattr(value, "scores")]
            teachers = cls([teacher() for teacher in found])
        except Exception as error:  # other people's code
            raise ModelError(f"{path}: {_in_a_line(error)}; a teacher that runs would be accepted") from error
        if not found:
            raise ModelError(f"{path}: no class with scores(samples, rate); a teacher was expected")
        return teachers

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """Probabilities (windows, names), one window for each SCORED_EVERY_S of mono samples at the encoder's rate.

        What is music as a whole is also what it is as a whole: a genre is not heard in two seconds.
        """
        rate = WINDOW.sample_rate
        step, length = round(SCORED_EVERY_S * rate), round(SCORED_S * rate)
        ends = range(step, max(samples.size, step) + step, step)
        heard = np.array([self.score(samples[max(0, end - length) : end]) for end in ends], np.float32)
        whole = self.score(samples)
        musical = "Music" in self.names and whole[self.names.index("Music")] > 0.5
        return np.maximum(heard, whole) if musical else heard

    @property
    def embeds(self) -> bool:
        """Whether there are features."""
        return self._embedding is not None

    def embed(self, part: np.ndarray) -> np.ndarray:
        """The features of the first teacher that has some (size,) for mono samples at the encoder's rate."""
        assert self._embedding is not None
        with _listening():
            return np.asarray(self._embedding.embed(part, WINDOW.sample_rate), np.float32)

    def maps(self, part: np.ndarray, grids: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The maps of the first teacher that has some, read where a segment's rows and columns lie: (channels, *grid).

        `part` is mono at the encoder's rate, a segment its newest. [] where no teacher has any.
        """
        if self._layered is None:
            return []
        with _listening():
            found = self._layered.maps(part, WINDOW.sample_rate)
            newest = WINDOW.segment_samples / part.size
            return [
                read_at(one, grid, self._layered.highest_hz, newest) for one, grid in zip(found, grids, strict=True)
            ]

    def score(self, part: np.ndarray) -> np.ndarray:
        """Probabilities (names,) for mono samples at the encoder's rate, however soft they are."""
        peak = float(np.abs(part).max(initial=0.0))
        if peak < 10 ** (QUIET_DB / 20):
            return np.array([float(name == "Silence") for name in self.names])
        loud = np.pad(part * np.float32(0.5 / peak), (0, max(0, WINDOW.sample_rate - part.size)))
        with _listening():
            told = [teacher.scores(loud, WINDOW.sample_rate) for teacher in self._teachers]
            return np.array([np.mean([scores[name] for scores in told if name in scores]) for name in self.names])


@contextmanager
def _listening() -> Iterator[None]:
    """Other people's code: what it raises is told in a line."""
    try:
        yield
    except Exception as error:
        told = f"a teacher failed: {_in_a_line(error)}; what it heard before is kept, and another run goes on there"
        raise ModelError(told) from error


def read_at(values: np.ndarray, grid: tuple[int, int], highest_hz: float, newest: float) -> np.ndarray:
    """A map (channels, rows, columns) at a grid's places: its rows are the encoder's, its columns the newest share."""
    (rows, columns), channels = grid, torch.from_numpy(np.asarray(values, np.float32))[None]
    if channels.shape[2] > 1.5 * rows:
        channels = F.avg_pool2d(channels, 2, ceil_mode=True)
    place = np.interp((np.arange(rows) + 0.5) / rows, (np.arange(WINDOW.rows) + 0.5) / WINDOW.rows, CENTRES)
    mel = np.log1p(place * WINDOW.sample_rate / WINDOW.n_fft / MEL_HZ) / np.log1p(highest_hz / MEL_HZ)
    time = 1 - newest * (1 - (np.arange(columns) + 0.5) / columns)
    at = np.stack(np.meshgrid(2 * time - 1, 2 * mel - 1), -1).astype(np.float32)
    read = F.grid_sample(channels, torch.from_numpy(at)[None], padding_mode="border", align_corners=False)
    return read[0].numpy()


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def sounds_of(folder: Path) -> Iterator[tuple[str, np.ndarray, Piece | None]]:
    """Every readable sound of a folder: its name, mono float32 at the encoder's rate, and what is known of a render.

    Those in ARCHIVES are found too. Longer ones than LONGEST_S are cut to their middle, unless they are renders;
    unreadable ones are skipped, and named in the log.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*SUFFIXES, ".wv", ".aiff", *ARCHIVES))
    if not paths:
        raise MissingFileError(f"{folder}: no sounds; {', '.join((*SUFFIXES, *ARCHIVES))} would be accepted")
    for path in (path for path in paths if path.is_file()):
        name, labels = str(path.relative_to(folder)), path.with_suffix(".json")
        try:
            if path.suffix.lower() in ARCHIVES:
                yield from ((f"{name}-{k}", _middle(samples), None) for k, samples in enumerate(_archived(path)))
            elif labels.is_file():
                yield name, read_sound(path, WINDOW.sample_rate), Piece.load(labels)
            else:
                yield name, _middle(read_sound(path, WINDOW.sample_rate)), None
        except (MediaError, soundfile.LibsndfileError, zlib.error) as error:
            log.warning("skipped: %s", error)


def _middle(samples: np.ndarray) -> np.ndarray:
    longest = round(LONGEST_S * WINDOW.sample_rate)
    start = max(0, samples.size - longest) // 2
    return samples[start : start + longest]


def _archived(path: Path) -> Iterator[np.ndarray]:
    for stream in ogg_streams(path.read_bytes()):
        samples, rate = soundfile.read(io.BytesIO(stream), dtype="float32", always_2d=True)
        yield soxr.resample(samples.mean(1), rate, WINDOW.sample_rate)


def ogg_streams(data: bytes) -> Iterator[bytes]:
    """The Ogg streams (RFC 3533) that lie uncompressed in a file, or in one C4Group."""
    if data[:2] == b"\x1e\x8c":
        data = zlib.decompressobj(31).decompress(b"\x1f\x8b" + data[2:])
    first = data.find(b"OggS\0\2")
    while first >= 0:
        end = first
        while data[end : end + 4] == b"OggS" and (end == first or data[end + 5] != 2):
            lacing = end + 27 + data[end + 26]
            end = lacing + sum(data[end + 27 : lacing])
        yield data[first:end]
        first = data.find(b"OggS\0\2", end)


def played(piece: Piece, start_s: float, windows: int) -> np.ndarray:
    """How plainly each of INSTRUMENTS is heard (windows, INSTRUMENTS), 0..1, from a render's own notes.

    1 for what is at least half as loud, at its loudest, as the loudest of its window.
    """
    loudest = np.zeros((windows, len(INSTRUMENTS)), np.float32)
    ends_s = start_s + SCORED_EVERY_S * np.arange(1, windows + 1)
    for k, name in enumerate(INSTRUMENTS):
        for begins_s, stops_s, amplitude in piece.instruments.get(name, ()):
            heard = (ends_s > begins_s + LEAST_HEARD_S) & (ends_s - SEGMENT_S < stops_s - LEAST_HEARD_S / 2)
            loudest[heard, k] = np.maximum(loudest[heard, k], amplitude)
    return np.clip(loudest / (0.5 * loudest.max(1, keepdims=True)).clip(1e-3), 0, 1)


def collect(folder: Path, out: Path, teachers: Teachers) -> int:
    """Write the clips of a folder as .npz into `out`, those that are there already left as they are; how many."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, samples, piece in sounds_of(folder):
        length = round(CLIP_S * WINDOW.sample_rate)
        for k, start in enumerate(range(0, samples.size, length)):
            part = samples[start : start + length]
            file = out / f"{name.replace('/', '!')}-{k}.npz"
            if part.size < SHORTEST_S * WINDOW.sample_rate or (k and part.size < length / 4) or file.exists():
                continue
            if piece:
                heard = known(piece, start / WINDOW.sample_rate, part.size / WINDOW.sample_rate)
            else:
                heard = {"names": teachers.names, "scores": teachers.hear(part).astype(np.float16)}
            with file.with_suffix(".tmp").open("wb") as stream:
                np.savez(stream, db=decibels(part), **heard)
            file.with_suffix(".tmp").rename(file)
            count += 1
    return count


def known(piece: Piece, start_s: float, seconds: float) -> dict[str, Any]:
    """What a stretch of a render is, as its notes and its style say: no teacher is asked."""
    truth = played(piece, start_s, math.ceil(seconds / SCORED_EVERY_S))
    drums = truth[:, [INSTRUMENTS.index(name) for name in ("kick", "snare", "hi_hat")]].mean(1)
    style = piece.style if piece.style in styles() else "music"
    rest = {"drums": drums, style: np.full(len(truth), 0.5), "music": np.full(len(truth), 0.9)}
    return {
        "names": [*INSTRUMENTS, *rest],
        "scores": np.column_stack([truth, *rest.values()]).astype(np.float16),
        "kind": str(Kind.RENDERED),
    }


def collected(folder: Path, held_out: Sequence[str] = ()) -> list[Clip]:
    """The clips of `collect` below a folder, those left out whose path below it starts with one of `held_out`.

    A file may say its `kind`; else music is told from the rest by what the teachers heard.
    """
    files = [file for file in sorted(folder.rglob("*.npz")) if not _below(file, folder).startswith(tuple(held_out))]
    if not files:
        raise MissingFileError(f"{folder}: no .npz of tpos train corpus")
    clips = []
    for file in files:
        try:
            with np.load(file) as kept:
                kind = Kind(str(kept["kind"])) if "kind" in kept else None
                parts = kept["db"], kept["scores"], kept["names"].tolist()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise ModelError(f"{file}: cannot be read; an .npz as tpos train corpus writes it would be") from error
        clips.append(tagged_clip(*parts, _below(file, folder), kind))
    return clips


def _below(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()
