"""Changes of look that wait for the music: what is held, until which line, decided here alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.control.addresses import find
from engine.control.queue import Command, CommandQueue
from engine.core.beat_grid import Quantise, line, since_line_s
from engine.core.messages import SILENCE, AudioFeatures, ShowState
from engine.core.parameters import Kind

JUMPS = ("/tpos/preset", "/tpos/cue", "/tpos/cue/name", "/tpos/set")
"""They say which cue or preset is to come, also the one that is there already."""
_STACK = (*JUMPS, "/tpos/cue/go", "/tpos/cue/back", "/tpos/set/next", "/tpos/set/back")
_LOOKS = ("/tpos/prompt", *_STACK)
FOLLOWING = Command("/tpos/cue/go", (True,), event=True)
"""What a cue that is over says by itself."""
AGAIN_S = 0.3
"""What is asked again within this is the same press, as of a surface that sends what it says all the time."""


@dataclass(frozen=True, slots=True)
class Coming:
    """Where the music will be when a change that is made now is seen: the newest features, and that much later."""

    features: AudioFeatures = SILENCE
    later_s: float = 0.0

    @property
    def at_s(self) -> float:
        """When that is, on the show's clock."""
        return self.features.time_s + self.later_s

    @property
    def beats(self) -> float | None:
        """Beats since the start; None where there is no tempo."""
        heard = self.features
        return heard.beat + heard.beat_phase + self.later_s * heard.bpm / 60 if heard.bpm else None

    def line(self, quantise: Quantise) -> int | None:
        """How many lines lie behind; None where there are none."""
        return line(quantise, self.features, self.later_s)

    def line_s(self, quantise: Quantise) -> float:
        """When the last line before then is, on the show's clock; 0 where there are none that can be foreseen."""
        since_s = since_line_s(quantise, self.features, self.later_s)
        return 0.0 if since_s is None else self.at_s - since_s


@dataclass(frozen=True, slots=True)
class Made:
    """A change that waited, made ahead of its line, which is at `line_s` on the show's clock."""

    before: ShowState
    after: ShowState
    line_s: float


class BarLine:
    """Holds changes until the next line; those that set the same thing replace each other. Owned by the show.

    A drop may never come: what is asked for once more, while it waits for one, is made at once, and all that waits.
    """

    def __init__(self) -> None:
        self.coming: Callable[[], Coming] = Coming
        self.made: Made | None = None
        """The newest change that waited."""
        self.line_s = 0.0
        """When the line was, or will be, for which something was due last."""
        self._held = CommandQueue()
        self._until: tuple[Quantise, int] | None = None
        self._asked_s: dict[tuple[str, Any], float] = {}
        """When what is held was asked for last."""
        self.follows = False
        """Whether `FOLLOWING` is held."""

    @property
    def waits(self) -> Quantise | None:
        """What is waited for, if anything is held."""
        return self._until[0] if self._until else None

    @property
    def said(self) -> str:
        """The line for the operator, empty while nothing waits."""
        if self.waits is Quantise.DROP:
            return "a change waits: next drop, or the same asked for again"
        return f"a change waits: {self.waits}" if self.waits else ""

    @property
    def moves_stack(self) -> bool:
        """Whether a cue, a preset or a place of the set list waits."""
        return any(address in _STACK for address, _ in self._asked_s)

    def holds(self, command: Command, quantise: Quantise) -> bool:
        """Whether a command has to wait; then it is kept, and all that waits does so for the line that it waits for.

        What the operator says of the stack comes in the place of what was to follow by itself.
        """
        if command.address in _STACK and command is not FOLLOWING:
            self.stay()
        if quantise is Quantise.NOW or not _is_look(command.address):
            return False
        coming = self.coming()
        now = coming.line(quantise)
        if now is None and self._until is None:
            return False
        until = quantise, 0 if now is None else now + 1  # without a line after what waits, which is due at once
        asked = command.address, command.args
        asked_s = self._asked_s.get(asked)
        if asked_s is not None and self.waits is Quantise.DROP:
            self._asked_s[asked] = coming.at_s
            if quantise is not Quantise.DROP:
                self._until = until
            elif coming.at_s - asked_s > AGAIN_S:
                self._until = Quantise.DROP, coming.features.drops
            return True
        if not command.event:  # another of its address is not held any more
            self._asked_s = {one: at_s for one, at_s in self._asked_s.items() if one[0] != command.address}
        self._asked_s[asked] = coming.at_s
        if self.waits is not quantise:
            self._until = until
        self._held.put(command)
        self.follows = self.follows or command is FOLLOWING
        return True

    def stay(self) -> None:
        """No longer hold what was to follow by itself."""
        if not self.follows:
            return
        self.follows = False
        self._held.put(*(one for one in self._held.take_all() if one is not FOLLOWING))
        self._asked_s.pop((FOLLOWING.address, FOLLOWING.args), None)
        if not self._asked_s:
            self._until = None

    def due(self, quantise: Quantise) -> list[Command]:
        """What has waited long enough: its line is reached, or there are no lines, or none is waited for any more."""
        if self._until is None:
            return []
        coming = self.coming()
        now = coming.line(self._until[0])
        if quantise is not Quantise.NOW and now is not None and now < self._until[1]:
            return []
        self.line_s = 0.0 if quantise is Quantise.NOW else coming.line_s(self._until[0])
        return self.take_all()

    def take_all(self) -> list[Command]:
        """What waits, which then does no longer; nothing that was made is on its way to its line."""
        self.made = None
        self._until, self.follows = None, False
        self._asked_s.clear()
        return self._held.take_all()


def _is_look(address: str) -> bool:
    """Prompts, presets, cues, and effects that switch; what a fader moves never waits."""
    row, n = find(address)
    switches = row.path.startswith("/tpos/effects/") and row.arguments[0].kind in (Kind.TEXT, Kind.INT)
    return switches or row.path in _LOOKS or (n > 0 and address.endswith("/text"))
