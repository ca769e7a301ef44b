"""Datagrams to OSC messages: OSC 1.0's bytes, without the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from pythonosc import osc_message

from engine.control.addresses import EVENT, find
from engine.control.arguments import CommandError
from engine.control.queue import Sender
from engine.core.parameters import Kind

MAX_DATAGRAM, MAX_NESTING, MAX_ARGUMENTS = 65_536, 8, 64
TYPE_TAGS = b"ifsdhbTFN[]"
NUMBERS = {b",f\0\0": 4, b",i\0\0": 4, b",d\0\0": 8}
"""Tags of messages of one number, and its bytes."""


class MalformedError(ValueError):
    """A datagram that is not OSC, or not what is spoken here; `address` where one could be read."""

    def __init__(self, what: str, address: str = "") -> None:
        super().__init__(what)
        self.address = address


def read_datagram(data: bytes) -> list[osc_message.OscMessage]:
    """The messages of one datagram in order, those of nested bundles included.

    Time tags are read over: everything is carried out on arrival, because a picture late by its sender's clock helps
    nobody. python-osc parses each message; bundles are walked here, where its own walk never ends on a negative size.
    Raises MalformedError.
    """
    messages: list[osc_message.OscMessage] = []
    _read(data, messages, 0)
    return messages


def one_by_one(values: Iterable[Any]) -> list[Any]:
    """A message's arguments, those of its arrays among them: a colour may come as one."""
    return [one for value in values for one in (one_by_one(value) if isinstance(value, list) else [value])]


def newest(came: Sequence[tuple[bytes, Sender]]) -> Sequence[tuple[bytes, Sender]]:
    """Datagrams in order, but of each number that a sender says again the last: as `CommandQueue` would have it."""
    if len(came) < 2:
        return came
    last = {(sender, _said_to(data) or n): n for n, (data, sender) in enumerate(came)}
    return [came[n] for n in sorted(last.values())]


def _said_to(data: bytes) -> bytes:
    """The address of a message that says one number where only the last counts; b"" of all others."""
    end = data.find(b",")
    whole = len(data) - end - 4 == NUMBERS.get(data[end : end + 4])
    return data[:end] if whole and _puts(data[:end].rstrip(b"\0")) else b""


@lru_cache(1024)
def _puts(address: bytes) -> bool:
    try:
        row, _ = find(address.decode("ascii"))
    except (CommandError, UnicodeDecodeError):
        return False
    return row.applies != EVENT and row.arguments[0].kind in (Kind.FLOAT, Kind.INT)


def _read(data: bytes, messages: list[osc_message.OscMessage], depth: int) -> None:
    if data.startswith(b"/"):
        messages.append(_read_message(data))
    elif data.startswith(b"#bundle\0") and len(data) >= 16 and depth < MAX_NESTING:
        at = 16
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if not 0 < size <= len(data) - at - 4:
                raise MalformedError("a bundle element runs past the end of the datagram")
            _read(data[at + 4 : at + 4 + size], messages, depth + 1)
            at += 4 + size
    else:
        raise MalformedError("neither an OSC message nor a bundle")


def _read_message(data: bytes) -> osc_message.OscMessage:
    end = data.find(b"\0")
    tags_at = (end // 4 + 1) * 4
    tags = data[tags_at + 1 : data.find(b"\0", tags_at)]
    address = data[: max(end, 0)][:100].decode(errors="replace")
    if len(tags) > MAX_ARGUMENTS or not set(tags) <= set(TYPE_TAGS):
        raise MalformedError("type tags other than up to 64 of i f s d h b T F N [ ]", address)
    try:
        return osc_message.OscMessage(data)
    except (osc_message.ParseError, UnicodeDecodeError) as error:
        raise MalformedError("a message that ends early or is not UTF-8", address) from error
