"""What an argument of a command accepts, and the error for what it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.core.beat_grid import MAX_BARS, Span
from engine.core.parameters import Curve, Kind, Parameter, Value

TEXT_LIMIT = 64_000


class CommandError(ValueError):
    """A command that cannot be used; answered to its sender, never fatal.

    `address` as sent, `what` is wrong, `accepted` instead.
    """

    def __init__(self, address: str, what: str, accepted: str) -> None:
        super().__init__(f"{address}: {what}; accepted: {accepted}")
        self.address, self.what, self.accepted = address, what, accepted


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an address: its kind, its range or its words, and its default.

    `fallback` is its value when left out; None on an optional switch means toggle. Text is one of `choices` where there
    are any; some of `words`, each once and with commas between. A `span` is seconds, or text such as `2 bars`.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    optional: bool = False
    fallback: Value = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    span: bool = False

    @property
    def accepted(self) -> str:
        """The values it takes, in words."""
        if self.choices:
            return " | ".join(self.choices)
        if self.words:
            return f"some of {','.join(self.words)} in an order of yours"
        if self.kind is Kind.TEXT:
            return "text"
        if self.kind is Kind.SWITCH:
            return "0 or 1"
        number = f"{'whole ' if self.kind is Kind.INT else ''}number {self.low:g}..{self.high:.12g}"
        return f"{number} of seconds, or text such as 2 bars, up to {MAX_BARS:g}" if self.span else number

    def take(self, value: object) -> Value:
        """Coerce one received value, clamping numbers into range.

        Raises ValueError, saying what came, for a value that has no sensible reading.
        """
        if self.kind is Kind.TEXT:
            return self._word(self._text(value))
        if self.span and isinstance(value, str) and (bars := self._span(value).bars):
            return str(Span(bars=min(bars, MAX_BARS)))
        number = self._number(value)
        if self.kind is Kind.SWITCH:
            return number >= 0.5
        number = min(max(number, self.low), self.high)
        return round(number) if self.kind is Kind.INT else round(number, 6)

    def clamps(self, value: object) -> bool:
        """Whether `take` moves this number into range."""
        if self.span and isinstance(value, str) and (bars := self._span(value).bars):
            return bars > MAX_BARS
        return self.kind in (Kind.FLOAT, Kind.INT) and not self.low <= self._number(value) <= self.high

    def _word(self, text: str) -> str:
        if self.words:
            return self._some(text)
        if self.choices and text.lower() not in self.choices:
            raise ValueError(f"{self.name} is {text!r:.40}")
        return text.lower() if self.choices else text

    def _some(self, text: str) -> str:
        words = [word.strip().lower() for word in text.split(",")]
        if not set(words) <= set(self.words) or len(set(words)) < len(words):
            raise ValueError(f"{self.name} is {text!r:.40}")
        return ",".join(words)

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} came as {_described(value)}")
        if len(value) > TEXT_LIMIT:
            raise ValueError(f"{self.name} has {len(value)} characters, more than {TEXT_LIMIT}")
        return value.strip() if value.isprintable() else "".join(c if c.isprintable() else " " for c in value).strip()

    def _span(self, text: str) -> Span:
        try:
            return Span.of(text)
        except ValueError:
            raise ValueError(f"{self.name} is {text!r:.40}") from None

    def _number(self, value: object) -> float:
        if self.span and isinstance(value, str):
            value = self._span(value).seconds
        if not isinstance(value, (bool, int, float)):
            raise ValueError(f"{self.name} came as {_described(value)}")
        try:
            number = float(value)
        except OverflowError:  # JSON has whole numbers of any length
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(f"{self.name} came as {number}")
        return number


def _described(value: object) -> str:
    return {str: "text", bytes: "a blob", type(None): "nil", list: "an array"}.get(type(value), type(value).__name__)


def natural(parameter: Parameter) -> Argument:
    """A parameter's value in its own unit, as presets and the command line give it."""
    return Argument(
        parameter.name, parameter.kind, parameter.low, parameter.high, choices=parameter.choices, words=parameter.words
    )


def controlled(parameter: Parameter) -> Argument:
    """The same as OSC sends it: faders of another unit span 0..1, a switch without a value toggles."""
    if parameter.kind is Kind.SWITCH:
        return Argument("on", parameter.kind, optional=True)
    low, high = (0.0, 1.0) if parameter.curve is Curve.NORMALISED else (parameter.low, parameter.high)
    name = "value" if parameter.kind is Kind.FLOAT and not parameter.unit else parameter.name.rsplit(".", 1)[-1]
    name = {Curve.NORMALISED: "value"}.get(parameter.curve, parameter.unit.lower() or name)
    return Argument(name, parameter.kind, low, high, choices=parameter.choices, words=parameter.words)
