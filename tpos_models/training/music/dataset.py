"""Folders of rendered music: NAME.flac (mono, 44.1 kHz) and its labels NAME.json."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import soundfile

from tpos_models.errors import MediaError
from tpos_models.training.music import midi as midi_files
from tpos_models.training.music.compose import Composition, compose
from tpos_models.training.music.kits import SAMPLE_RATE, kits
from tpos_models.training.music.piece import Piece
from tpos_models.training.music.render import play, render

LEAST_FIT = 0.5
"""`midi.grid_fit` below which a file's beats are not its music's."""


def render_pieces(
    seeds: Iterable[int],
    soundfont: Path,
    one_shots: Sequence[Path],
    out: Path,
    seconds: tuple[float, float] = (30.0, 60.0),
    done: Callable[[str], None] = lambda name: None,
    composed: Callable[[int, tuple[float, float]], Composition] = compose,
) -> None:
    """Compose (or write an etude) and render a piece for every seed; those that are there already are left."""
    out.mkdir(parents=True, exist_ok=True)
    found = kits(one_shots)
    for seed in seeds:
        piece = composed(seed, seconds)
        name = f"{piece.style.name}_{seed}"
        if not (out / f"{name}.json").exists():
            _write(out, *render(piece, soundfont, found))
        done(name)


def render_files(
    files: Iterable[tuple[str, mido.MidiFile]],
    soundfont: Path,
    out: Path,
    most_s: float = 90.0,
    done: Callable[[str], None] = lambda name: None,
) -> None:
    """Render the first `most_s` of MIDI files whose beats can be believed, from their first note on."""
    out.mkdir(parents=True, exist_ok=True)
    for name, midi in files:
        if not (out / f"{name}.json").exists():
            labels = midi_files.piece_of(midi, name, most_s=most_s)
            labels = labels if midi_files.bars_fit(midi) else replace(labels, downbeats_s=())
            samples = play(midi, soundfont)[: round(labels.seconds * SAMPLE_RATE)]
            _write(out, (0.9 * samples / max(1e-6, float(np.abs(samples).max()))).astype(np.float32), labels)
        done(name)


def believable(folders: Sequence[Path]) -> dict[str, mido.MidiFile]:
    """The MIDI files under folders that can be read, are no one's double, and keep to their own beats."""
    seen, kept = set(), {}
    for name, data in (each for folder in folders for each in midi_files.files(folder)):
        digest = hashlib.sha256(data).digest()
        try:
            midi = midi_files.open_midi(data, name)
        except MediaError:
            continue
        if digest not in seen and midi_files.grid_fit(midi) >= LEAST_FIT:
            kept[name] = midi
        seen.add(digest)
    return kept


def _write(out: Path, samples: np.ndarray, labels: Piece) -> None:
    soundfile.write(out / f"{labels.name}.flac", samples, SAMPLE_RATE)
    labels.save(out / f"{labels.name}.json")
