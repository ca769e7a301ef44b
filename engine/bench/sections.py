"""How well sections are found: renders with known ones, and music without any, heard as a live show hears them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.resample import mono, read_sound
from engine.audio.sound_file import AudioFile
from engine.bench.report import Bar, Notify
from engine.core.course import Section
from tpos_models.training.music.piece import Piece

JUDGED = (Section.BREAKDOWN, Section.BUILD, Section.DROP)


BEAT_OFF_S = 0.07
"""How far from it a beat counts as found, everywhere."""
FOUND, FALSE = 0.85, 1.0
"""Bars: the least share of build-ups and drops dated within a bar, the most false ones in five minutes."""


@dataclass(frozen=True, slots=True)
class Began:
    """A section as it was heard: when it is said to have begun, and when that was said."""

    kind: Section
    start_s: float
    said_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """One kind of section over a folder: how many there are, how many were found, how many were not there."""

    kind: Section
    true: int
    found: int
    """Dated within a bar."""
    in_time: int
    """Said within a bar."""
    false: int
    minutes: float

    @property
    def false_in_5_min(self) -> float:
        return 5 * self.false / max(self.minutes, 1e-9)


Heard = tuple[Sequence[Began], Piece]


def begun(samples: np.ndarray) -> Iterator[Began]:
    """The sections of mono sound at 44.1 kHz, as a live show hears them."""
    count = 0
    for features in Analyser().process(samples, len(samples) / SAMPLE_RATE):
        if features.sections != count:
            count = features.sections
            yield Began(features.section, features.section_s, features.time_s)


def score(kind: Section, heard: Sequence[Heard]) -> Score:
    """Of one kind, each true one matched with at most one that was heard; bars are as exact as beats are."""
    true = found = in_time = false = 0
    for events, piece in heard:
        bar_s = BEAT_OFF_S + (float(np.median(np.diff(piece.downbeats_s))) if len(piece.downbeats_s) > 1 else 2.0)
        left = [event for event in events if event.kind is kind]
        for start_s in (start for start, _, name in piece.sections if name == kind and start > 0):
            true += 1
            near = [event for event in left if abs(event.start_s - start_s) <= bar_s]
            if near:
                found += 1
                in_time += abs(near[0].said_s - start_s) <= bar_s
                left.remove(near[0])
        if kind in (name for at, _, name in piece.sections if at == 0):
            left = [event for event in left if event.start_s > piece.sections[0][1]]
        false += len(left)
    return Score(kind, true, found, in_time, false, sum(piece.seconds for _, piece in heard) / 60)


def measure_sections(folder: Path, notify: Notify) -> list[Bar]:
    """Play every sound file of a folder; those without sections in a NAME.json beside them should have none."""
    heard: list[Heard] = []
    plain: list[Heard] = []
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".flac", ".ogg", ".wav", ".mp3")):
        notify(path.name)
        samples = np.concatenate([mono(block) for block in read_sound(AudioFile(str(path)))])
        labels = path.with_suffix(".json")
        piece = Piece.load(labels) if labels.exists() else None
        (heard if piece and piece.sections else plain).append(
            (list(begun(samples)), piece or _unlabelled(path, samples))
        )
    return [bar for kind in JUDGED for bar in _bars(kind, heard, plain)]


def _unlabelled(path: Path, samples: np.ndarray) -> Piece:
    return Piece(path.stem, "", len(samples) / SAMPLE_RATE, (4, 4), (), (), (), {})


def _bars(kind: Section, heard: list[Heard], plain: list[Heard]) -> Iterator[Bar]:
    if heard:
        one = score(kind, heard)
        yield Bar(f"{kind}: of {one.true}, dated within a bar", one.found / max(1, one.true), "least", FOUND, "")
        yield Bar(f"{kind}: said within a bar", one.in_time / max(1, one.true), "least", FOUND, "")
        yield Bar(f"{kind}: false, in {one.minutes:.0f} min of renders", one.false_in_5_min, "most", FALSE, "in 5 min")
    if plain:
        one = score(kind, plain)
        yield Bar(f"{kind}: in {one.minutes:.0f} min of other music", one.false_in_5_min, "most", FALSE, "in 5 min")
