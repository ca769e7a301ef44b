"""What a MIDI control moves: an address of the table, said as OSC would say it, and where between its ends it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import UNSET, UnsetType

from engine.control.addresses import Address, find, parse, signature
from engine.control.arguments import Argument, CommandError
from engine.control.changes import isf_input
from engine.control.parameters import PARAMETERS, value_of
from engine.control.queue import Command
from engine.control.schema import near
from engine.core.isf import InputKind
from engine.core.messages import ShowState
from engine.core.parameters import Curve, Kind, Parameter, Value

LEARN, FORGET, STEPS = "/tpos/midi/learn", "/tpos/midi/forget", ("next", "back")
"""Told what the next knob is to move, and what none is to; two words step through the parameters."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address and, where it is a parameter's, the parameter.

    Places are 0..1, from `low` to `high`: the ends of the argument's range, or of a part of it, in OSC's unit. An input
    of a user's effect has its own range where they are the argument's, and a knob moves the first of its numbers.
    """

    address: str
    row: Address
    parameter: Parameter | None
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, name: str) -> Target:
        """The target that a parameter's name or an OSC address stands for. Raises CommandError."""
        if not name.startswith("/"):
            if name not in PARAMETERS:
                guesses = near(name, PARAMETERS)
                raise CommandError(
                    f"target = {name!r:.60}", "no such parameter", ", ".join(guesses) or "an OSC address"
                )
            name = PARAMETERS[name].address
        row, _ = find(name)
        parameter = next((one for one in PARAMETERS.values() if one.address == name), None)
        argument = row.arguments[0]
        return cls(name, row, parameter, argument.low, argument.high)

    @property
    def argument(self) -> Argument:
        """The one that is said."""
        return self.row.arguments[0]

    @property
    def name(self) -> str:
        """As a person calls it."""
        return self.parameter.name if self.parameter else self.address

    def between(self, low: float | None, high: float | None) -> Target:
        """The same with other ends, in the parameter's own unit; None leaves one. Raises CommandError out of range."""
        ends = []
        for asked, end in ((low, self.low), (high, self.high)):
            value = end if asked is None else float(self._in_osc(asked))  # type: ignore[arg-type]
            is_number = self.argument.kind in (Kind.FLOAT, Kind.INT)
            if asked is not None and not (is_number and not self.argument.clamps(value)):
                raise CommandError(self.address, f"{asked:g} is an end", signature(self.row))
            ends.append(value)
        return replace(self, low=ends[0], high=ends[1])

    def say(self, value: Value, time_s: float = 0.0) -> Command:
        """The command that says `value`, in the parameter's own unit. Raises CommandError where it is none."""
        value = self._in_osc(value)
        if self.argument.kind in (Kind.FLOAT, Kind.INT) and self.argument.clamps(value):
            raise CommandError(self.address, f"{value:g}", signature(self.row))
        return parse(self.address, [value], time_s)[0]

    def read(self, said: str) -> Value | UnsetType:
        """The value that a text says, UNSET for none. Raises CommandError where it says another."""
        if not said or self.argument.kind is Kind.TEXT:
            return said or UNSET
        try:
            return float(said)
        except ValueError as error:
            raise CommandError(self.address, f"{said!r:.40}", signature(self.row)) from error

    def check_taught(self, said: str) -> None:
        """Raise CommandError where a button cannot be taught to say that."""
        if (value := self.read(said)) is not UNSET:
            self.say(value)

    def check_turned(self) -> None:
        """Raise CommandError for text, which no knob has."""
        if self.argument.kind is Kind.TEXT and not self.argument.choices:
            raise CommandError(self.address, "is told text, which a knob has not", "a button with a value")

    def at(self, place: float, state: ShowState, time_s: float = 0.0) -> Command:
        """The command that says what lies at a place."""
        self.check_turned()
        low, high = self._ends(state)
        value: Value = place if self.argument.kind is Kind.SWITCH else low + place * (high - low)
        if choices := self._choices(state):
            value = choices[min(int(place * len(choices)), len(choices) - 1)]
        its = isf_input(state, self.address)
        return parse(self.address, [value, *(its[1][1:] if its else ())], time_s)[0]

    def press(self, place: float, state: ShowState, time_s: float = 0.0) -> Command:
        """What a button without a value says: it toggles, goes to the next choice, or is as strong as it is struck."""
        if choices := self._choices(state):
            after = (choices.index(self._value(state)) + 1) % len(choices)
            return parse(self.address, [choices[after]], time_s)[0]
        its = isf_input(state, self.address)
        if self.argument.kind is Kind.SWITCH or self.is_event(state):
            return parse(self.address, [], time_s)[0]
        if its and its[0].kind is InputKind.BOOL:
            return parse(self.address, [not self._value(state)], time_s)[0]
        return self.at(place, state, time_s)

    def is_button(self, state: ShowState) -> bool:
        """Whether it is on or off, or happens, so that no knob has a way to it."""
        its = isf_input(state, self.address)
        return its[0].is_button if its else self.argument.kind is Kind.SWITCH

    def is_event(self, state: ShowState) -> bool:
        """Whether it is an event, which has no value."""
        its = isf_input(state, self.address)
        return its is not None and its[0].kind is InputKind.EVENT

    def place(self, state: ShowState) -> float | None:
        """Where it stands; None where nobody can tell."""
        value, (low, high) = self._value(state), self._ends(state)
        if value is None or high == low:
            return None
        if choices := self._choices(state):
            return choices.index(value) / max(1, len(choices) - 1)
        if isinstance(value, str):
            return None
        if self.argument.kind is not Kind.SWITCH:
            value = (value - low) / (high - low)
        return min(1.0, max(0.0, float(value)))

    def is_at(self, place: float, state: ShowState) -> bool:
        """Whether its value now is what `at` says of a place."""
        return self.at(place, state).args[0] == self._value(state)

    def is_said(self, value: Value | UnsetType, state: ShowState) -> bool | None:
        """Whether it is what a button says, or on; None where nobody can tell."""
        said = self.text(state) if self.argument.kind is Kind.TEXT else self._value(state)
        if self.row.applies in ("cue", "place"):
            said = (state.cue if self.row.applies == "cue" else state.place) + 1
        if value is not UNSET:
            return None if said is None else said == self._in_osc(value)
        return said if isinstance(said, bool) else None

    def text(self, state: ShowState) -> str | None:
        """The text that it has now; None where it has none."""
        if self.parameter:
            return str(value_of(state, self.parameter.name))
        return state.preset if self.row.applies == "look" else None

    def _value(self, state: ShowState) -> Value:
        """In OSC's unit."""
        if self.parameter:
            value = self._in_osc(value_of(state, self.parameter.name))
            return str(value) if self.argument.choices else value
        if its := isf_input(state, self.address):
            kind, now = its[0].kind, its[1][0]
            return None if kind is InputKind.EVENT else bool(now) if kind is InputKind.BOOL else now
        n = find(self.address)[1]
        weighed = {"prompts": state.prompts, "loras": state.loras}.get(self.row.applies, ())
        if self.argument.kind is not Kind.FLOAT or not 0 < n <= len(weighed):
            return None
        one = weighed[n - 1]
        return getattr(one, "weight", getattr(one, "strength", None))

    def _choices(self, state: ShowState) -> tuple[Value, ...]:
        """What it is one of, in the order of places; none where it is a number, or any text."""
        its = isf_input(state, self.address)
        return tuple(map(float, its[0].choices)) if its else self.argument.choices

    def _ends(self, state: ShowState) -> tuple[float, float]:
        """Those of its places, in OSC's unit."""
        its, argument = isf_input(state, self.address), self.argument
        low, high = its[0].ends if its else (argument.low, argument.high)
        return low if self.low == argument.low else self.low, high if self.high == argument.high else self.high

    def _in_osc(self, value: Value) -> Value:
        parameter = self.parameter
        if parameter and parameter.curve is Curve.NORMALISED and isinstance(value, int | float):
            return (value - parameter.low) / (parameter.high - parameter.low)
        return value
