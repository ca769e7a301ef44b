"""A piece from a seed: sections, then drums, bass, chords, pad, lead and arpeggio for every bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tpos_models.training.music.general_midi import PROGRAMS
from tpos_models.training.music.styles import DRUM_NOTES, SCALES, Style, styles

T = TypeVar("T")
ETUDE, ETUDE_S, ETUDE_STREAM = "etude", (15.0, 25.0), 2
CLUB_SHARE = 0.65
"""How many pieces are of a club style."""
_HITS = {"X": 1.0, "x": 0.78, "o": 0.45}
_BASS = {"r": 0, "f": 4, "o": 7, "t": 2, "s": 6}
_CLUB_PLANS = (
    (("intro", 4), ("verse", 8), ("breakdown", 4), ("build", 4), ("drop", 8)),
    (("verse", 8), ("breakdown", 8), ("build", 4), ("drop", 8)),
    (("verse", 8), ("breakdown", 4), ("build", 2), ("drop", 8)),
    (("verse", 12), ("build", 4), ("drop", 8), ("breakdown", 4)),
    (("verse", 8), ("breakdown", 4), ("drop", 8), ("verse", 4)),
    (("intro", 4), ("verse", 8), ("breakdown", 8), ("build", 8), ("drop", 8)),
    (("verse", 8), ("breakdown", 4), ("build", 4), ("drop", 8), ("breakdown", 4), ("build", 4), ("drop", 8)),
    (("verse", 4), ("breakdown", 4), ("build", 4), ("drop", 8)),
    (("drop", 4), ("breakdown", 4), ("build", 4), ("drop", 8)),
    (("verse", 8), ("build", 2), ("drop", 8)),
    (("breakdown", 4), ("build", 4), ("drop", 8), ("breakdown", 2), ("drop", 8)),
    (("intro", 8), ("verse", 16)),
    (("verse", 24),),
)
_PLANS = (
    (("intro", 2), ("verse", 8), ("verse", 8), ("breakdown", 4), ("drop", 8)),
    (("intro", 4), ("verse", 8), ("verse", 8)),
    (("verse", 8), ("verse", 8), ("breakdown", 4), ("build", 2), ("drop", 8)),
    (("verse", 16),),
    (("verse", 8), ("breakdown", 4), ("drop", 8)),
)
_CALM_PLANS = ((("intro", 4), ("verse", 8), ("verse", 8)), (("verse", 16),))
"""Where no kick plays nothing can drop."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note; `start` and `length` in quarters since the piece's start, `velocity` 0..1."""

    part: str
    start: float
    length: float
    pitch: int
    velocity: float


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of bars: intro, verse, breakdown, build or drop."""

    kind: str
    first_bar: int
    bars: int


@dataclass(frozen=True, slots=True)
class Composition:
    """What is played: `bpm` (quarters a minute) for every bar, General MIDI `programs` by part."""

    style: Style
    seed: int
    bpm: tuple[float, ...]
    sections: tuple[Section, ...]
    programs: dict[str, int]
    notes: tuple[Note, ...]


def compose(seed: int, seconds: tuple[float, float] = (30.0, 60.0), style: str | None = None) -> Composition:
    """The piece of this seed, cut at a bar's end to fit between `seconds`."""
    rng = np.random.default_rng(seed)
    known = [each for each in styles().values() if each.club == (rng.random() < CLUB_SHARE)]
    chosen = styles()[style] if style else known[rng.integers(len(known))]
    return _Composer(rng, chosen, seed).piece(seconds)


def etude(seed: int, seconds: tuple[float, float] = ETUDE_S) -> Composition:
    """Parts of a piece, few or all, each by any instrument: what seldom plays is heard by itself, and among others."""
    piece, rng = compose(seed, seconds), np.random.default_rng((seed, ETUDE_STREAM))
    parts = sorted({note.part for note in piece.notes})
    kept = rng.permutation(parts)[: int(rng.choice((1, 2, 3, 5, 8)))]
    programs = {part: piece.programs["drums"] if part == "drums" else _any_program(rng) for part in kept}
    last = piece.sections[-1]
    return replace(
        piece,
        style=replace(piece.style, name=ETUDE, club=False),
        sections=(Section("verse", 0, last.first_bar + last.bars),),
        programs={**piece.programs, **programs},
        notes=tuple(note for note in piece.notes if note.part in kept),
    )


