"""Synthesised sounds: every condition a `pocket` picture can show, and the textures music is made of.

They teach the audio encoder, and they are the built-in soundtrack. Each is a small physical-ish model whose
parameters are drawn from the seed, so that another seed is another recording, not another take of the same one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from tpos_models.errors import InputError
from tpos_models.pocket.scene import CONDITIONS
from tpos_models.pocket.synth import music
from tpos_models.pocket.synth.synthesis import Signal, Studio, chord, hump, mix, unit

TEXTURES = (*music.RECIPES, "silence")
NAMES = CONDITIONS + TEXTURES

PEAK_LEVEL_DB = -16.0
"""RMS of the louder moments (95th percentile of 50 ms blocks) at strength 1, 0 dB = full scale."""
STRENGTH_RANGE_DB = 24.0
"""How much quieter strength 0 is than strength 1."""


def synthesise(name: str, seconds: float, seed: int, sample_rate: int = 44_100, strength: float = 1.0) -> np.ndarray:
    """Synthesise one sound: mono float32 of `round(seconds * sample_rate)` samples, within -1..1.

    The same arguments give the same samples. `strength` 0..1 makes it both denser or harsher (drizzle to downpour)
    and louder, by `STRENGTH_RANGE_DB`. An unknown name raises InputError.
    """
    if name not in NAMES:
        raise InputError(f"no sound named {name!r}: one of {', '.join(NAMES)}")
    n = round(seconds * sample_rate)
    if n <= 0 or name == "silence":
        return np.zeros(max(n, 0), np.float32)
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    x = _RECIPES[name](Studio(rng, n, sample_rate), float(np.clip(strength, 0, 1)))
    return _levelled(x, sample_rate, PEAK_LEVEL_DB - STRENGTH_RANGE_DB * (1 - strength))


def _levelled(x: Signal, sample_rate: int, level_db: float) -> np.ndarray:
    """Bring the louder moments to `level_db`, round off what would clip, open and close without a click."""
    block = min(x.size, sample_rate // 20)
    levels = np.sqrt(np.mean(x[: x.size // block * block].reshape(-1, block) ** 2, axis=1))
    x = x * 10 ** (level_db / 20) / max(float(np.quantile(levels, 0.95)), 1e-9)
    ramp = np.minimum(1, np.arange(1, x.size + 1) / (0.002 * sample_rate))
    return (np.tanh(x) * ramp * ramp[::-1]).astype(np.float32)


def _crackles(st: Studio, per_s: float, low_hz: float, high_hz: float, decay_ms: float, kinds: int = 5) -> Signal:
    """Poisson clicks, each kind in its own small body: embers, crunching snow, debris."""
    out = np.zeros(st.n)
    for _ in range(kinds):
        decay_s = st.octaves(0.4, 2.0) * decay_ms / 1000
        body = st.body([st.octaves(low_hz, high_hz) for _ in range(3)], [decay_s] * 3)
        puff = 0.1 * st.puff(low_hz, 2 * high_hz, decay_s)
        out += st.ring(st.clicks(per_s / kinds, 1.0), body + puff)
    return out


def _bubbles(st: Studio, per_s: float, low_hz: float, high_hz: float, density: Signal | None = None) -> Signal:
    """Air bubbles after Minnaert: pitch 3.26 m/s over the radius, larger ones ring longer, all rise while closing."""
    out = np.zeros(st.n)
    for _ in range(9):
        hz = st.octaves(low_hz, high_hz)
        body = st.body([hz], [st.between(8, 16) / hz], rise=st.between(0.02, 0.12))
        out += st.ring(st.clicks(per_s / 9, 0.6, density), body) * np.sqrt(low_hz / hz)
    return out


def _fire(st: Studio, s: float) -> Signal:
    embers = _crackles(st, (6 + 40 * s) * st.octaves(0.5, 2), 1200, 7000, st.octaves(0.8, 3))
    pops = _crackles(st, 0.5 + 4 * s, 300, 1500, st.octaves(3, 9), kinds=3)
    roar = st.noise(40, st.octaves(200, 600), -3) * st.drift(st.between(3, 8), 0.4, 1)
    hiss = st.noise(1500, 9000) * st.drift(2, 0.3, 1)
    parts = mix((0, embers), (st.between(-6, 0), pops), (st.between(-20, -6), roar), (st.between(-24, -12), hiss))
    return st.room(parts, st.between(0.1, 0.6), st.between(0, 0.3))


def _rain(st: Studio, s: float) -> Signal:
    low_hz, high_hz = st.octaves(300, 2000), st.octaves(5000, 14000)
    wash = st.noise(low_hz, high_hz, st.between(-4, 1)) * st.drift(0.5, 0.85, 1)
    patter = _crackles(st, 40 + 500 * s, low_hz, high_hz / 2, st.octaves(0.7, 2.5), kinds=7)
    drips = _bubbles(st, 2 + 14 * s, 900, 4000)
    roar = st.noise(60, 500, -2)
    heavy = -14 + 10 * s
    return mix((heavy + st.between(0, 6), wash), (-5, patter), (st.between(-22, -12), drips), (heavy - 10, roar))


def _thunder(st: Studio, s: float) -> Signal:
    events = [(at, _thunderclap(st, s)) for at in st.times(st.between(2.5, 4), 0.3, 0.1)]
    rumble = st.noise(20, 120, -4) * st.drift(1.5, 0.1, 1)
    return mix((0, st.room(st.place(events), st.between(1.5, 3.5), 0.7, 900)), (-12, rumble))


def _thunderclap(st: Studio, s: float) -> Signal:
    """A crack of several strokes, then the rumble that the sky rolls out behind it."""
    nearness = st.between(0.2, 0.6) + 0.4 * s
    strokes = [
        (st.between(0, 0.4) ** 2, st.between(0.3, 1) * st.puff(80, 900 + 5000 * nearness**2, st.between(0.03, 0.12)))
        for _ in range(int(st.between(2, 7)))
    ]
    roll = st.short(st.between(2.5, 5))
    fall = np.exp(-roll.time_s / st.between(0.8, 1.6)) * np.minimum(1, roll.time_s / 0.05)
    rumble = (roll.noise(22, st.octaves(80, 220), -3) + 0.4 * roll.noise(80, 600)) * roll.drift(6, 0.2, 1) * fall
    return 1.6 * nearness * roll.place(strokes) + 1.4 * rumble


def _snow(st: Studio, s: float) -> Signal:
    hush = st.noise(120, st.octaves(500, 1200), -5) * st.drift(0.4, 0.4, 1)
    steps = [(at, _crunch(st)) for at in st.times(st.between(0.45, 0.8), 0.1, 0.3)]
    flakes = _crackles(st, 20 + 60 * s, 2500, 6000, 0.6)
    walk = st.filtered(st.place(steps), 250, st.octaves(2200, 4500))
    return mix((0, walk), (st.between(-14, -6), hush), (-26, flakes))


def _crunch(st: Studio) -> Signal:
    """One step into dry snow: hundreds of grains breaking under a double swell, heel and toe."""
    step = st.short(st.between(0.22, 0.38))
    press = hump(step.n, 0.3) + 0.7 * np.roll(hump(step.n, 0.4), step.n // 3)
    grains = step.clicks(2500, 1.0, np.minimum(press, 1))
    return step.ring(grains, step.body([st.octaves(500, 1100), st.octaves(1200, 2600)], [0.0015, 0.001]))


def _wind(st: Studio, s: float) -> Signal:
    gusts = st.drift(st.between(0.3, 0.8), 0.25, 1) ** 1.5
    air = st.noise(30, st.octaves(150, 400) * (1 + s), -4) * gusts
    howl = np.zeros(st.n)
    for _ in range(4):
        hz = st.octaves(180, 900)
        howl += st.glide(hz) * st.noise(1, hz * 0.06) * st.drift(st.between(0.4, 1.2), 0, 1) ** 2 * gusts
    leaves = st.noise(1500, 7000) * gusts**2 * st.drift(4, 0.3, 1)
    return mix((0, air), (-10 + 6 * s + st.between(-4, 4), howl), (st.between(-26, -16), leaves))


def _waves(st: Studio, s: float) -> Signal:
    swell = np.zeros(st.n)
    foam = np.zeros(st.n)
    every_s = st.between(3.0, 6.0)
    for at in np.concatenate([[-st.between(0, 0.6) * every_s], st.times(every_s, 0.3, every_s)]):
        length = st.short(every_s * st.between(1.0, 1.7))
        loud = st.between(0.5, 1)
        at = max(at, 0.0)
        swell += st.place([(at, loud * hump(length.n, 0.45))])
        foam += st.place([(at + 0.15 * every_s, loud * hump(length.n, 0.35) ** 1.5)])
    surf = st.noise(50, st.octaves(400, 900), -3) * (0.15 + swell)
    wash = st.noise(st.octaves(500, 1200), st.octaves(4000, 9000), -2) * (0.15 + foam)
    fizz = _crackles(st, 200, 2500, 8000, 0.6) * foam
    return mix((0, surf), (st.between(-8, -1), wash), (-22, fizz))


def _fog(st: Studio, s: float) -> Signal:
    hz = st.octaves(85, 190)
    blasts = []
    for at in st.times(st.between(3.2, 5.0), 0.15, 0.1):
        horn = st.short(st.between(1.6, 2.8))
        bend = hz * (1 - 0.03 * np.exp(-horn.time_s / 0.15))
        blasts.append((at, horn.voice(bend, 14, 0.9) * hump(horn.n, 0.12) ** 0.5))
    far = st.filtered(st.room(st.place(blasts), 3.0, 0.8, 1500), 40, st.octaves(500, 1100))
    drone = st.voice(hz / 2, 6) + st.voice(hz * 0.7505, 4)
    return mix((0, far), (-14, drone * st.drift(0.3, 0.5, 1)), (-18, st.noise(60, 300, -3)))


def _sunset(st: Studio, s: float) -> Signal:
    root_hz = st.octaves(110, 196)
    warm = chord(st, root_hz, ((0, 4, 7, 11), (0, 4, 7, 14), (0, 5, 9, 14))[st.rng.integers(3)], 5)
    hz = st.octaves(3600, 5600)
    buzz = st.glide(hz) * st.noise(1, 250) * (0.5 + 0.5 * st.glide(st.between(25, 70))) * st.drift(0.5, 0.3, 1)
    return mix((0, warm * st.drift(0.4, 0.6, 1)), (st.between(-12, -4), buzz), (-24, st.noise(80, 600, -3)))


def _night(st: Studio, s: float) -> Signal:
    crickets = np.sum([_cricket(st) * st.octaves(0.3, 1) for _ in range(2 + int(3 * s))], axis=0)
    hoots = [(at, _hoot(st)) for at in st.times(st.between(3.5, 6), 0.3, 1.5)]
    owl = st.room(st.place(hoots), 1.5, 0.5, 2000)
    return mix((0, crickets), (st.between(-9, -2), owl), (-26, st.noise(60, 400, -3)))


def _cricket(st: Studio) -> Signal:
    """Three or four short pulses of a nearly pure tone, again and again."""
    hz, pulse_s, every_s = st.octaves(3800, 5200), st.between(0.022, 0.034), st.between(0.3, 0.65)
    cycle = (st.time_s + st.between(0, every_s)) % every_s
    on = (cycle < pulse_s * st.rng.integers(3, 6)) * np.sin(np.pi * cycle / pulse_s) ** 2
    return st.glide(hz * (1 + 0.004 * np.sin(40 * st.time_s))) * on


def _hoot(st: Studio) -> Signal:
    """An owl: hoo, hoo-hooo."""
    hz = st.octaves(300, 480)
    notes = []
    for at, length_s in ((0.0, 0.35), (0.75, 0.18), (1.0, 0.7)):
        note = st.short(length_s)
        bend = hz * (1 + 0.06 * np.sin(np.pi * note.time_s / length_s) + 0.01 * np.sin(35 * note.time_s))
        notes.append((at, (note.voice(bend, 3, 2.5)) * hump(note.n, 0.3)))
    return st.short(2.0).place(notes)


def _sunny(st: Studio, s: float) -> Signal:
    birds = np.zeros(st.n)
    for _ in range(2 + int(2.5 * s)):
        phrase = _bird(st)
        calls = [(at, st.between(0.4, 1) * phrase) for at in st.times(st.between(0.9, 2.0), 0.4, 0.6)]
        birds += st.place(calls)
    return mix((0, st.room(birds, 0.8, st.between(0.1, 0.4))), (st.between(-30, -20), st.noise(100, 1200, -4)))


def _bird(st: Studio) -> Signal:
    """One bird's phrase: a few swept whistles, or a trill of many."""
    hz, length_s = st.octaves(2200, 5500), st.octaves(0.04, 0.18)
    sweep, wobble = st.between(-0.5, 0.5), st.between(0, 0.12)
    notes, at = [], 0.0
    for _ in range(st.rng.integers(3, 10)):
        note = st.short(length_s * st.between(0.8, 1.2))
        x = note.time_s / length_s
        curve = hz * st.between(0.9, 1.1) * (1 + sweep * (x - 0.5) + wobble * np.sin(2 * np.pi * 25 * note.time_s))
        notes.append((at, (note.glide(curve) + 0.15 * note.glide(2 * curve)) * hump(note.n, 0.3)))
        at += length_s * st.between(1.2, 1.8)
    return st.short(at + length_s).place(notes)


