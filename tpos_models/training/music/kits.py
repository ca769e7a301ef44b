"""Drums that are no SoundFont's: one-shots sorted by their names, and kits synthesised as drum machines do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tpos_models.pocket.synth.synthesis import Signal, Studio, unit

SAMPLE_RATE = 44100
LONGEST_S = 2.5
_NAMES = {
    "kick": r"kick|^bd|bassdrum|drum_bass|_bd_|hse_k_",
    "snare": r"snare|^sn_|^sd_|_sn_|^sn\d?_",
    "clap": r"clap",
    "rim": r"rim|^rs_|sidestick|stick",
    "open": r"hat.?op|open.?hat|hihatopen|hihat.?open|hhopen|^ho_|ohh|cymbal_open",
    "pedal": r"pedal|foot|hh_p|_pd",
    "hat": r"hat|^hh|chh|_hh_|cymbal_closed",
    "ride": r"ride|^rd\d?_|^rc_",
    "cymbal": r"crash|cymbal|^cra|splash|china|^cc_",
    "tom": r"tom|^tm\d?_|^t\d_|^ft_",
    "cowbell": r"cowbell|cow|mc_cb|agogo",
    "percussion": r"shaker|clav|conga|tabla|wood|perc|click|tamb",
}
_KIND_OF_NOTE = {
    35: "kick", 36: "kick", 37: "rim", 38: "snare", 39: "clap", 40: "snare", 42: "hat", 44: "pedal", 46: "open",
    49: "cymbal", 51: "ride", 53: "ride", 55: "cymbal", 56: "cowbell", 57: "cymbal", 59: "ride",
    **dict.fromkeys((41, 43, 45, 47, 48, 50), "tom"),
}  # fmt: skip
_INSTEAD = {"pedal": "hat", "ride": "hat", "rim": "snare", "open": "hat", "cowbell": "percussion", "tom": "snare"}
Kit = Mapping[str, Sequence[Path]]


def kind_of(name: str) -> str | None:
    """What a one-shot is, by its file's name."""
    low = name.lower()
    return next((kind for kind, words in _NAMES.items() if re.search(words, low)), None)


def kits(folders: Sequence[Path]) -> list[Kit]:
    """Each folder that holds at least kicks, snares and hats, at any depth, as a kit: paths by kind.

    Files that cannot be read are left out.
    """
    found: list[Kit] = []
    for folder in sorted({path.parent for top in folders for path in top.rglob("*") if _is_sound(path)}):
        kit: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.iterdir()):
            if _is_sound(path) and (kind := kind_of(path.stem)) and _readable(path):
                kit[kind].append(path)
        if {"kick", "snare", "hat"} <= kit.keys():
            found.append(kit)
    return found


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in (".wav", ".flac", ".ogg", ".aiff")


def _readable(path: Path) -> bool:
    try:
        return soundfile.info(path).frames > 0
    except soundfile.LibsndfileError:
        return False


class Drummer:
    """One kit as it plays one piece: the same one-shot for the same drum throughout."""

    def __init__(self, rng: np.random.Generator, kit: Kit | None) -> None:
        self._rng, self._kit = rng, kit
        self._shots: dict[str, Signal | None] = {}
        self._loud = {kind: float(rng.uniform(0.7, 1.2)) for kind in _NAMES}

    def shot(self, pitch: int) -> Signal | None:
        """The sound of a General MIDI drum note at peak 1 before its kind's loudness, from its first sample on."""
        kind = _KIND_OF_NOTE.get(pitch, "percussion")
        if kind not in self._shots:
            self._shots[kind] = self._sampled(kind) if self._kit else self._synthesised(kind)
        shot = self._shots[kind]
        if shot is not None and kind == "tom":
            return soxr.resample(shot, 1.0, 2 ** ((41 - pitch) / 24) * 1.1)
        return shot

    def _sampled(self, kind: str) -> Signal | None:
        assert self._kit is not None
        while kind not in self._kit and kind in _INSTEAD:
            kind = _INSTEAD[kind]
        if kind not in self._kit:
            return self._synthesised(kind)
        paths = self._kit[kind]
        samples, rate = soundfile.read(paths[int(self._rng.integers(len(paths)))], always_2d=True)
        mono = soxr.resample(samples.mean(1), rate, SAMPLE_RATE)[: int(LONGEST_S * SAMPLE_RATE)]
        if not mono.size or not np.abs(mono).max():
            return None
        loud = np.abs(mono) > 0.08 * np.abs(mono).max()
        return self._levelled(mono[max(0, int(np.argmax(loud)) - 20) :], kind)

    def _levelled(self, x: Signal, kind: str) -> Signal:
        level = {"kick": 1.0, "snare": 0.75, "clap": 0.65, "cymbal": 0.5, "tom": 0.7}.get(kind, 0.4)
        return x / max(float(np.abs(x).max()), 1e-9) * level * self._loud[kind]

    def _synthesised(self, kind: str) -> Signal:
        st = Studio(self._rng, SAMPLE_RATE, SAMPLE_RATE)
        return self._levelled(_MACHINE.get(kind, _blip)(st), kind)


