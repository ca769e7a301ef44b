"""A MIDI driver for tests: mido's backend interface over mido's own sockets, each device a TCP server on this machine.

`MIDO_BACKEND=socket_midi`; the device that a test makes with `Controller` is plugged in while it is open.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import mido
from mido.ports import BaseInput, BaseOutput
from mido.sockets import PortServer, SocketPort

_PLUGGED: dict[str, int] = {}
_OPEN: dict[str, SocketPort] = {}


class Controller:
    """The far end: a device with a name, which sends what is turned and keeps what it is told."""

    def __init__(self, name: str, number: int = 20) -> None:
        self.name = f"{name}:{name} MIDI 1 {number}:0"
        for port in range(20_000, 60_000):
            try:
                self._server = PortServer("127.0.0.1", port)
                break
            except OSError:
                continue
        _PLUGGED[self.name] = port
        self._peer: SocketPort | None = None

    def send(self, *messages: mido.Message) -> None:
        """Say something."""
        self._peer = self._peer or self._server.accept()
        for message in messages:
            self._peer.send(message)

    def told(self) -> list[mido.Message]:
        """What it was told since it was asked last."""
        self._peer = self._peer or self._server.accept()
        return list(self._peer.iter_pending())

    def unplug(self) -> None:
        """Be gone."""
        if _PLUGGED.pop(self.name, None) is None:
            return
        if self._peer:
            self._peer.close()
        self._server.close()


def get_devices(**_: Any) -> list[dict[str, Any]]:
    """As mido asks a backend."""
    return [{"name": name, "is_input": True, "is_output": True} for name in _PLUGGED]


class Input(BaseInput):
    """What came over the socket is read when it is asked for."""

    def _open(self, **_: Any) -> None:
        self._socket = _OPEN[self.name] = SocketPort("127.0.0.1", _PLUGGED[self.name])

    def _receive(self, block: bool = True) -> None:
        with suppress(OSError):  # pulled out
            self._messages.extend(self._socket.iter_pending())

    def _close(self) -> None:
        self._socket.closed = True
        self._socket._socket.close()


class Output(BaseOutput):
    """The way back, over the same socket."""

    def _open(self, **_: Any) -> None:
        self._socket = _OPEN[self.name]

    def _send(self, message: mido.Message) -> None:
        self._socket.send(message)

    def _close(self) -> None:
        pass
