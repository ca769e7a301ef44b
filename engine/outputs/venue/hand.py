"""Who sets up an output: which point is chosen, what is shown meanwhile, and what the keys of its window say."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.control.addresses import MAPPING
from engine.core.parameters import Value
from engine.outputs.venue.points import CORNERS
from engine.render.mapping.mapping import SQUARE, Mapped

FINE_PX, COARSE_PX = 1, 10
ARROWS = {"LEFT": (-1, 0), "RIGHT": (1, 0), "UP": (0, -1), "DOWN": (0, 1)}


@dataclass(frozen=True, slots=True)
class Hand:
    """At the output `name`; `point` counts the four corners from 0, then the points of a mesh."""

    name: str
    point: int = 0
    pattern: bool = False

    def over(self, kept: Mapped) -> Mapped:
        """What is shown meanwhile of a mapping."""
        mesh, chosen = kept.mapping.mesh, SQUARE[self.point % CORNERS]
        spans = 1, 1
        if self.point >= CORNERS and mesh:
            spans = mesh.columns - 1, mesh.rows - 1
            row, column = divmod(self.point - CORNERS, mesh.columns)
            chosen = column / spans[0], row / spans[1]
        return replace(kept, pattern=self.name if self.pattern else "", chosen=chosen, spans=spans)

    def said(self, key: str, shift: bool, count: int) -> tuple[str, tuple[Value, ...]] | None:
        """The address and arguments that a key stands for, None where it is no key of the mapping's.

        `count` points there are.
        """
        if key in ARROWS:
            right, down = ARROWS[key]
            by = COARSE_PX if shift else FINE_PX
            return f"{MAPPING}/nudge", (right * by, down * by)
        match key:
            case "G" | "ESCAPE":
                return MAPPING, ("",)
            case "_1" | "_2" | "_3" | "_4":
                return f"{MAPPING}/choose", (int(key[1]),)
            case "TAB":
                return f"{MAPPING}/choose", ((self.point + (-1 if shift else 1)) % count + 1,)
            case "T":
                return f"{MAPPING}/pattern", (None,)
            case "S":
                return f"{MAPPING}/save", (True,)
        return None
