"""Operator commands: what an argument accepts, and the queue that carries commands to the inference thread.

OSC, keys and the command line all speak `Command`; `engine.control.show` holds the table of addresses.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

Value = float | int | bool | str | None
TEXT_LIMIT = 64_000


class CommandError(ValueError):
    """A command that cannot be used; answered to its sender, never fatal.

    `address` as sent, `what` is wrong, `accepted` instead.
    """

    def __init__(self, address: str, what: str, accepted: str) -> None:
        super().__init__(f"{address}: {what}; accepted: {accepted}")
        self.address, self.what, self.accepted = address, what, accepted


@dataclass(frozen=True, slots=True)
class Command:
    """One validated request, as `engine.control.show.parse` makes it.

    `time_s` is when it arrived, on the show's clock (0 where it does not matter); `event` says that every arrival
    counts (go, tap, a toggle), so that a newer one does not replace it.
    """

    address: str
    args: tuple[Value, ...] = ()
    time_s: float = 0.0
    event: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an address: `kind` as in OSC's type tags (s, f, i; b for a switch), its range, its default.

    `fallback` is its value when left out; None on an optional switch means toggle.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    optional: bool = False
    fallback: Value = None

    @property
    def accepted(self) -> str:
        """The values it takes, in words."""
        if self.kind == "s":
            return "text"
        if self.kind == "b":
            return "0 or 1"
        return f"{'whole ' if self.kind == 'i' else ''}number {self.low:g}..{self.high:.12g}"

    def take(self, value: object) -> Value:
        """Coerce one received value, clamping numbers into range.

        Raises ValueError, saying what came, for a value that has no sensible reading.
        """
        if self.kind == "s":
            return self._text(value)
        number = self._number(value)
        if self.kind == "b":
            return number >= 0.5
        number = min(max(number, self.low), self.high)
        return round(number) if self.kind == "i" else round(number, 6)

    def clamps(self, value: object) -> bool:
        """Whether `take` moves this number into range."""
        return self.kind in "if" and not self.low <= self._number(value) <= self.high

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} came as {_kind(value)}")
        if len(value) > TEXT_LIMIT:
            raise ValueError(f"{self.name} has {len(value)} characters, more than {TEXT_LIMIT}")
        return value.strip() if value.isprintable() else "".join(c if c.isprintable() else " " for c in value).strip()

    def _number(self, value: object) -> float:
        if not isinstance(value, (bool, int, float)):
            raise ValueError(f"{self.name} came as {_kind(value)}")
        if not math.isfinite(value):
            raise ValueError(f"{self.name} came as {value}")
        return float(value)


def _kind(value: object) -> str:
    return {str: "text", bytes: "a blob", type(None): "nil", list: "an array"}.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What happened to commands so far: `received` = waiting + taken + `coalesced` + `refused`."""

    received: int = 0
    coalesced: int = 0
    refused: int = 0


class CommandQueue:
    """Bounded queue between whoever commands and the inference thread, which takes everything at once.

    Commands that set a value are coalesced by address: the last fader position always lands, placed where its last
    update arrived. Commands that count (go, tap, toggles) are kept one by one, and refused beyond `limit`; what sets a
    value is never refused, because the number of addresses is finite. Any thread may call any method.
    """

    def __init__(self, limit: int = 64) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._waiting: dict[tuple[str, int], Command] = {}
        self._events = 0
        self._counts = QueueCounts()

    @property
    def counts(self) -> QueueCounts:
        """The counters now."""
        return self._counts

    def put(self, *commands: Command) -> int:
        """Add commands, all of them before the next `take_all`; how many were refused."""
        with self._lock:
            return sum(not self._add(command) for command in commands)

    def take_all(self) -> list[Command]:
        """Every waiting command in order, leaving the queue empty; never waits."""
        with self._lock:
            taken, self._waiting, self._events = list(self._waiting.values()), {}, 0
        return taken

    def _add(self, command: Command) -> bool:
        received = self._counts.received + 1
        if command.event and self._events >= self._limit:
            self._counts = replace(self._counts, received=received, refused=self._counts.refused + 1)
            return False
        key = (command.address, received if command.event else 0)
        replaced = self._waiting.pop(key, None) is not None
        self._waiting[key] = command
        self._events += command.event
        self._counts = replace(self._counts, received=received, coalesced=self._counts.coalesced + replaced)
        return True
