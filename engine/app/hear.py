"""`tpos hear`: what the encoder makes of a sound, segment by segment, with the gain the live show would use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import soxr

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.capture import Capture
from engine.audio.devices import check_channels
from engine.audio.inputs import looks_like_file, open_source
from engine.audio.resample import mono, read_sound
from engine.audio.sound_file import AudioFile
from engine.audio.soundtrack import soundtrack
from engine.core.clock import WallClock
from engine.core.console import Progress
from engine.core.course import Section
from engine.core.messages import AudioFeatures
from engine.inference.fallback import Backend
from engine.inference.loading import open_on
from tpos_models.audio.loudness import loudness_db
from tpos_models.metrics.clip import Heard
from tpos_models.registry import POCKET

LIVE_S = 10.0
SHOWN = 3


def hear_source(
    source: str, phrases: list[str] | None, channels: tuple[int, ...] | None, seconds: float | None, progress: Progress
) -> dict[str, Any]:
    """Listen to a file, a device (`seconds`, 10 by default) or "synth".

    Returns {"segments": [{"start_s", "end_s", "loudness_db", "beta", "phrases"}], "overall": [{"phrase", "weight"}],
    "bpm", "beats": [s], "downbeats": [s], "sections": [{"start_s", "end_s", "kind"}]}; `beta` is TAM's attention to the
    segment in the window that ends with it, `bpm` the median while there is a tempo, 0 where there is none.
    """
    return hear_samples(_samples(source, channels, seconds, progress), phrases, progress)


def hear_samples(samples: np.ndarray, phrases: list[str] | None, progress: Progress) -> dict[str, Any]:
    """`hear_source` of mono samples at 44.1 kHz."""
    model = open_on(Backend("onnx"), POCKET)  # a GPU would draw, not hear
    asked = phrases or list(model.audio.phrases)
    joint = model.text.joint(asked)
    window = model.audio.window
    analyser = Analyser()
    features: list[AudioFeatures] = []
    segments: list[dict[str, Any]] = []
    weights: list[np.ndarray] = []
    for start in range(0, max(len(samples), 1), window.segment_samples):
        piece = samples[start : start + window.segment_samples]
        end_s = (start + len(piece)) / SAMPLE_RATE
        if segments and len(piece) < window.segment_samples // 2:
            break
        features += analyser.process(piece, end_s)
        heard = analyser.window(window.segments * window.segment_samples / SAMPLE_RATE)
        embedding = model.audio.hear(heard.samples, heard.end_index, heard.time_s)
        weights.append(model.audio.score(embedding, joint))
        segments.append(
            {
                "start_s": round(start / SAMPLE_RATE, 3),
                "end_s": round(end_s, 3),
                "loudness_db": round(loudness_db(piece), 1),
                "beta": round(float(embedding.beta[-1]), 3),
                "phrases": _ranked(asked, weights[-1]),
            }
        )
        progress(min(1.0, (start + len(piece)) / max(1, len(samples))))
    return {"segments": segments, "overall": _ranked(asked, np.mean(weights, axis=0)), **_course(features)}


def _course(features: list[AudioFeatures]) -> dict[str, Any]:
    """Tempo, beats, bars and sections, as a live show would have heard them."""
    beats, downbeats = [], []
    sections: list[dict[str, Any]] = []
    for before, now in pairwise(features):
        if now.beat != before.beat and now.bpm > 0:
            at_s = round(now.time_s - now.beat_phase * 60 / now.bpm, 3)
            beats.append(at_s)
            downbeats += [at_s] if now.bar != before.bar else []
        if sections and now.section != before.section:
            sections[-1].setdefault("end_s", round(now.time_s, 3))
        if now.sections != before.sections:
            if before.section is not Section.NONE:  # it ends on the bar line on which the next begins
                sections[-1]["end_s"] = round(now.section_s, 3)
            sections.append({"start_s": round(now.section_s, 3), "kind": str(now.section)})
    if sections:
        sections[-1].setdefault("end_s", round(features[-1].time_s, 3))
    known = [each.bpm for each in features if each.bpm > 0]
    bpm = round(float(np.median(known)), 1) if known else 0.0
    return {"bpm": bpm, "beats": beats, "downbeats": downbeats, "sections": sections}


def hear_segments(samples: np.ndarray, sample_rate: int) -> tuple[str, list[Heard]]:
    """What the built-in encoder hears in mono sound (n,): most of all, empty where it knows nothing; and when."""
    report = hear_samples(soxr.resample(samples, sample_rate, SAMPLE_RATE), None, lambda share: None)
    segments = [
        Heard(segment["start_s"], segment["end_s"], {each["phrase"]: each["weight"] for each in segment["phrases"]})
        for segment in report["segments"]
    ]
    best = report["overall"][0]
    return best["phrase"] if best["weight"] >= 0.05 else "", segments


def describe(report: dict[str, Any]) -> Iterator[str]:
    """The report as lines for people."""
    for segment in report["segments"]:
        heard = ", ".join(f"{p['phrase']} {p['weight']:.0%}" for p in segment["phrases"][:SHOWN] if p["weight"] >= 0.05)
        yield (
            f"{segment['start_s']:7.1f} s {segment['loudness_db']:6.1f} dB  attention {segment['beta']:.2f}  "
            f"{heard or 'nothing it knows'}"
        )
    tempo = f"{report['bpm']:g} bpm" if report["bpm"] else "no tempo"
    sections = ", ".join(f"{each['kind']} at {each['start_s']:.1f} s" for each in report["sections"])
    yield f"tempo: {tempo}; sections: {sections or 'none'}"
    yield "overall: " + ", ".join(f"{p['phrase']} {p['weight']:.0%}" for p in report["overall"][:5])


def _ranked(phrases: list[str], weights: np.ndarray) -> list[dict[str, Any]]:
    ranked = sorted(zip(phrases, weights, strict=True), key=lambda pair: -pair[1])
    return [{"phrase": phrase, "weight": round(float(weight), 3)} for phrase, weight in ranked]


def _samples(source: str, channels: tuple[int, ...] | None, seconds: float | None, progress: Progress) -> np.ndarray:
    """Mono at 44.1 kHz."""
    if source == "synth":
        samples = soundtrack()
    elif looks_like_file(source):
        file = AudioFile(source)
        check_channels(source, file.channels, channels or ())
        picks = [channel - 1 for channel in channels or ()]
        samples = np.concatenate([mono(block) for block in read_sound(file, picks)])
    else:
        return _record(source, channels or (), seconds or LIVE_S, progress)
    return samples if seconds is None else samples[: round(seconds * SAMPLE_RATE)]


def _record(device: str, channels: tuple[int, ...], seconds: float, progress: Progress) -> np.ndarray:
    clock = WallClock()
    with Capture(open_source(device, channels, clock=clock), clock) as capture:
        end_s = clock.now() + seconds
        while (left_s := end_s - clock.now()) > 0:
            clock.sleep(min(0.1, left_s))
            progress(1 - max(0.0, left_s) / seconds)
        return mono(capture.raw(0)[0])
