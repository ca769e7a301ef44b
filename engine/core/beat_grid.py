"""Clocks beside the ear's: where each says the beat is, who leads, and on which of their lines a change is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

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


PHRASE_BARS = 16
"""Bars are counted so that their numbers agree with another clock's up to multiples of this."""
SAME_S = 0.002
ORDER = ",".join(ClockSource)
CLOCK = Parameter(
    "Whose beat it is, the first that is there: Link, MIDI clock, taps or a set tempo, the ear; one left out is not "
    "followed.",
    group="sound",
    preset=False,
    cue=False,
    words=tuple(ClockSource),
)
QUANTISE = Parameter(
    "When prompts, presets, cues and effects that switch change: at once, or on a line of the music; at once where "
    "there is no tempo.",
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
        """Whether both put beats within `SAME_S` of each other, from the other's moment on for a second."""
        if (self.source, self.anchored, self.beats_per_bar) != (other.source, other.anchored, other.beats_per_bar):
            return False
        moments = (other.time_s, other.time_s + 1.0)
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
