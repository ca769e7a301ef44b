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

# What TouchDesigner's OSC Out sends, written down byte by byte after OSC 1.0: a text ends with NUL, filled up to four
# bytes, numbers are big-endian; 0.5 is 3f 00 00 00 as a float, 3f e0 and six times 00 as a double. The CHOP bundles its
# channels with a time tag of its own clock; of a time slice a message has all samples. The DAT's sendOSC bundles unless
# told not to; with its non-standard types True goes as T, None as N, a list in a list as an array.
NOW = b"\0\0\0\0\0\0\0\x01"
LATER = b"\xea\x3f\x1c\x5d\x80\0\0\0"

CHOP_SAMPLE = (
    b"#bundle\0" + LATER
    + b"\0\0\0\x18/tpos/motion\0\0\0\0,f\0\0\x3f\x00\x00\x00"
    + b"\0\0\0\x1c/tpos/shader/glow\0\0\0,f\0\0\x3e\x80\x00\x00"
)  # fmt: skip
CHOP_INTS = b"#bundle\0" + LATER + b"\0\0\0\x14/tpos/steps\0,i\0\0\0\0\0\x02"
CHOP_DOUBLES = b"#bundle\0" + LATER + b"\0\0\0\x1c/tpos/motion\0\0\0\0,d\0\0\x3f\xe0\0\0\0\0\0\0"
CHOP_TIME_SLICE = (
    b"#bundle\0" + LATER
    + b"\0\0\0\x1c/tpos/motion\0\0\0\0,ff\0\x3f\x00\x00\x00\x3e\x80\x00\x00"
    + b"\0\0\0\x1c/tpos/shader/glow\0\0\0,f\0\0\x3e\x80\x00\x00"
)  # fmt: skip
DAT_TEXT = b"#bundle\0" + NOW + b"\0\0\0\x24/tpos/prompt\0\0\0\0,ss\0rain\0\0\0\0" + b"2 bars\0\0"
DAT_TEXT_AND_INT = b"/tpos/prompt\0\0\0\0,si\0a red sea\0\0\0\0\0\0\x03"
DAT_TRUE = b"#bundle\0" + NOW + b"\0\0\0\x14/tpos/freeze\0\0\0\0,T\0\0"
DAT_INT_AS_SWITCH = b"/tpos/freeze\0\0\0\0,i\0\0\0\0\0\x01"
DAT_SEVERAL = (
    b"#bundle\0" + NOW
    + b"\0\0\0\x1c/tpos/preset\0\0\0\0,s\0\0neon\0\0\0\0"
    + b"\0\0\0\x18/tpos/cue/go\0\0\0\0,i\0\0\0\0\0\x01"
)  # fmt: skip
DAT_ARRAY = b"/tpos/isf/wash/tint\0,[ffff]\0" + b"\x3f\x80\0\0\x3f\0\0\0\x3e\x80\0\0\x3f\x80\0\0"
DAT_NOTHING = b"/tpos/cue/go\0\0\0\0,\0\0\0"
DAT_NIL = b"/tpos/motion\0\0\0\0,N\0\0"