def _kick(st: Studio) -> Signal:
    """A sine that falls to its root, driven, with a click."""
    drum = st.short(st.between(0.2, 0.6))
    t = drum.time_s
    tone = drum.glide(st.between(40, 58) + st.between(80, 260) * np.exp(-t / st.octaves(0.012, 0.05)))
    body = np.tanh(st.octaves(1, 6) * tone * np.exp(-t / st.between(0.08, 0.25)))
    return body + drum.place([(0.0, st.between(0.05, 0.4) * st.puff(1500, 9000, 0.003))])


def _snare(st: Studio) -> Signal:
    """Two falling modes under a burst of noise."""
    drum = st.short(0.35)
    t = drum.time_s
    tone = drum.glide(st.between(160, 230) * (1 + 0.6 * np.exp(-t / 0.01))) * np.exp(-t / st.between(0.03, 0.09))
    rattle = unit(drum.noise(st.octaves(700, 2500), 12000)) * np.exp(-t / st.octaves(0.04, 0.14))
    return tone + st.between(0.3, 0.9) * rattle


def _clap(st: Studio) -> Signal:
    """Three hands a hundredth of a second apart, and the room."""
    drum = st.short(0.3)
    return drum.place([(k * st.between(0.008, 0.012), st.puff(900, 5000, 0.006 if k < 3 else 0.06)) for k in range(4)])


def _metal(decay_s: tuple[float, float], low_hz: tuple[float, float]) -> Callable[[Studio], Signal]:
    """Six square waves and noise above `low_hz`: hats and cymbals."""

    def hit(st: Studio) -> Signal:
        seconds = st.octaves(*decay_s)
        drum = st.short(min(LONGEST_S, 5 * seconds))
        squares = np.sum(
            [np.sign(drum.glide(hz * st.between(0.95, 1.05))) for hz in (2050, 3040, 3690, 5220, 5400, 8000)], 0
        )
        bright = drum.filtered(drum.filtered(squares, st.octaves(*low_hz), 16000), 5000, 16000)
        return (unit(bright) + unit(drum.noise(st.octaves(*low_hz), 16000))) * np.exp(-drum.time_s / seconds)

    return hit


def _tom(st: Studio) -> Signal:
    drum = st.short(0.5)
    t = drum.time_s
    return drum.glide(st.between(90, 130) * (1 + 0.5 * np.exp(-t / 0.03))) * np.exp(-t / st.between(0.1, 0.2))


def _blip(st: Studio) -> Signal:
    drum = st.short(0.15)
    hz = st.octaves(500, 2500)
    return (drum.glide(hz) + 0.5 * drum.glide(1.48 * hz)) * np.exp(-drum.time_s / st.octaves(0.01, 0.05))


_MACHINE = {
    "kick": _kick, "snare": _snare, "clap": _clap, "tom": _tom, "hat": _metal((0.012, 0.04), (5000, 9000)),
    "pedal": _metal((0.012, 0.03), (4000, 8000)), "open": _metal((0.08, 0.3), (5000, 8000)),
    "ride": _metal((0.2, 0.5), (4000, 7000)), "cymbal": _metal((0.4, 1.0), (3000, 6000)),
}  # fmt: skip