def _any_program(rng: np.random.Generator) -> int:
    """A General MIDI program; every instrument is as likely."""
    programs = list(PROGRAMS.values())
    return int(rng.choice([number for each in programs[rng.integers(len(programs))] for number in each]))


class _Composer:
    """One piece in the making; every choice comes from its generator."""

    def __init__(self, rng: np.random.Generator, style: Style, seed: int) -> None:
        self.rng, self.style, self.seed = rng, style, seed
        self.key = int(rng.integers(12))
        self.swing, self.loose_s = rng.uniform(*style.swing), rng.uniform(*style.loose_ms) / 1000
        self.beats_minute = float(rng.uniform(*style.tempo))
        self.progression = self._of(style.progressions)
        self.chord_bars = 1 if rng.random() < 0.7 else 2
        self.groove = {name: self._of(patterns) for name, patterns in style.drums.items()}
        self.lines = {"bass": self._of(style.bass), "chords": self._of(style.chords)}
        self.motif = [self._motif() for _ in range(2)]
        self.gap = float(self._of((0, 0, 0.5, 1, 1, 2))) * style.beat if style.club else 0.0
        self.kept = {"chords": rng.random() < 0.85, "pad": rng.random() < 0.6, "lead": rng.random() < 0.65}
        self.kept["arp"] = rng.random() < (0.45 if style.club else 0.2)
        self.kept["bass"] = rng.random() < 0.95

    def _of(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def piece(self, seconds: tuple[float, float]) -> Composition:
        quarters_minute = self.beats_minute * self.style.beat
        bar_s = self.style.quarters * 60 / quarters_minute
        sections = self._sections(self.rng.uniform(*seconds), bar_s)
        bars = sections[-1].first_bar + sections[-1].bars
        wander = np.zeros(bars)
        if self.rng.random() < self.style.drift:
            wander = np.cumsum(self.rng.normal(0, 0.006, bars)).clip(-0.05, 0.05)
        notes = [note for section in sections for note in self._section(section)]
        programs = {part: int(self._of(numbers)) for part, numbers in self.style.programs.items()}
        programs["drums"] = int(self._of((0, 0, 8, 16, 24, 25) if self.style.club else (0, 0, 8, 16, 32, 40)))
        bpm = tuple((quarters_minute * (1 + wander)).tolist())
        return Composition(self.style, self.seed, bpm, tuple(sections), programs, tuple(self._human(notes)))

    def _sections(self, seconds: float, bar_s: float) -> list[Section]:
        """A plan, its cycle repeated until it is long enough, then cut."""
        beaten = self.groove.get("kick", "")
        plan = list(self._of((_CLUB_PLANS if self.style.club else _PLANS) if beaten else _CALM_PLANS))
        most, at = max(8, round(seconds / bar_s)), 0
        sections: list[Section] = []
        while at < most:
            kind, bars = plan[min(len(sections), len(plan) - 1)] if len(sections) < len(plan) else self._again(sections)
            bars = min(bars, most - at)
            sections.append(Section(kind, at, bars))
            at += bars
        if sections[-1].kind == "build":
            sections.append(Section("drop", at, 4))
        return sections

    def _again(self, sections: list[Section]) -> tuple[str, int]:
        """What follows after the plan's end."""
        follows = {"drop": "breakdown", "breakdown": "build", "build": "drop", "verse": "verse", "intro": "verse"}
        if not self.style.club:
            return "verse", 8
        return follows[sections[-1].kind], int(self._of((4, 8)))

    def _section(self, section: Section) -> Iterator[Note]:
        playing = self._layers(section.kind)
        if section.kind == "verse" and self.rng.random() < 0.4:
            self.groove |= {name: self._of(self.style.drums[name]) for name in self.groove if self.rng.random() < 0.3}
        for bar in range(section.bars):
            first, last = bar == 0, bar == section.bars - 1
            at = (section.first_bar + bar) * self.style.quarters
            end = at + self.style.quarters
            if section.kind == "build":
                yield from self._roll(at, bar / section.bars, 1 / section.bars, end - self.gap if last else end)
            fill = last or (bar % 4 == 3 and self.rng.random() < 0.25)
            for note in self._bar(section, at, section.first_bar + bar, playing, fill):
                if not (section.kind == "build" and last and note.start >= end - self.gap - 1e-6):
                    yield note
            if (
                first
                and section.kind in ("drop", "verse")
                and self.rng.random() < (0.9 if section.kind == "drop" else 0.4)
            ):
                yield Note("drums", at, 0.5, int(self._of((49, 49, 57, 55))), 0.95)

    def _layers(self, kind: str) -> dict[str, float]:
        """The parts that play in a section and how loudly."""
        rng = self.rng
        on = {part: 1.0 for part, kept in self.kept.items() if kept}
        drums = {name: 1.0 for name in self.groove}
        if kind == "drop":
            return on | drums | ({"lead": 1.0} if rng.random() < 0.8 else {"arp": 1.0}) | {"bass": 1.0}
        if kind == "verse":
            dropped = [part for part in ("lead", "arp", "pad") if rng.random() < 0.35]
            return {part: 0.85 for part in (on | drums) if part not in dropped}
        if kind == "breakdown":
            soft = {"pad": 0.9, "chords": 0.8} if rng.random() < 0.7 else {"pad": 0.8, "arp": 0.8}
            some = {name: 0.5 for name in drums if name not in ("kick", "cymbal") and rng.random() < 0.2}
            return soft | some | ({"lead": 0.8} if rng.random() < 0.5 else {})
        if kind == "build":
            held = {"pad": 0.9, "chords": 0.9} | {part: 0.9 for part in ("arp", "lead") if rng.random() < 0.5}
            return held | {name: 0.8 for name in drums if name in ("hat", "clap", "open") and rng.random() < 0.5}
        kept = [name for name in drums if rng.random() < 0.55] + [part for part in on if rng.random() < 0.4]
        return dict.fromkeys(kept or ["pad"], 0.75)

    def _roll(self, at: float, done: float, share: float, end: float) -> Iterator[Note]:
        """One bar of a build-up: a snare (and perhaps a kick) that doubles its rate as the section goes on."""
        kick = self.seed % 3 > 0
        beats = round(self.style.quarters / self.style.beat)
        for beat in range(beats):
            x = done + share * beat / beats
            parts = 2 ** min(3, int(4 * x)) if self.seed % 5 else 2 ** (1 + min(2, int(3 * x)))
            for k in range(parts):
                start = at + (beat + k / parts) * self.style.beat
                if start < end - 1e-6:
                    yield Note("drums", start, 0.1, 38 if self.seed % 2 else 40, 0.4 + 0.5 * x)
                    if kick and k % max(1, parts // 2) == 0:
                        yield Note("drums", start, 0.1, 36, 0.6 + 0.3 * x)

    def _bar(self, section: Section, at: float, number: int, playing: dict[str, float], fill: bool) -> Iterator[Note]:
        degree = self.progression[number // self.chord_bars % len(self.progression)]
        rises = section.kind in ("build", "intro")
        swell = 0.7 + 0.3 * (number - section.first_bar) / section.bars if rises else 1.0
        for name, loud in playing.items():
            if name in self.groove:
                yield from self._drum(name, at, loud * swell, fill and section.kind in ("verse", "drop", "intro"))
        if fill and "snare" in playing and section.kind in ("verse", "drop", "intro"):
            yield from self._fill(at)
        if "bass" in playing:
            yield from self._bass(at, degree, playing["bass"] * swell)
        if "chords" in playing:
            yield from self._chords(at, degree, playing["chords"] * swell)
        if "pad" in playing:
            for pitch in self._voicing(degree, 52):
                yield Note("pad", at, self.style.quarters * 0.98, pitch, 0.6 * playing["pad"] * swell)
        if "lead" in playing:
            yield from self._lead(at, degree, number, playing["lead"] * swell)
        if "arp" in playing:
            yield from self._arp(at, degree, playing["arp"] * swell)

    def _steps(self, pattern: str) -> Iterator[tuple[str, float, float]]:
        """Of each character that begins something: it, its start in the bar and its length with what is held."""
        step = self.style.quarters / max(1, len(pattern))
        for i, letter in enumerate(pattern):
            if letter not in ".-":
                held = len(pattern[i + 1 :]) - len(pattern[i + 1 :].lstrip("-"))
                yield letter, i * step, (1 + held) * step

    def _drum(self, name: str, at: float, loud: float, fill: bool) -> Iterator[Note]:
        for letter, start, length in self._steps(self.groove[name]):
            if fill and name in ("snare", "clap", "kick") and start >= self.style.quarters * 0.75:
                continue
            if self.rng.random() < (0.25 if letter == "o" else 0.015):
                continue
            note = DRUM_NOTES[name] + (int(self.rng.integers(2)) if name == "conga" else 0)
            yield Note("drums", at + start, min(length, 0.25), note, loud * _HITS[letter])

    def _fill(self, at: float) -> Iterator[Note]:
        kinds = self._of(((38, 38, 38, 38), (38, 48, 45, 43), (50, 47, 45, 41), (38, 38, 36, 36), (40, 38, 45, 36)))
        first = self.style.quarters * float(self._of((0.5, 0.75, 0.75, 0.75)))
        step = self.style.beat / (3 if self.style.meter[1] == 8 else 4)
        steps = round((self.style.quarters - first) / step)
        for k in range(steps):
            if self.rng.random() < 0.8:
                yield Note("drums", at + first + k * step, 0.2, kinds[k * 4 // steps], 0.6 + 0.3 * k / steps)

    def _pitch(self, degree: int, low: int) -> int:
        """A degree of the scale (0 the key's root) as the lowest MIDI pitch from `low` up."""
        semitones = self.key + SCALES[self.style.scale][degree % 7] + 12 * (degree // 7)
        return low + (semitones - low) % 12 + 12 * (degree // 7 if degree >= 7 else 0)

    def _voicing(self, degree: int, low: int) -> list[int]:
        tones = (0, 2, 4, 6) if self.seed % 4 == 0 else (0, 2, 4)
        return sorted(low + (self._pitch((degree - 1 + tone) % 7, 0) - low) % 12 for tone in tones)

    def _bass(self, at: float, degree: int, loud: float) -> Iterator[Note]:
        for letter, start, length in self._steps(self.lines["bass"]):
            root = self._pitch((degree - 1) % 7, 28)
            to = _BASS[letter]
            pitch = root + 12 if to == 7 else root + (self._pitch((degree - 1 + to) % 7, 0) - root) % 12
            yield Note("bass", at + start, length * 0.92, pitch, loud * (0.95 if start == 0 else 0.8))

    def _chords(self, at: float, degree: int, loud: float) -> Iterator[Note]:
        for letter, start, length in self._steps(self.lines["chords"]):
            for pitch in self._voicing(degree, 55):
                yield Note("chords", at + start, length * 0.9, pitch, 0.85 * loud * _HITS[letter])

    def _motif(self) -> list[tuple[int, float, float]]:
        """(degree above the chord, start, length) of one bar's melody."""
        step = self.style.beat / (3 if self.style.meter[1] == 8 else float(self._of((2, 2, 4))))
        at, degree, notes = 0.0, int(self.rng.integers(0, 5)), []
        while at < self.style.quarters - 1e-6:
            length = step * int(self._of((1, 1, 2, 2, 3, 4)))
            length = min(length, self.style.quarters - at)
            if self.rng.random() < 0.8:
                notes.append((degree, at, length))
            degree = int(np.clip(degree + self._of((-2, -1, -1, 0, 1, 1, 2, 3)), -3, 9))
            at += length
        return notes

    def _lead(self, at: float, degree: int, number: int, loud: float) -> Iterator[Note]:
        if number % 8 == 7 and self.seed % 2:
            return
        for above, start, length in self.motif[number // 2 % 2]:
            steps = degree - 1 + above
            pitch = 64 + self.key + 12 * (steps // 7) + SCALES[self.style.scale][steps % 7]
            yield Note("lead", at + start, length * 0.9, pitch - 12 * (pitch > 93), 0.85 * loud)

    def _arp(self, at: float, degree: int, loud: float) -> Iterator[Note]:
        chord = self._voicing(degree, 60)
        order = [*chord, chord[0] + 12, *chord[::-1]] if self.seed % 2 else [*chord, chord[0] + 12]
        step = self.style.beat / (3 if self.style.meter[1] == 8 else 4 if self.style.club else 2)
        for k in range(round(self.style.quarters / step)):
            yield Note("arp", at + k * step, step * 0.8, order[k % len(order)], loud * (0.8 if k % 4 else 0.95))

    def _human(self, notes: list[Note]) -> Iterator[Note]:
        """Swing, and what hands do: small errors of time and of force."""
        half = self.style.beat / 2 if self.seed % 2 else self.style.beat / 4
        for note in notes:
            late = self.swing * half if abs(note.start / half % 2 - 1) < 1e-3 else 0.0
            off_s = float(np.clip(self.rng.normal(0, self.loose_s), -3 * self.loose_s, 3 * self.loose_s))
            start = max(0.0, note.start + late + off_s * self.beats_minute * self.style.beat / 60)
            velocity = float(np.clip(note.velocity * self.rng.normal(1, 0.06), 0.05, 1.0))
            yield replace(note, start=start, velocity=velocity)
