"""MIDI to sound: fluidsynth plays it through a SoundFont; club tracks get machines, ducking, risers, a hot master."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mido
import numpy as np
import soundfile

from tpos_models.errors import MissingFileError, MissingPart, RunError
from tpos_models.pocket.synth.synthesis import Signal, Studio, unit
from tpos_models.training.music import midi as midi_files
from tpos_models.training.music.compose import Composition
from tpos_models.training.music.general_midi import DRUM_CHANNEL
from tpos_models.training.music.kits import SAMPLE_RATE, Drummer, Kit
from tpos_models.training.music.midi import CHANNELS, Played, Reading
from tpos_models.training.music.piece import Piece

_SYNTH_BASS = 38
_ALL = set(range(16))
_MOST_RENDER_S = 600.0


def play(midi: mido.MidiFile, soundfont: Path, reverb: bool = True) -> Signal:
    """Mono samples at 44.1 kHz as fluidsynth plays a file, from tick 0; MissingPart without the program."""
    program = shutil.which("fluidsynth")
    if not program:
        raise MissingPart("fluidsynth plays MIDI files here and is not installed: apt install fluidsynth")
    if not soundfont.is_file():
        raise MissingFileError(f"{soundfont}: no such SoundFont; a .sf2 or .sf3 file would be accepted")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        midi.save(str(score))
        room = "1" if reverb else "0"
        asked = ["-ni", "-q", "-g", "0.4", "-r", str(SAMPLE_RATE), "-R", room, "-C", room, "-T", "wav", "-O", "float"]
        asked += ["-o", "synth.dynamic-sample-loading=1"]  # an .sf3 is decoded note by note, not whole
        done = subprocess.run(
            [program, *asked, "-F", str(sound), str(soundfont), str(score)], capture_output=True, timeout=_MOST_RENDER_S
        )
        if done.returncode or not sound.exists():
            raise RunError(
                f"fluidsynth could not play through {soundfont}: {done.stderr.decode(errors='replace')[-300:]}"
            )
        return soundfile.read(sound, always_2d=True)[0].mean(1)


@dataclass(frozen=True, slots=True)
class Mix:
    """How a piece is mixed; levels in dB of RMS where the part plays."""

    kit: Kit | None
    """Sampled one-shots in place of the SoundFont's drums; with `machine` none, they are synthesised."""
    machine: bool
    bass: str
    """soundfont, saw, acid or sub."""
    duck: float
    """How far the kick presses the rest down, 0..1."""
    riser_db: float | None
    high_pass: bool
    """Whether the rest loses its lows through a build-up."""
    low_pass: bool
    """Whether a breakdown is dull."""
    drive: float
    peak: float
    hiss_db: float


def mix_for(piece: Composition, rng: np.random.Generator, kits: Sequence[Kit]) -> Mix:
    """A mix as tracks of this style have it."""
    club = piece.style.club
    own = rng.random() < (0.75 if club else 0.2)
    sampled = own and kits and rng.random() < 0.65
    electric = club and _SYNTH_BASS in piece.style.programs["bass"]
    return Mix(
        kit=kits[int(rng.integers(len(kits)))] if sampled else None,
        machine=bool(own),
        bass=str(rng.choice(("soundfont", "saw", "acid", "sub"))) if electric else "soundfont",
        duck=float(rng.uniform(0, 0.9)) if club and rng.random() < 0.7 else 0.0,
        riser_db=float(rng.uniform(-22, -8)) if rng.random() < 0.7 else None,
        high_pass=bool(rng.random() < 0.5),
        low_pass=bool(club and rng.random() < 0.3),
        drive=float(np.exp(rng.uniform(np.log(0.5), np.log(4 if club else 2)))),
        peak=float(rng.uniform(0.35, 0.98)),
        hiss_db=float(rng.uniform(-90, -55)),
    )


def render(piece: Composition, soundfont: Path, kits: Sequence[Kit] = ()) -> tuple[Signal, Piece]:
    """A composition as mono float32 at 44.1 kHz, and its labels; the same for the same seed and SoundFont."""
    rng = np.random.default_rng((piece.seed, 1))
    mix = mix_for(piece, rng, kits)
    if mix.bass != "soundfont":
        piece = replace(piece, programs={**piece.programs, "bass": _SYNTH_BASS})
    score = midi_files.write(piece, rng)
    reading, labels = Reading(score), midi_files.piece_of(score, f"{piece.style.name}_{piece.seed}", piece.style.name)
    n = round(labels.seconds * SAMPLE_RATE)
    drums = _drums(score, reading, soundfont, mix, rng, n)
    rest_channels = _ALL - {DRUM_CHANNEL} - ({CHANNELS["bass"]} if mix.bass != "soundfont" else set())
    rest = _fitted(play(midi_files.only(score, rest_channels), soundfont), n)
    if mix.bass != "soundfont":
        rest = rest + _synth_bass(reading, mix.bass, rng, n) * _loudness(rest, 0.03) * float(rng.uniform(0.8, 1.8))
    rest = _filtered(rest, labels, mix) * _ducking(labels, mix.duck, n)
    balance = float(rng.uniform(-4, 5 if piece.style.club else 2))
    out = rest + drums * 10 ** (balance / 20) * _loudness(rest, 0.03) / _loudness(drums, 0.03)
    if mix.riser_db is not None:
        out = out + _risers(labels, rng, n) * _loudness(out, 0.03) * 10 ** (mix.riser_db / 20) * 4
    return _mastered(out, mix, rng), labels


def _fitted(x: Signal, n: int) -> Signal:
    return np.pad(x[:n], (0, max(0, n - x.size)))