def _underwater(st: Studio, s: float) -> Signal:
    crowd = _bubbles(st, (8 + 40 * s) * st.octaves(0.7, 1.5), st.octaves(250, 500), st.octaves(1500, 3000))
    streams = _bubbles(st, 60 + 200 * s, 700, 3000, st.drift(1.2, -0.6, 1))
    depth = st.noise(30, 150, -3) * st.drift(0.7, 0.4, 1)
    return mix((0, crowd), (-7, streams), (st.between(-14, -6), depth))


def _explosion(st: Studio, s: float) -> Signal:
    events = [(at, _blast(st, s)) for at in st.times(st.between(2.2, 3.6), 0.3, 0.08)]
    return mix((0, st.room(np.tanh(st.place(events)), st.between(1, 2), 0.5, 1500)), (-26, st.noise(20, 100)))


def _blast(st: Studio, s: float) -> Signal:
    """A pressure step: sub sweep, saturated noise, then debris falling."""
    air = st.short(st.between(1.8, 3.0))
    t = air.time_s
    sub = air.glide(25 + st.between(50, 90) * np.exp(-t / 0.12)) * np.exp(-t / st.between(0.35, 0.7))
    fire = np.tanh(3 * air.noise(40, st.octaves(700, 2500), -2) * np.exp(-t / st.between(0.25, 0.6)))
    crack = air.place([(0.0, 3 * st.puff(500, 9000, 0.012))])
    debris = 3 * _crackles(air, 60 + 100 * s, 400, 3500, 4) * np.exp(-t / 0.7) * np.minimum(1, t / 0.3)
    return 2.5 * sub + 2 * fire + crack + debris


