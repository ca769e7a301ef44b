"""The cue stack: where the show stands in its cues and its set, and when a cue goes on to the next by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.control.bar_line import AGAIN_S, JUMPS, Coming
from engine.control.preset_keys import CueKeys, LookKeys
from engine.control.presets import Preset
from engine.control.queue import Command
from engine.core.beat_grid import BAR_S, Span
from engine.core.messages import ShowState


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the show stands. Cues and places of the set are counted from 0, -1 is before the first."""

    preset: str = ""
    cue: int = -1
    cues: tuple[str, ...] = ()
    """Their names."""
    follow_s: float = 0.0
    """Seconds until the next follows by itself, 0 where none does."""
    waits: str = ""
    """The line of the music that a change of look waits for."""
    place: int = -1
    order: tuple[str, ...] = ()
    """The set list: names of presets."""


NOWHERE = Stack()


class FollowOn:
    """How long the running cue has been on, in seconds and in bars, and when it is over. Owned by the show.

    Bars are counted from the beat at which the cue came, so that the next one comes on a beat; on a line, if it did.
    """

    def __init__(self) -> None:
        self._of: tuple[str, int, int] | None = None
        self._said: tuple[object, ...] = ()
        self._said_s = 0.0
        self._then = Coming()
        self._seconds = self._bars = 0.0
        self.left_s = 0.0
        """Seconds until the next cue follows, 0 where none does."""

    def carried_out(self, command: Command, before: ShowState, after: ShowState, now: Coming) -> None:
        """A command was: one that put a cue on begins it anew, also the running one."""
        jumps = False
        if command.address in JUMPS:
            said = command.address, command.args
            jumps = said != self._said or now.at_s - self._said_s > AGAIN_S
            self._said, self._said_s = said, now.at_s
        if jumps or _where(before) != _where(after):
            self._of = None

    def due(
        self, state: ShowState, preset: Preset | None, coming: Callable[[], Coming], moves: bool = False
    ) -> Span | None:
        """The length of the cue that is over, None while none is, or nothing is to follow.

        While what `moves` the stack waits, nothing follows after seconds: that comes in its place.
        """
        running, span = _where(state), _length(preset, state.cue)
        if span == Span():
            self._of, self.left_s = None, 0.0
            return None
        now = coming()
        if running != self._of:
            self._begin(now)
        elif state.follow:
            self._walk(now)
        self._of, self._then = running, now
        left = Span(span.seconds - self._seconds, span.bars and span.bars - self._bars)
        self.left_s = max(0.0, left.in_s(now.features))
        waits = moves and not span.bars
        return span if state.follow and not self.left_s and not waits else None

    def _begin(self, now: Coming) -> None:
        self._seconds = 0.0
        self._bars = 0.0 if now.beats is None else (now.beats - round(now.beats)) / now.features.beats_per_bar

    def _walk(self, now: Coming) -> None:
        gone_s = now.at_s - self._then.at_s
        self._seconds += gone_s
        if now.beats is None or self._then.beats is None:
            self._bars += gone_s / BAR_S
        else:
            self._bars += (now.beats - self._then.beats) / now.features.beats_per_bar


def _where(state: ShowState) -> tuple[str, int, int]:
    return state.preset, state.cue, state.place


def _length(preset: Preset | None, cue: int) -> Span:
    """How long a cue is on before the next follows; of no length where none does."""
    if preset is None or cue >= len(preset.cues) - 1:
        return Span()
    step: CueKeys | LookKeys = preset.cues[cue] if cue >= 0 else preset.look
    return Span(step.follow_s, step.follow_bars)
