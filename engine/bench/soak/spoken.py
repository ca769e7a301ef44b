"""What a soak and its show, in a process of its own, tell each other."""

from __future__ import annotations

import msgspec

PRESET = "soak"
SENT_PX, SENT_HZ = (64, 36), 10.0
SENT_BYTES = SENT_PX[0] * SENT_PX[1] * 4
BUFFER_BYTES = SENT_BYTES // 4
"""So that little of what a deaf receiver was sent lies in between, and looks as if it had come."""


class Asked(msgspec.Struct, frozen=True):
    """What is played: `track` over and over, with the preset `PRESET`, recorded into `folder`.

    The status goes to `osc_port` on this machine, small pictures over TCP to `wire_port`.
    """

    folder: str
    track: str
    model: str
    precision: str | None
    size: tuple[int, int]
    osc_port: int
    wire_port: int


class Vitals(msgspec.Struct, frozen=True):
    """How the show fares at `time_s`, by the system's monotonic clock; what counts up does so only while it lives."""

    time_s: float
    frames: int
    redraws: int
    gap_s: float
    """The longest between two redraws since the last of these, the one that lasts included."""
    hop_s: float
    """When the newest sound was analysed that is heard, on the show's clock."""
    film_s: float
    film: str
    """The folder that is recorded into, "" for none."""
    restarts: int
    state: str
    osc_port: int
