"""Operator commands on their way to the show: the queue that carries them, and the answers to those that failed."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from engine.control.arguments import CommandError
from engine.core.parameters import Value

Sender = tuple[Any, ...]
"""Whoever a command came from, as a socket names a peer."""
FAILURES = 64
FLOOD_S, FLOOD_TURNS = 0.012, 3
"""In a flood it is looked so often whether the show has taken what was put, and so many times at most."""


@dataclass(frozen=True, slots=True)
class Command:
    """One validated request, as `engine.control.addresses.parse` makes it.

    `time_s` is when it arrived, on the show's clock (0 where it does not matter); `event` says that every arrival
    counts (go, tap, a toggle), so that a newer one does not replace it; `sender` is told when it fails later.
    """

    address: str
    args: tuple[Value, ...] = ()
    time_s: float = 0.0
    event: bool = False
    sender: Sender | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What happened to commands so far: `received` = waiting + taken + `coalesced` + `refused`."""

    received: int = 0
    coalesced: int = 0
    refused: int = 0


class CommandQueue:
    """Bounded queue between whoever commands and the show, which takes everything at once.

    Commands that set a value are coalesced by address: the last fader position always lands, placed where its last
    update arrived. Commands that count (go, tap, toggles) are kept one by one, and refused beyond `limit`; what sets a
    value is never refused, because the number of addresses is finite. A command that failed after it was taken goes
    back by `fail`, to be answered by whoever received it. Any thread may call any method.
    """

    def __init__(self, limit: int = 64) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._waiting: dict[tuple[str, int], Command] = {}
        self._events = 0
        self._counts = QueueCounts()
        self._failures: deque[tuple[Sender, CommandError]] = deque(maxlen=FAILURES)

    @property
    def counts(self) -> QueueCounts:
        """The counters now."""
        return self._counts

    def put(self, *commands: Command) -> int:
        """Add commands, all of them before the next `take_all`; how many were refused."""
        with self._lock:
            return sum(not self._add(command) for command in commands)

    def replaced(self, count: int) -> None:
        """So many that set a value came and were never put, because others that were put came after them."""
        with self._lock:
            counts = self._counts
            self._counts = replace(counts, received=counts.received + count, coalesced=counts.coalesced + count)

    def let_flood(self, stop: threading.Event) -> None:
        """Let a flood come, until `stop`, while the show has not taken what was put: it is read once a redraw."""
        for _ in range(FLOOD_TURNS):
            if stop.wait(FLOOD_S) or not self._waiting:
                return

    def take_all(self) -> list[Command]:
        """Every waiting command in order, leaving the queue empty; never waits."""
        with self._lock:
            taken, self._waiting, self._events = list(self._waiting.values()), {}, 0
        return taken

    def fail(self, command: Command, error: CommandError) -> None:
        """A command that was taken could not be carried out."""
        if command.sender is not None:
            self._failures.append((command.sender, error))

    def take_failures(self) -> list[tuple[Sender, CommandError]]:
        """Who is to be told of which failure, the newest `FAILURES`; each once."""
        taken = []
        while self._failures:
            taken.append(self._failures.popleft())
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
