"""Clocks beside the ear's: where each says the beat is, and who leads; lines that changes wait for, lengths in bars."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from engine.core.parameters import Parameter


class ClockSource(StrEnum):
    """Who says where the beat is: an Ableton Link session, MIDI clock, the operator (taps, a set tempo), the ear."""

    LINK = "link"
    MIDI = "midi"
    TAP = "tap"
    EAR = "ear"


class Quantise(StrEnum):
    """On which line of the music a change of look is made."""

    NOW = "now"
    BEAT = "beat"
    BAR = "bar"
    BARS_4 = "4 bars"
    BARS_8 = "8 bars"
    BARS_16 = "16 bars"
    DROP = "next drop"


_BARS = {Quantise.BAR: 1, Quantise.BARS_4: 4, Quantise.BARS_8: 8, Quantise.BARS_16: 16}
MAX_FADE_S, MAX_BARS = 60.0, 64.0
BAR_S = 2.0
"""A bar's length where no tempo is known."""

PHRASE_BARS = 16
"""Bars are counted so that their numbers agree with another clock's up to multiples of this."""
SAME_S, KEPT_S = 0.002, 4.0
"""A clock that is gone is gone on from for so long no further off than this."""
SLOWEST_BPM = 30.0
ORDER = ",".join(ClockSource)
CLOCK = Parameter(
    "Whose beat it is, the first that is there: Link, MIDI clock, taps or a set tempo, the ear; one left out is not "
    "followed.",
    group="sound",
    preset=False,
    cue=False,
    words=tuple(ClockSource),
)
TEMPO = Parameter(
    "Set the tempo; below 30 the music decides.",
    high=300.0,
    unit="BPM",
    group="sound",
    off_below=SLOWEST_BPM,
    preset=False,
    cue=False,
    path="/tpos/tempo/bpm",
)
QUANTISE = Parameter(
    "When prompts, presets, cues and effects that switch change: at once, or on a line of the music, at once where "
    "there is no tempo; what waits for a drop is made by asking again.",
    group="stage",
    preset=False,
    cue=False,
)


@dataclass(frozen=True, slots=True)
class BeatGrid:
    """What another clock says: `beats` at `time_s`, going on at `bpm`; beat 0 began a bar.

    One that is not `anchored` knows the tempo only, as a MIDI clock that was never started.
    """

    source: ClockSource
    time_s: float
    beats: float
    bpm: float
    beats_per_bar: int = 4
    anchored: bool = True

    def at(self, time_s: float) -> float:
        """Beats at a time."""
        return self.beats + (time_s - self.time_s) * self.bpm / 60

    def later(self, by_s: float) -> BeatGrid:
        """The same on a clock that is `by_s` ahead."""
        return replace(self, time_s=self.time_s + by_s)

    def agrees(self, other: BeatGrid) -> bool:
        """Whether both put beats within `SAME_S` of each other, from the other's moment on for `KEPT_S`."""
        if (self.source, self.anchored, self.beats_per_bar) != (other.source, other.anchored, other.beats_per_bar):
            return False
        moments = (other.time_s, other.time_s + KEPT_S)
        return all(abs(self.at(at_s) - other.at(at_s)) * 60 <= SAME_S * other.bpm for at_s in moments)


def leading(order: str, grids: Iterable[BeatGrid], operator: bool, ear: bool) -> ClockSource | BeatGrid | None:
    """Who leads: the first in `order` that is there, the grid itself for another clock; None where nobody is.

    `operator` and `ear` say whether those have a tempo; the ear is taken without one where it is the last.
    """
    there: dict[str, ClockSource | BeatGrid] = {grid.source: grid for grid in grids}
    there |= {ClockSource.TAP: ClockSource.TAP} if operator else {}
    words = [word.strip() for word in order.split(",")]
    ear = ear or not any(word in there for word in words)
    there |= {ClockSource.EAR: ClockSource.EAR} if ear else {}
    return next((there[word] for word in words if word in there), None)


class Playing(Protocol):
    """Where the music is, as `engine.core.messages.AudioFeatures` say it."""

    @property
    def bpm(self) -> float: ...
    @property
    def beat(self) -> int: ...
    @property
    def beat_phase(self) -> float: ...
    @property
    def bar(self) -> int: ...
    @property
    def bar_beat(self) -> int: ...
    @property
    def beats_per_bar(self) -> int: ...
    @property
    def drops(self) -> int: ...


def line(quantise: Quantise, heard: Playing, later_s: float = 0.0) -> int | None:
    """How many of these lines lie behind, so much later than what was heard; None where there are none.

    A drop is a line that nobody can foresee, and needs no tempo.
    """
    if quantise is Quantise.DROP:
        return heard.drops
    if quantise is Quantise.NOW or not heard.bpm:
        return None
    beats = _beats(heard, later_s)
    if quantise is Quantise.BEAT:
        return int(heard.beat + beats)
    return int((heard.bar + (heard.bar_beat + beats) / heard.beats_per_bar) / _BARS[quantise])


def since_line_s(quantise: Quantise, heard: Playing, later_s: float = 0.0) -> float | None:
    """Seconds since the last of these lines, at that time; None where there are none that can be foreseen."""
    if quantise not in (Quantise.BEAT, *_BARS) or not heard.bpm:
        return None
    passed, apart = _beats(heard, later_s), 1.0
    if quantise is not Quantise.BEAT:
        passed += heard.bar % _BARS[quantise] * heard.beats_per_bar + heard.bar_beat
        apart = heard.beats_per_bar * _BARS[quantise]
    return passed % apart * 60 / heard.bpm


def _beats(heard: Playing, later_s: float) -> float:
    """Since the beat that was heard last."""
    return heard.beat_phase + max(0.0, later_s) * heard.bpm / 60


def bar_s(bpm: float, beats_per_bar: int) -> float:
    """How long a bar is."""
    return beats_per_bar * 60 / bpm if bpm > 0 else BAR_S


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time: in bars where there are any, else in seconds."""

    seconds: float = 0.0
    bars: float = 0.0

    @classmethod
    def of(cls, value: object) -> Span:
        """Of a number of seconds, or of text such as `1.5 s`, `2 bars`. Raises ValueError for all else."""
        text = f"{value:f}" if isinstance(value, int | float) else str(value)
        match = re.fullmatch(r"(\d{1,6}(?:\.\d*)?|\.\d+) *(s|bars?|)", text.strip().lower())
        if not match:
            raise ValueError(f"{value!r:.40} is no length")
        number = float(match[1])
        return cls(bars=number) if match[2].startswith("bar") else cls(number)

    def in_s(self, heard: Playing) -> float:
        """In seconds, at the tempo of what is heard."""
        return self.bars * bar_s(heard.bpm, heard.beats_per_bar) if self.bars else self.seconds

    def __str__(self) -> str:
        return f"{self.bars:g} bar{'s' * (self.bars != 1)}" if self.bars else f"{self.seconds:g} s"
