"""Changes of look that wait for the music: what is held, until which line, decided here alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.control.addresses import find
from engine.control.queue import Command, CommandQueue
from engine.core.beat_grid import Quantise
from engine.core.messages import SILENCE, AudioFeatures
from engine.core.parameters import Kind

_BARS = {Quantise.BAR: 1, Quantise.BARS_4: 4, Quantise.BARS_8: 8, Quantise.BARS_16: 16}
_LOOKS = ("/tpos/prompt", "/tpos/preset", "/tpos/cue", "/tpos/cue/go", "/tpos/cue/back")


@dataclass(frozen=True, slots=True)
class Coming:
    """Where the music will be when a change that is made now is seen: the newest features, and that much later."""

    features: AudioFeatures = SILENCE
    later_s: float = 0.0

    def line(self, quantise: Quantise) -> int | None:
        """How many lines lie behind; None where there are none."""
        heard = self.features
        if quantise is Quantise.NOW or not heard.bpm:
            return None
        beats = heard.beat_phase + max(0.0, self.later_s) * heard.bpm / 60
        if quantise is Quantise.BEAT:
            return int(heard.beat + beats)
        return int((heard.bar + (heard.bar_beat + beats) / heard.beats_per_bar) / _BARS[quantise])


class BarLine:
    """Holds changes until the next line; those that set the same thing replace each other. Owned by the show."""

    def __init__(self) -> None:
        self.coming: Callable[[], Coming] = Coming
        self._held = CommandQueue()
        self._until: tuple[Quantise, int] | None = None

    @property
    def waits(self) -> bool:
        """Whether anything is held."""
        return self._until is not None

    def holds(self, command: Command, quantise: Quantise) -> bool:
        """Whether a command has to wait; then it is kept."""
        if quantise is Quantise.NOW or not _is_look(command.address):
            return False
        line = self.coming().line(quantise)
        if line is None:
            return False
        self._until = self._until or (quantise, line + 1)
        self._held.put(command)
        return True

    def due(self, quantise: Quantise) -> list[Command]:
        """What has waited long enough: its line is reached, or there are no lines, or none is waited for any more."""
        if self._until is None:
            return []
        line = self.coming().line(self._until[0])
        if quantise is not Quantise.NOW and line is not None and line < self._until[1]:
            return []
        self._until = None
        return self._held.take_all()


def _is_look(address: str) -> bool:
    """Prompts, presets, cues, and effects that switch; what a fader moves never waits."""
    row, n = find(address)
    switches = row.path.startswith("/tpos/effects/") and row.arguments[0].kind in (Kind.TEXT, Kind.INT)
    return switches or row.path in _LOOKS or (n > 0 and address.endswith("/text"))