def _loudness(x: Signal, least: float) -> float:
    """RMS of what is not silent."""
    loud = x[np.abs(x) > 1e-4]
    return max(least * 0.1, float(np.sqrt(np.mean(loud**2)))) if loud.size else least


def _drums(
    score: mido.MidiFile, reading: Reading, soundfont: Path, mix: Mix, rng: np.random.Generator, n: int
) -> Signal:
    if not mix.machine:
        return _fitted(play(midi_files.only(score, {DRUM_CHANNEL}), soundfont), n)
    drummer, st = Drummer(rng, mix.kit), Studio(rng, n, SAMPLE_RATE)
    hits = []
    for note in reading.notes:
        if note.channel == DRUM_CHANNEL and (shot := drummer.shot(note.pitch)) is not None:
            hits.append((note.start_s, shot * (note.velocity / 127) ** 1.5))
    dry = st.place(hits)
    return st.room(dry, float(rng.uniform(0.2, 1.2)), float(rng.uniform(0, 0.12))) if rng.random() < 0.5 else dry


def _synth_bass(reading: Reading, kind: str, rng: np.random.Generator, n: int) -> Signal:
    """A saw, an acid line (a resonance that falls) or a driven sine for every bass note; RMS 1 where it plays."""
    st = Studio(rng, n, SAMPLE_RATE)
    cutoff, drive, decay_s = st.octaves(300, 2500), st.octaves(1, 5), st.octaves(0.08, 0.4)
    notes = [_bass_note(st, note, kind, cutoff, decay_s) for note in reading.notes if note.channel == CHANNELS["bass"]]
    line = np.tanh(drive * st.place(notes))
    return line / _loudness(line, 0.03)


def _bass_note(st: Studio, note: Played, kind: str, cutoff: float, decay_s: float) -> tuple[float, Signal]:
    short = st.short(max(0.04, note.end_s - note.start_s))
    hz, t = 440 * 2 ** ((note.pitch - 69) / 12), short.time_s
    edges = np.minimum(1, np.minimum(t / 0.004, (short.seconds - t) / 0.01).clip(0))
    if kind == "sub":
        tone = short.voice(hz, 2, 2.0)
    else:
        most = min(40, int(8000 / hz))
        k = np.arange(1, most + 1)[:, None]
        sweep = cutoff * (1 + 3 * np.exp(-t / decay_s)) if kind == "acid" else np.full_like(t, cutoff * 1.5)
        ratio = k * hz / sweep
        gain = 1 / np.sqrt((1 - ratio**2) ** 2 + (ratio / (6 if kind == "acid" else 1)) ** 2)
        tone = (np.sin(2 * np.pi * hz * k * t) / k * gain).sum(0)
    return note.start_s, tone * edges * (note.velocity / 127)


def _filtered(x: Signal, labels: Piece, mix: Mix) -> Signal:
    """Builds lose their lows bit by bit, breakdowns their highs, where the mix says so."""
    st = Studio(np.random.default_rng(0), x.size, SAMPLE_RATE)
    for start_s, end_s, kind in labels.sections:
        if not (kind == "build" and mix.high_pass) and not (kind == "breakdown" and mix.low_pass):
            continue
        span = slice(round(start_s * SAMPLE_RATE), min(x.size, round(end_s * SAMPLE_RATE)))
        ramp = np.linspace(0, 1, span.stop - span.start)
        band = (350, 22000) if kind == "build" else (1, 900)
        thin = st.filtered(st.filtered(x, *band), *band)[span]
        share = ramp if kind == "build" else np.minimum(1, 8 * np.minimum(1.0, 1 - ramp)) * 0.9
        x = x.copy()
        x[span] = x[span] * (1 - share) + thin * share
    return x


def _ducking(labels: Piece, depth: float, n: int) -> Signal:
    """1, pressed down by `depth` at each kick and back within a quarter of a second."""
    gain = np.ones(n)
    t = np.arange(round(0.35 * SAMPLE_RATE)) / SAMPLE_RATE
    dip = 1 - depth * np.exp(-((t / 0.14) ** 2))
    for start_s, _, _ in labels.instruments.get("kick", ()):
        first = round(start_s * SAMPLE_RATE)
        part = gain[first : first + t.size]
        np.minimum(part, dip[: part.size], out=part)
    return gain


def _risers(labels: Piece, rng: np.random.Generator, n: int) -> Signal:
    """Noise that climbs and swells through each build-up."""
    out = np.zeros(n)
    for start_s, end_s, kind in labels.sections:
        if kind != "build":
            continue
        st = Studio(rng, max(2, round((end_s - start_s) * SAMPLE_RATE)), SAMPLE_RATE)
        x = st.time_s / st.seconds
        centres = np.geomspace(300, 13000, 10)
        bands = [st.noise(hz * 0.75, hz * 1.35) * np.maximum(0, 1 - np.abs(9 * x - k)) for k, hz in enumerate(centres)]
        first = round(start_s * SAMPLE_RATE)
        part = out[first : first + st.n]
        part += (np.sum(bands, axis=0) * x**1.3)[: part.size]
    return out


def _mastered(x: Signal, mix: Mix, rng: np.random.Generator) -> np.ndarray:
    """Driven into a soft clip, a hiss under it, brought to its peak."""
    driven = np.tanh(mix.drive * x / (4 * _loudness(x, 1e-3)))
    hissed = driven / max(float(np.abs(driven).max()), 1e-9) + 10 ** (mix.hiss_db / 20) * unit(
        rng.standard_normal(x.size)
    )
    return (mix.peak * hissed / max(1e-9, float(np.abs(hissed).max()))).astype(np.float32)
