"""The textures music is made of, synthesised: drums, bass, pads, a humming voice, risers, a four-on-the-floor beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tpos_models.pocket.synth.synthesis import Signal, Studio, chord, hump, mix, unit


def _thump(st: Studio) -> Signal:
    """A kick drum: a sine that falls to its root, and a click."""
    drum = st.short(st.between(0.25, 0.45))
    t = drum.time_s
    curve = st.between(42, 60) + st.between(80, 180) * np.exp(-t / st.between(0.02, 0.045))
    return drum.glide(curve) * np.exp(-t / st.between(0.1, 0.18)) + drum.place(
        [(0.0, 0.3 * st.puff(1500, 8000, 0.003))]
    )


def kick(st: Studio, s: float) -> Signal:
    drum, beat_s = _thump(st), 60 / st.between(85, 150)
    return st.place([(at, drum) for at in np.arange(0.02, st.seconds, beat_s)])


def hats(st: Studio, s: float) -> Signal:
    step_s = 15 / st.between(85, 150)
    low_hz = st.octaves(5000, 9000)
    shut, opened = st.puff(low_hz, 16000, st.octaves(0.012, 0.04)), st.puff(low_hz, 16000, st.between(0.08, 0.15))
    accents = st.rng.choice((0.25, 0.6, 1.0), 4)
    steps = enumerate(np.arange(0.01, st.seconds, step_s))
    return st.place([(at, accents[i % 4] * (opened if i % 8 == 6 else shut)) for i, at in steps])


def bass(st: Studio, s: float) -> Signal:
    root_hz, step_s = st.octaves(36, 62), 30 / st.between(85, 150)
    line = st.rng.choice((0, 0, 0, 3, 5, 7, 10, 12), 8)
    notes = []
    for i, at in enumerate(np.arange(0.0, st.seconds, step_s)):
        note = st.short(step_s * 0.95)
        notes.append((at, note.voice(root_hz * 2 ** (line[i % 8] / 12), 10, 1.3) * hump(note.n, 0.05)))
    return np.tanh(1.5 * st.place(notes))


def pad(st: Studio, s: float) -> Signal:
    held = chord(st, st.octaves(130, 262), ((0, 3, 7, 10), (0, 3, 7, 14), (0, 5, 7, 12))[st.rng.integers(3)], 12)
    return st.room(held * st.drift(0.5, 0.5, 1), 1.5, 0.4)


def voice(st: Studio, s: float) -> Signal:
    """Somebody hums vowels: glottal pulses through three moving formants, syllable by syllable."""
    pitch_hz = st.octaves(95, 260)
    syllables, at = [], 0.03
    while at < st.seconds:
        note = st.short(st.between(0.15, 0.45))
        source = note.voice(pitch_hz * note.drift(6, 0.9, 1.15), 60, 1.1)
        formants = (st.octaves(300, 850), st.octaves(850, 2200), st.octaves(2400, 3200))
        vowel = np.sum(
            [g * note.filtered(source, f / 1.15, f * 1.15) for f, g in zip(formants, (1, 0.7, 0.4), strict=True)],
            axis=0,
        )
        syllables.append((at, unit(vowel) * hump(note.n, 0.25) ** 0.7))
        at += note.seconds * st.between(0.9, 1.4)
    return st.room(st.place(syllables), 0.4, 0.15)


def sweep(st: Studio, s: float) -> Signal:
    """A riser: a band of noise that climbs, again and again."""
    period_s = st.between(2, 6)
    x = ((st.time_s + st.between(0, period_s)) / period_s) % 1
    centres = np.geomspace(200, 12000, 12)
    position = x * 11
    bands = [st.noise(hz * 0.8, hz * 1.25) * np.maximum(0, 1 - np.abs(position - k)) for k, hz in enumerate(centres)]
    return np.sum(bands, axis=0) * (0.4 + 0.6 * x)


def beat(st: Studio, s: float) -> Signal:
    """Four on the floor: kick on every beat, clap on two and four, hats between, a bass line under it."""
    beat_s = 60 / st.between(118, 132)
    beats = np.arange(0.02, st.seconds, beat_s)
    drum, clap, hat = _thump(st), st.puff(900, 6000, 0.05), st.puff(7000, 16000, 0.03)
    kicks = st.place([(at, drum) for at in beats])
    claps = st.place([(at, clap) for at in beats[1::2]])
    hats = st.place([(at + beat_s / 2, hat) for at in beats])
    duck = 1 - np.exp(-((st.time_s - 0.02) % beat_s) / 0.12)
    bass = st.voice(st.octaves(45, 58), 8, 1.3) * duck
    return mix((0, kicks), (-7, bass), (-9, claps), (-11, hats))


RECIPES: dict[str, Callable[[Studio, float], Signal]] = {
    "kick": kick, "hats": hats, "bass": bass, "pad": pad, "voice": voice, "sweep": sweep, "beat": beat,
}  # fmt: skip
