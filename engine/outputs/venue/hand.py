"""One output's points moved by keys: which is chosen, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from engine.render.mapping.mapping import SQUARE, Mapped, Mapping, Place, fault
from engine.render.picture import Size

FINE_PX, COARSE_PX = 1, 10
FARTHEST = -1.0, 2.0
DIGITS = 6
ARROWS = {"LEFT": (-1, 0), "RIGHT": (1, 0), "UP": (0, -1), "DOWN": (0, 1)}


@dataclass(frozen=True, slots=True)
class Hand:
    """At the output `name`; `point` counts the four corners, then those of a mesh."""

    name: str
    point: int = 0
    pattern: bool = True

    def over(self, kept: Mapped | None) -> Mapped:
        """What is shown meanwhile of a mapping."""
        kept = kept or Mapped()
        return replace(kept, pattern=self.name if self.pattern else "", chosen=self._home(kept.mapping))

    def nexts(self, mapping: Mapping, by: int) -> Hand:
        """At the next point, or the one before."""
        return replace(self, point=(self.point + by) % len(_points(mapping)))

    def moved(self, mapping: Mapping, arrow: str, coarse: bool, size: Size) -> Mapping:
        """With the point moved by pixels of an output of `size`; as it was where that cannot be."""
        right, down = ARROWS[arrow]
        by = COARSE_PX if coarse else FINE_PX
        points = _points(mapping)
        x, y = points[self.point % len(points)]
        low, high = FARTHEST
        points[self.point % len(points)] = (
            round(min(max(x + right * by / size[0], low), high), DIGITS),
            round(min(max(y + down * by / size[1], low), high), DIGITS),
        )
        mesh = mapping.mesh and msgspec.structs.replace(mapping.mesh, points=tuple(points[4:]))
        moved = msgspec.structs.replace(mapping, corners=tuple(points[:4]), mesh=mesh)
        return mapping if fault(moved) else moved

    def _home(self, mapping: Mapping) -> Place:
        """Where the point lies in the picture."""
        at = self.point % len(_points(mapping))
        if at < len(SQUARE) or mapping.mesh is None:
            return SQUARE[at]
        row, column = divmod(at - len(SQUARE), mapping.mesh.columns)
        return column / (mapping.mesh.columns - 1), row / (mapping.mesh.rows - 1)


def _points(mapping: Mapping) -> list[Place]:
    return [*mapping.corners, *(mapping.mesh.points if mapping.mesh else ())]
