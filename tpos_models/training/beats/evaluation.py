"""How well beats, downbeats and tempo were found, from what a show announced and what is true.

F-measure after Davies, Degara and Plumbley, "Evaluation methods for musical audio beat tracking algorithms" (2009):
a beat is found if one was announced within 70 ms of it, each announcement serving one beat.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

WINDOW_S = 0.07
SKIPPED_S = 10.0
"""What comes before is not counted."""
_SAME = 0.06
"""Tempi are alike up to this part."""
_OCTAVES = (2, 1 / 2, 3, 1 / 3, 3 / 2, 2 / 3)


@dataclass(frozen=True)
class Announced:
    """What a tracker said: (T,) times of its hops, and at each the tempo (0: none), beats and bars counted."""

    times_s: np.ndarray
    bpm: np.ndarray
    beats: np.ndarray
    bars: np.ndarray


@dataclass(frozen=True)
class Score:
    """Of one recording. `octave` is the share of time with a tempo in which it is a simple multiple of the true one."""

    beat_f: float
    downbeat_f: float | None
    """None where the true ones are not known."""
    has_tempo: float
    octave: float
    tempo_changes: int
    """How often the tempo became another (by 6 %), from the first on."""


def f_measure(found_s: np.ndarray, true_s: np.ndarray, window_s: float = WINDOW_S) -> float:
    """2 hits / (found + true), each found beat matched with one true beat at most; 1 where both are empty."""
    found, true, hits = 0, 0, 0
    while found < len(found_s) and true < len(true_s):
        off = found_s[found] - true_s[true]
        if abs(off) <= window_s:
            hits, found, true = hits + 1, found + 1, true + 1
        elif off < 0:
            found += 1
        else:
            true += 1
    every = len(found_s) + len(true_s)
    return 2 * hits / every if every else 1.0


def changes_s(times_s: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """When a count went up."""
    return times_s[1:][np.diff(counts) > 0]


def score(said: Announced, beats_s: np.ndarray, downbeats_s: np.ndarray) -> Score:
    """Compare what was said after the first 10 s with the truth; needs three beats after that."""
    late = said.times_s > SKIPPED_S
    true_s = _within(beats_s, said.times_s)
    beat_f = f_measure(_within(changes_s(said.times_s, said.beats), said.times_s), true_s)
    bars_s = _within(changes_s(said.times_s, said.bars), said.times_s)
    downbeat_f = f_measure(bars_s, _within(downbeats_s, said.times_s)) if len(downbeats_s) else None
    bpm, times_s = said.bpm[late], said.times_s[late]
    known = bpm > 0
    ratio = bpm[known] / np.interp(times_s[known], beats_s[1:], 60 / np.diff(beats_s))
    octave = np.min([np.abs(ratio / other - 1) for other in _OCTAVES], axis=0) < _SAME if known.any() else np.zeros(1)
    return Score(beat_f, downbeat_f, float(known.mean()), float(octave.mean()), tempo_changes(said.bpm))


def tempo_changes(bpm: np.ndarray) -> int:
    """How often a known tempo became another one, by more than 6 % between neighbouring hops."""
    known = bpm[bpm > 0]
    return int((np.abs(known[1:] / known[:-1] - 1) > _SAME).sum())


def _within(events_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    return events_s[(events_s > SKIPPED_S) & (events_s <= times_s[-1])]


def mean(scores: Iterable[Score]) -> dict[str, float]:
    """The means over recordings, as the model card has them; a recording has an octave error if most of it has."""
    every = list(scores)
    down = [one.downbeat_f for one in every if one.downbeat_f is not None]
    return {
        "beat_f": float(np.mean([one.beat_f for one in every])),
        **({"downbeat_f": float(np.mean(down))} if down else {}),
        "has_tempo": float(np.mean([one.has_tempo for one in every])),
        "octave_errors": float(np.mean([one.octave > 0.5 for one in every])),
        "tempo_changes": float(np.mean([one.tempo_changes for one in every])),
        "recordings": len(every),
    }
