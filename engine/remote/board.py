"""The newest view of the show for everybody who looks, and the way in for what they ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from engine.control.addresses import find, parse, signature
from engine.control.arguments import CommandError
from engine.control.osc_status import Status
from engine.control.presets import Preset
from engine.control.show import Show
from engine.remote import namespace
from engine.remote.namespace import Nodes, View

PERIOD_S = 0.05
"""Values are looked at this often at most, however many look."""


@dataclass(frozen=True, slots=True)
class HostInfo:
    """Where OSC is listened to."""

    name: str
    osc_host: str
    osc_port: int


class Board:
    """What the show says now, made anew at most every `PERIOD_S`, and only when asked. One thread's.

    `status` is asked as OSC asks it; commands go to the show's queue, as OSC's do.
    """

    def __init__(self, show: Show, status: Callable[[], Status], host: HostInfo, now: Callable[[], float]) -> None:
        self.host = host
        self._show, self._status, self._now = show, status, now
        self._view, self._made_s, self._heartbeat = View(), float("-inf"), 0
        self._nodes: Nodes = {}
        self._values: dict[str, list[Any]] = {}
        self._compared: tuple[dict[str, list[Any]], dict[str, list[Any]], dict[str, list[Any]]] = ({}, {}, {})
        self._shape: tuple[object, ...] | None = None

    @property
    def view(self) -> View:
        """The show at this moment, or a moment ago."""
        self._refresh()
        return self._view

    @property
    def nodes(self) -> Nodes:
        """Every address there is; the same object until another preset, prompt or effect brings other addresses."""
        self._refresh()
        return self._nodes

    @property
    def values(self) -> dict[str, list[Any]]:
        """What every address that can be read says."""
        self._refresh()
        return self._values

    def changed(self, known: dict[str, list[Any]], values: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Of `values` those that were not so in `known`, values of before; compared once for all who know the same."""
        if self._compared[0] is not known or self._compared[1] is not values:
            changed = {path: said for path, said in values.items() if known.get(path) != said}
            self._compared = known, values, changed
        return self._compared[2]

    def library(self) -> Collection[Preset]:
        """Every preset there is, for any thread."""
        return self._show.looks.library.values()

    def send(self, address: str, arguments: Sequence[object]) -> str:
        """Put a command into the show's queue; what was clamped, in words. Raises CommandError."""
        command, clamped = parse(address, arguments, self._now())
        if self._show.queue.put(self._show.check(command)):
            raise CommandError(address, "too many at once", "a few a second")
        return clamped and f"{clamped}; accepted: {signature(find(address)[0])}"

    def settle(self) -> None:
        """Have what was sent done now, whenever the next redraw is."""
        self._show.current()

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._made_s < PERIOD_S / 2:
            return
        self._made_s = now_s
        self._heartbeat += 1
        self._view = View(self._show.state, self._show.looks, self._status(), self._heartbeat)
        if (shape := namespace.shape(self._view)) != self._shape:
            self._shape, self._nodes = shape, namespace.nodes(self._view)
        self._values = namespace.values(self._nodes, self._view)
