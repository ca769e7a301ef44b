"""What is thrown at a show, and what its state has to say of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

GAP_S, SAID_S, BACK_S, EXIT_S, LOST_S, MEMORY_MB_H = 0.5, 2.0, 5.0, 10.0, 1.0, 5.0
"""The bars: between redraws; until it is said; back after the end; gone after SIGTERM; lost of a take; MiB an hour."""


@dataclass(frozen=True)
class Fault:
    """`part` breaks for `seconds`, and the state or the message is to match `said` within SAID_S.

    With `until_restart` it lasts until the model's thread failed or was given up, `seconds` at most. Nobody would meet
    it while the part that it `needs` is broken as well. `name` is one of `seams.Inside`, of `outside.Outside`, or that
    of a thread, which then raises.
    """

    name: str
    part: str
    seconds: float
    said: str = ""
    until_restart: bool = False
    needs: str = ""

    @property
    def stops(self) -> bool:
        """Whether nothing can be redrawn meanwhile."""
        return self.part == "process"

    @property
    def breaks_off(self) -> bool:
        """Whether the film cannot go on meanwhile."""
        return self.part == "disk"


def _raises(thread: str, part: str) -> Fault:
    return Fault(thread, part, 0.5, rf"{thread} failed")


_MODEL = r"inference stopped|going on with|hearing stopped|was refused"
_LATE = r"no new picture|hangs"
FAULTS: tuple[Fault, ...] = (
    Fault("feed hangs", "sound", 4.0, r"\blost\b"),
    Fault("analysis hangs", "sound", 4.0, r"\blost\b"),
    _raises("audio-feed", "sound"),
    _raises("audio-analysis", "sound"),
    _raises("tpos-osc", "osc"),
    Fault("osc hangs", "osc", 4.0, r"tpos-osc hangs"),
    Fault("osc garbage", "osc", 3.0),
    Fault("osc flood", "osc", 3.0),
    _raises("tpos-presets", "presets"),
    Fault("presets hang", "presets", 4.0, r"tpos-presets hangs"),
    Fault("preset broken", "presets", 3.0, r"soak\.toml"),
    _raises("tpos-keeper", "keeper"),
    Fault("keeper hangs", "keeper", 4.0, r"tpos-keeper hangs"),
    Fault("redraw raises", "screen", 1.0, r"a redraw failed"),
    Fault("receiver gone", "wire", 3.0, r"wire"),
    Fault("receiver hangs", "wire", 6.0, r"wire"),
    Fault("tpos-recorder", "disk", 0.5, r"recording"),
    Fault("tpos-recorder-disk", "disk", 0.5, r"recording"),
    Fault("disk full", "disk", 3.0, r"No space left"),
    Fault("disk stalls", "disk", 5.0, r"disk"),
    Fault("disk never syncs", "disk", 5.0, r"disk"),
    Fault("disk gone", "disk", 3.0, r"recording"),
    Fault("picture raises", "model", 10.0, _MODEL, until_restart=True),
    Fault("picture is NaN", "model", 10.0, _MODEL, until_restart=True),
    Fault("picture hangs", "model", 6.0, _LATE),
    Fault("ear raises", "model", 1.0, _MODEL, needs="sound"),
    Fault("ear hangs", "model", 8.0, r"hearing hangs|no new picture"),
    Fault("clock jumps", "clock", 0.5),
    Fault("process stopped", "process", 3.0),
    Fault("picture out of memory", "model", 10.0, _MODEL, until_restart=True),
    Fault("picture wedged", "model", 90.0, _LATE, until_restart=True),
    Fault("process stopped long", "process", 25.0),
)
"""In the order in which they are thrown one by one; the model's when the show has settled."""
if sys.platform == "win32":
    FAULTS = tuple(fault for fault in FAULTS if not fault.stops)


def pairs_of(faults: Sequence[Fault]) -> list[tuple[Fault, Fault]]:
    """Any two that strike different parts, and of which neither keeps the other from being met."""
    return [(a, b) for a in faults for b in faults if a.part < b.part and a.part != b.needs and b.part != a.needs]
