"""Datagrams to messages, without a network."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from osc_datagrams import TOUCHDESIGNER_BUNDLE
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

from engine.control.osc_status import Status, status_values
from engine.control.osc_wire import MalformedError, read_datagram
from engine.core.messages import Heard


def test_a_message_without_type_tags_is_a_message() -> None:
    (message,) = read_datagram(b"/tpos/cue/go\0\0\0\0")
    assert (message.address, message.params) == ("/tpos/cue/go", [])


def test_deeply_nested_bundles_are_refused() -> None:
    data = build_msg("/tpos/freeze", True).dgram
    for _ in range(9):
        data = b"#bundle\0" + b"\0" * 7 + b"\x01" + struct.pack(">i", len(data)) + data
    with pytest.raises(MalformedError):
        read_datagram(data)


def test_random_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(1)
    whole = bytearray(TOUCHDESIGNER_BUNDLE)
    for _ in range(3000):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        try:
            read_datagram(bytes(data[: rng.integers(len(data) + 1)]))
        except MalformedError:
            continue


def test_status_survives_any_text() -> None:
    odd = status_values(Status(prompt="x" * 70_000, state="a\0b\udcff", heard=(Heard("\ud800", 1.0),)), 1)
    for name, values in odd.items():
        assert OscMessage(build_msg(name, values).dgram).params == values
    assert len(odd["prompt"][0]) == 500
