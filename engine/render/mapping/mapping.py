"""One output's mapping as a venue keeps it, in fractions: of the picture from its top left, of the output alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from engine.core.hud_info import MOST_KNOTS

Fraction = Annotated[float, Meta(ge=0, le=1)]
Place = Annotated[tuple[Annotated[float, Meta(ge=-1, le=2)], ...], Meta(min_length=2, max_length=2)]
"""x and y of the output; it may lie beside it."""
Polygon = Annotated[tuple[Place, ...], Meta(min_length=3, max_length=256)]
Polygons = Annotated[tuple[Polygon, ...], Meta(max_length=64)]
Knots = Annotated[int, Meta(ge=2, le=MOST_KNOTS)]
Gamma = Annotated[float, Meta(ge=0.2, le=5)]
SQUARE: tuple[Place, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
WHOLE = (0.0, 0.0, 1.0, 1.0)


class Lie(StrEnum):
    """How a picture lies in the output.

    OWN: composed for the output, turned as it may be, and fills it. The others take it in the shape in which it is
    recorded: CONTAIN shows all of it between bars, COVER crops it, STRETCH takes no care of its shape.
    """

    OWN = "own"
    CONTAIN = "contain"
    COVER = "cover"
    STRETCH = "stretch"


class Curve(StrEnum):
    """What lies between a mesh's points: bilinear patches, or Catmull-Rom curves through them."""

    STRAIGHT = "straight"
    SMOOTH = "smooth"


class Mesh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`points`, row by row, are where evenly spaced places of the picture go, before the corners are pinned."""

    columns: Knots
    rows: Knots
    points: Annotated[tuple[Place, ...], Meta(min_length=4, max_length=MOST_KNOTS**2)]
    curve: Curve = Curve.SMOOTH


class SoftEdges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Widths over which light rises from nothing, in fractions of what the output shows.

    Two that overlap there add up to the flat picture, the projectors' light being their input to the power of `gamma`.
    """

    left: Fraction = 0.0
    right: Fraction = 0.0
    top: Fraction = 0.0
    bottom: Fraction = 0.0
    gamma: Gamma = 2.2


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`part` of the picture (left, top, right, bottom), turned clockwise and laid into the output; bent and pinned.

    `corners` of the output are where its top left, top right, bottom right and bottom left go. Then each colour to the
    power of 1/`gamma`, times `colour`. Where there is `keep`, nothing is lit outside of these polygons, nor inside of
    `hide`; `mask` is a PNG from the venue's folder on, as large as the output, and lights as it is light.
    """

    part: Annotated[tuple[Fraction, ...], Meta(min_length=4, max_length=4)] = WHOLE
    rotate: Annotated[float, Meta(ge=-360, le=360)] = 0.0
    fit: Lie = Lie.OWN
    mesh: Mesh | None = None
    corners: Annotated[tuple[Place, ...], Meta(min_length=4, max_length=4)] = SQUARE
    colour: Annotated[tuple[Annotated[float, Meta(ge=0, le=2)], ...], Meta(min_length=3, max_length=3)] = (1.0,) * 3
    gamma: Gamma = 1.0
    soft: SoftEdges = SoftEdges()
    keep: Polygons = ()
    hide: Polygons = ()
    mask: Annotated[str, Meta(max_length=4096)] = ""


PLAIN = Mapping()
"""Changes nothing, and is not drawn at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A mapping as it is drawn: with its mask, grey uint8 (height, width), and for who sets it up, a test pattern."""

    mapping: Mapping = PLAIN
    mask: np.ndarray | None = None
    pattern: str = ""
    """The output's name, written into the test pattern that is shown in place of the picture."""
    chosen: Place | None = None
    """The place of the picture, 0..1, whose point is being moved."""
    spans: tuple[int, int] = (0, 0)
    """Columns and rows between points that can be moved, which have rings; 0: none are shown."""


def fault(mapping: Mapping) -> str:
    """What no output can be mapped to, and what would be accepted; "" where it can."""
    left, top, right, bottom = mapping.part
    if not (left < right and top < bottom):
        return f"part = {list(mapping.part)}; accepted: left, top, right, bottom, the first two less than the others"
    if not _is_convex(mapping.corners):
        corners = [list(corner) for corner in mapping.corners]
        return f"corners = {corners}; accepted: four of a quadrilateral that bulges everywhere, in order"
    mesh, soft = mapping.mesh, mapping.soft
    if mesh and len(mesh.points) != mesh.columns * mesh.rows:
        return f"mesh.points: {len(mesh.points)} of them; accepted: columns x rows = {mesh.columns * mesh.rows}"
    if soft.left + soft.right > 1 or soft.top + soft.bottom > 1:
        return "soft: edges that meet; accepted: left + right and top + bottom of at most 1"
    return ""


def _is_convex(corners: tuple[Place, ...]) -> bool:
    """Whether each corner turns the same way, and by enough to be drawn."""
    sides = np.roll(np.array(corners), -1, 0) - np.array(corners)
    after = np.roll(sides, -1, 0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    return bool((turns > 1e-5).all() or (turns < -1e-5).all())