def _splash(st: Studio, s: float) -> Signal:
    events = [(at, st.between(0.6, 1) * _plunge(st)) for at in st.times(st.between(0.6, 1.1), 0.4)]
    stream = _bubbles(st, 60 + 120 * s, 500, 2500)
    trickle = st.noise(600, 3500, -2) * st.drift(7, 0.1, 1)
    return mix((0, st.place(events)), (st.between(-16, -9), stream), (st.between(-24, -16), trickle))


def _plunge(st: Studio) -> Signal:
    """Something falls into water: slap, spray, then the cavity and its bubbles."""
    air = st.short(st.between(0.6, 1.0))
    t = air.time_s
    spray = air.noise(st.octaves(500, 1200), st.octaves(5000, 10000), -1)
    spray *= np.minimum(1, t / 0.012) * np.exp(-t / st.between(0.06, 0.18))
    slap = air.place([(0.0, 1.5 * st.puff(150, 900, 0.02))])
    after = _bubbles(air, 90, 350, 1800, np.exp(-t / 0.3) * np.minimum(1, t / 0.08))
    return spray + slap + 0.8 * unit(after) * np.exp(-t / 0.3)


def _aurora(st: Studio, s: float) -> Signal:
    root_hz = st.octaves(440, 700)
    bells = []
    for at in st.times(1 / st.between(2.5, 4.5 + 2 * s), 0.6):
        hz = root_hz * 2 ** (st.rng.choice((0, 2, 4, 7, 9, 12, 14, 16, 19)) / 12)
        decays = [d * st.between(0.5, 1.1) for d in (1.0, 0.7, 0.4, 0.25)]
        bells.append((at, st.between(0.3, 1) * st.body([hz, hz * 2.01, hz * 2.76, hz * 5.4], decays)))
    shimmer = chord(st, root_hz, (0, 7, 14), 3) * (0.6 + 0.4 * st.glide(st.between(3, 7))) * st.drift(0.5, 0.3, 1)
    return mix((0, st.room(st.place(bells), 2.5, 0.6, 9000)), (st.between(-10, -4), shimmer))


_RECIPES: dict[str, Callable[[Studio, float], Signal]] = {
    "fire": _fire, "rain": _rain, "thunder": _thunder, "snow": _snow, "wind": _wind, "waves": _waves, "fog": _fog,
    "sunset": _sunset, "night": _night, "sunny": _sunny, "bubbles": _underwater, "explosion": _explosion,
    "splash": _splash, "aurora": _aurora, **music.RECIPES,
}  # fmt: skip
