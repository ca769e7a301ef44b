"""`tpos bench --beats`: recordings whose beats are known, played through the analysis, and when it announced them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.bench.report import Bar, Notify
from engine.core.messages import AudioFeatures
from tpos_models.training.beats.data import labelled
from tpos_models.training.beats.evaluation import Announced, Score, mean, score

MOST_S = 90.0
_BARS = (
    ("beat_f", "beats: F-measure, 70 ms, after 10 s", "least", 0.8),
    ("downbeat_f", "downbeats: the same", "least", 0.7),
    ("has_tempo", "time with a tempo after 10 s", "least", 0.95),
    ("octave_errors", "recordings heard an octave off", "most", 0.1),
)


def measure_beats(folders: Sequence[Path], notify: Notify) -> tuple[dict[str, Any], list[Bar]]:
    """Every recording's score and, of each folder, the means against their bars."""
    report: dict[str, Any] = {}
    bars, took_ms = [], []
    for folder in folders:
        scores: dict[str, Score] = {}
        for sound in labelled(folder):
            samples = sound.samples()[: round(MOST_S * SAMPLE_RATE)]
            started = time.process_time()
            features = Analyser().process(samples, len(samples) / SAMPLE_RATE)
            took_ms.append(1000 * (time.process_time() - started) / len(features))
            scores[sound.path.stem] = score(announced(features), sound.beats_s, sound.downbeats_s)
            notify(_line(sound.path.stem, scores[sound.path.stem]))
        means = mean(scores.values())
        report[folder.name] = {**means, "each": {name: asdict(one) for name, one in scores.items()}}
        bars += [
            Bar(f"{folder.name}: {what}", means[key], side, bar, "") for key, what, side, bar in _BARS if key in means
        ]
    bars.append(Bar("analysis of a hop, all of it", float(np.median(took_ms)), "most", 1.0, "ms"))
    return report, bars


def announced(features: Sequence[AudioFeatures]) -> Announced:
    """What a show said, hop by hop."""
    columns = zip(*((f.time_s, f.bpm, f.beat, f.bar) for f in features), strict=True)
    return Announced(*(np.array(column) for column in columns))


def _line(name: str, one: Score) -> str:
    downbeats = "unknown" if one.downbeat_f is None else f"{one.downbeat_f:.2f}"
    return (
        f"{name}: beats {one.beat_f:.2f}, downbeats {downbeats}, a tempo {one.has_tempo:.0%} of the time, "
        f"an octave off {one.octave:.0%}, changed {one.tempo_changes} times"
    )
