"""Datagrams as they came over the wire, and bytes that are none."""

from __future__ import annotations

import struct


def captured(*parts: bytes) -> bytes:
    return b"".join(parts)


TOUCHDESIGNER_BUNDLE = captured(
    b"#bundle\0", b"\xea\x3f\x1c\x5d\x80\0\0\0",  # a time tag of its own clock, years away from ours
    b"\0\0\0\x18", b"/tpos/motion\0\0\0\0,f\0\0", struct.pack(">f", 0.25),
    b"\0\0\0\x1c", b"/tpos/audio/amount\0\0,f\0\0", struct.pack(">f", 0.75),
)  # fmt: skip

GARBAGE = [
    b"",
    b"hello",
    b"/",
    b"/tpos/motion",
    b"/tpos/motion\0\0\0\0,f\0",
    b"/tpos/prompt\0\0\0\0,s\0\0never ends",
    b"/tpos/prompt\0\0\0\0,s\0\0\xff\xfe\0\0",
    b"/tpos/prompt\0\0\0\0,[[\0",
    b"/x\0\0," + b"z" * 60_000 + b"\0",
    b"/x\0\0," + b"T" * 60_000 + b"\0",
    b"#bundle\0",
    b"#bundle\0" + b"\0" * 7 + b"\x01" + b"\xff\xff\xff\xfc",
    b"#bundle\0" + b"\0" * 7 + b"\x01" + b"\0\0\0\0" * 16_000,
    b"#bundle\0" + b"\0" * 7 + b"\x01" + b"\x7f\xff\xff\xff/a",
    (b"#bundle\0" + b"\0" * 12) * 3200,
    bytes(range(256)) * 255,
    b"/" + b"a" * 65_000,
]
"""None of these is OSC."""
