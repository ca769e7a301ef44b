"""MIDI ports by name, whichever driver the system has: opened, lost, and found again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import mido
from mido.backends.backend import Backend

from tpos_models.errors import DeviceError, MissingPart

AUTO = "auto"
_OWN = ("rtmidi", "midi through")
"""Ports that are ours, or nobody's."""
_TROUBLE = (OSError, RuntimeError, ValueError)
"""What drivers raise, RtMidi's own errors among it."""

KEPT = 16384
"""So many messages a driver keeps between two looks: sixteen seconds of a full wire."""

Message = tuple[Sequence[int], float]
"""The bytes of a message, and how many seconds ago it came."""


class Input(Protocol):
    """A port that is listened to; what comes is kept by its driver."""

    def take(self) -> list[Message]:
        """What came since the last time, in order; never waits."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Port:
    """One that is open; where the device has a way back, it is told there what it shows."""

    input: Input
    output: mido.ports.BaseOutput | None

    def tell(self, messages: Iterable[mido.Message]) -> None:
        """Send back, as long as the device is there: that it is gone is found at the next look."""
        if self.output is None:
            return
        try:
            for message in messages:
                self.output.send(message)
        except _TROUBLE:
            return

    def close(self) -> None:
        """Close both ways, as far as they are still there."""
        for way in (self.input, self.output):
            try:
                if way is not None:
                    way.close()
            except _TROUBLE:
                continue


class Driver:
    """mido's backend, RtMidi unless MIDO_BACKEND says otherwise.

    RtMidi is asked for names through one client of our own: mido would make and end two for each look. Its inputs are
    opened without mido, and looked into: a thread of the driver's that told of each message of a flood would take
    Python's lock a thousand times a second.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        rtmidi = getattr(backend.module, "rtmidi", None)
        api = rtmidi and getattr(rtmidi, f"API_{backend.api or 'UNSPECIFIED'}")
        self._new_input = partial(rtmidi.MidiIn, rtapi=api, queue_size_limit=KEPT) if rtmidi else None
        self._ways = (rtmidi.MidiIn(rtapi=api), rtmidi.MidiOut(rtapi=api)) if rtmidi else None
        self.open_output = backend.open_output

    def open_input(self, name: str) -> Input:
        """Listen to a port. Raises what drivers raise."""
        if self._new_input:
            return _RtMidiInput(self._new_input(), name)
        return _MidoInput(self._backend.open_input(name))

    def names(self) -> tuple[list[str], list[str]]:
        """Of the ports that can be listened to, and of those that can be told something."""
        if self._ways:
            inputs, outputs = (way.get_ports() for way in self._ways)
            return list(dict.fromkeys(inputs)), outputs
        return list(dict.fromkeys(self._backend.get_input_names())), self._backend.get_output_names()

    def close(self) -> None:
        """End that client."""
        for way in self._ways or ():
            way.delete()
        self._ways = None


class _RtMidiInput:
    """One of RtMidi's, `client` its `MidiIn`: everything but system exclusives and active sensing."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        client.open_port(client.get_ports().index(name))
        client.ignore_types(timing=False)

    def take(self) -> list[Message]:
        """What came; the newest came now, those before it as much sooner as RtMidi says."""
        taken: list[Message] = []
        ago_s = 0.0
        for said, after_s in reversed(list(iter(self._client.get_message, None))):
            taken.append((said, ago_s))
            ago_s += after_s
        return taken[::-1]

    def close(self) -> None:
        self._client.close_port()
        self._client.delete()


class _MidoInput:
    """One of another driver's."""

    def __init__(self, port: mido.ports.BaseInput) -> None:
        self._port = port
        self.close = port.close

    def take(self) -> list[Message]:
        """What came, all of it now."""
        return [(message.bytes(), 0.0) for message in self._port.iter_pending()]


def open_driver() -> Driver:
    """The one there is. Raises MissingPart, DeviceError."""
    try:
        driver = Driver(Backend(load=True))
        driver.names()
        return driver
    except ImportError as error:
        raise MissingPart("MIDI needs python-rtmidi: pip install 'tpos-live[midi]'") from error
    except _TROUBLE as error:
        raise DeviceError(f"this system has no MIDI: {error}; accepted: --midi off") from error


def short(name: str) -> str:
    """A port's name without the numbers that ALSA gives it anew each time."""
    return re.sub(r" \d+:\d+$", "", name)


class Ports:
    """Every input port that is `wanted`: by a part of its name in any case, or all. Owned by the MIDI thread."""

    def __init__(self, driver: Driver, wanted: str) -> None:
        self._driver, self._wanted = driver, wanted
        self.open: dict[str, Port] = {}
        self._known: set[str] = set()
        self._troubles: dict[str, str] = {}
        """What was said last of each port that cannot be opened, and under "" of all."""

    def look(self) -> tuple[list[str], list[str]]:
        """Which ports came and which went since the last look, and what there is to say of it."""
        try:
            inputs, outputs = self._driver.names()
        except _TROUBLE as error:
            return [], self._once("", f"MIDI: {error}")
        inputs, others = [name for name in inputs if self._is_wanted(name)], inputs
        self._troubles = {name: line for name, line in self._troubles.items() if not name or name in inputs}
        lines = []
        for name in [name for name in self.open if name not in inputs]:
            self.open.pop(name).close()
            lines.append(f"MIDI: {short(name)} is gone; it is waited for")
        came = []
        for name in inputs:
            if name in self.open:
                continue
            try:
                self.open[name], trouble = self._opened(name, outputs)
            except _TROUBLE as error:
                lines += self._once(name, f"MIDI: {short(name)} cannot be opened: {error}")
                continue
            self._troubles.pop(name, None)
            came.append(name)
            lines.append(f"MIDI: {short(name)} is {'back' if short(name) in self._known else 'listened to'}")
            lines += trouble
            self._known.add(short(name))
        if not (inputs or self._known or lines):
            there = ", ".join(map(short, others)) or "none"
            lines = self._once("", f"MIDI: no port for {self._wanted!r} yet, it is waited for; there: {there}")
        return came, lines

    def take(self) -> list[tuple[str, Message]]:
        """What came at each, by its name; of one that is gone nothing."""
        taken: list[tuple[str, Message]] = []
        for name, port in self.open.items():
            with suppress(*_TROUBLE):
                taken += ((name, message) for message in port.input.take())
        return taken

    def close(self) -> None:
        """Close them all, and the driver."""
        while self.open:
            self.open.popitem()[1].close()
        self._driver.close()

    def _is_wanted(self, name: str) -> bool:
        if self._wanted != AUTO:
            return self._wanted.casefold() in name.casefold()
        return not name.casefold().startswith(_OWN)

    def _opened(self, name: str, outputs: list[str]) -> tuple[Port, list[str]]:
        """A port, and what there is to say of a way back that cannot be opened: it is listened to all the same."""
        client = name.partition(":")[0]
        back = name if name in outputs else next((out for out in outputs if short(out) == short(name)), None)
        back = back or next((out for out in outputs if out.partition(":")[0] == client), None)
        listened = self._driver.open_input(name)
        try:
            return Port(listened, self._driver.open_output(back) if back else None), []
        except _TROUBLE as error:
            return Port(listened, None), [f"MIDI: {short(name)} cannot be told what it shows: {error}"]

    def _once(self, name: str, line: str) -> list[str]:
        known, self._troubles[name] = self._troubles.get(name), line
        return [] if line == known else [line]
