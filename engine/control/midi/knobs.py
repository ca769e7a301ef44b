"""What a controller's messages mean: places of knobs, in 7 or 14 bits or turn by turn, and how they take over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mido
from msgspec import UNSET

from engine.control.midi.maps import Control, Encoder, Takeover

MET = 1.5 / 127
"""A knob this near to its parameter has met it."""
SAME = 1e-6
PRESSED = 64
"""A cc that is a button is down from here on."""
_SMALL, _REPEATS = 8, 2
"""Steps of an encoder at the speed of learning, and how often it says the same twice in a row, which no knob does."""


def turned(encoder: Encoder, value: int) -> int:
    """Steps by which an endless encoder was turned, to the right above 0."""
    match encoder:
        case Encoder.TWOS_COMPLEMENT:
            return value - 128 if value >= 64 else value
        case Encoder.SIGNED_BIT:
            return 64 - value if value > 64 else value % 64
        case Encoder.BINARY_OFFSET:
            return value - 64


def nearest_encoder(values: Sequence[int]) -> Encoder:
    """The way of speaking in which all of them are the smallest turns; of two such, the first was to the right."""
    return min(Encoder, key=lambda one: (max(abs(turned(one, value)) for value in values), turned(one, values[0]) < 0))


def may_be_endless(values: Sequence[int]) -> bool:
    """Whether what was said so far may be an encoder's turns: all are small, and none is no turn."""
    encoder = nearest_encoder(values)
    return all(0 < abs(turned(encoder, value)) <= _SMALL for value in values)


def is_endless(values: Sequence[int]) -> bool:
    """Whether only an encoder says such: small turns, and the same again and again."""
    return may_be_endless(values) and sum(one == other for one, other in pairwise(values)) >= _REPEATS


def concerns(control: Control, message: mido.Message) -> bool:
    """Whether a message is of this control."""
    match message.type:
        case "control_change":
            its = message.control == control.cc or (control.fine and message.control == control.lower_cc)
        case "note_on" | "note_off":
            its = message.note == control.note
        case "program_change":
            its = control.program in ("any", message.program)
        case "pitchwheel":
            its = control.bend is True
        case _:
            return False
    return its and control.channel in (UNSET, message.channel + 1)


@dataclass(slots=True)
class Knob:
    """Where one knob stands, and whether it leads its parameter. Owned by the MIDI thread."""

    place: float | None = None
    """0..1; None before it was moved."""
    said: float | None = None
    """Where it last put its parameter."""
    stood: float | None = None
    """Where that was found to stand then, which may be a whole number; None before it was looked."""
    _upper: int = 0
    _lower: int = 0

    def read(self, control: Control, message: mido.Message) -> float:
        """The place a message tells, 0..1; of a fine knob the upper half begins anew, as MIDI has it."""
        if message.type == "pitchwheel":
            return (message.pitch + 8192) / 16383
        if not control.fine:
            return message.value / 127
        if message.control == control.cc:
            self._upper, self._lower = message.value, 0
        else:
            self._lower = message.value
        return (128 * self._upper + self._lower) / 16383

    def press(self, strength: int) -> bool:
        """Whether a cc of 0..127 presses a button: it rises to 64 or more, or says again what it said last.

        A fader presses on its way up, once, because no two of its messages in a row are the same; those of a button
        that never says that it was let go are. Before it was moved it is taken to be up.
        """
        before, self.place = self.place, strength / 127
        was_up = before is None or before < PRESSED / 127
        return strength >= PRESSED and (was_up or before == self.place)

    @property
    def leads(self) -> bool:
        """Nobody has moved its parameter since, as far as `stands` was asked."""
        return self.said is not None

    def stands(self, now: float | None) -> float | None:
        """Where its parameter stands, found at `now`: as finely as it was put there, where nobody else has moved it."""
        if self.stood is not None and now is not None and abs(now - self.stood) > SAME:
            self.said = self.stood = None
        return now if self.said is None else self.said

    def settle(self, found: float | None) -> None:
        """What it said is done: there its parameter was found."""
        self.stood = found

    def take(self, takeover: Takeover, place: float, now: float | None) -> float | None:
        """Where the parameter, which `stands` at `now`, goes when the knob moves to `place`; None: it stays."""
        before, self.place = self.place, place
        if takeover is Takeover.JUMP or now is None:
            return place
        if takeover is Takeover.SCALE:
            return None if before is None else nearer(now, before, place)
        met = abs(place - now) < MET or (before is not None and (before - now) * (place - now) <= 0)
        return place if met or self.leads else None


def nearer(now: float, before: float, place: float) -> float:
    """A parameter at `now` moved with a knob, as large a part of its way to the end as the knob goes of its own."""
    if place >= before:
        return now + (1 - now) * (place - before) / (1 - before) if before < 1 else now
    return now * place / before if before > 0 else now
