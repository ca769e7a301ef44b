"""A mapping's points as they lie on the output: its corners, then its mesh's; moved, laid anew, made straight."""

from __future__ import annotations

import msgspec
import numpy as np

from engine.render.mapping.geometry import pinned
from engine.render.mapping.mapping import SQUARE, Curve, Mapping, Mesh, Place, fault
from engine.render.picture import Size

CORNERS = len(SQUARE)
FARTHEST = -1.0, 2.0
DIGITS = 6
REACH_PX = 24
"""So near to a point a mouse takes it."""
_FLAT = Mesh(columns=2, rows=2, points=((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)))


def places(mapping: Mapping) -> np.ndarray:
    """Where the points are on the output, (n, 2), 0..1 from its top left."""
    at = [*mapping.corners]
    if mapping.mesh:
        x, y, w = pinned(mapping.corners) @ np.column_stack([mapping.mesh.points, np.ones(len(mapping.mesh.points))]).T
        at += zip(*np.stack([x, y]) / np.maximum(w, 1e-6), strict=True)  # at most 0 beyond the horizon
    return np.clip(at, *FARTHEST)


def put(mapping: Mapping, point: int, place: Place) -> Mapping:
    """With a point at a place of the output; the mapping itself where that cannot be drawn."""
    points: list[Place] = [*mapping.corners, *(mapping.mesh.points if mapping.mesh else ())]
    if point >= CORNERS:
        pin = pinned(mapping.corners)
        at = np.linalg.solve(pin, (*place, 1.0))
        place = tuple(at[:2] / at[2]) if at[2] else (np.inf, np.inf)
        if not np.isfinite(place).all() or pin[2] @ (*place, 1.0) <= 0:
            return mapping
    points[point] = tuple(round(float(value), DIGITS) for value in np.clip(place, *FARTHEST))
    mesh = mapping.mesh and msgspec.structs.replace(mapping.mesh, points=tuple(points[CORNERS:]))
    moved = msgspec.structs.replace(mapping, corners=tuple(points[:CORNERS]), mesh=mesh)
    return mapping if fault(moved) else moved


def meshed(mapping: Mapping, columns: int, rows: int, curve: Curve) -> Mapping:
    """With a mesh of other points, on the straight lines between those that it had; fewer than 2 a side: with none."""
    if min(columns, rows) < 2:
        return msgspec.structs.replace(mapping, mesh=None)
    old = mapping.mesh or _FLAT
    points = np.reshape(old.points, (old.rows, old.columns, 2))
    points = _spread(_spread(points, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    laid = tuple((round(float(x), DIGITS), round(float(y), DIGITS)) for x, y in points.reshape(-1, 2))
    return msgspec.structs.replace(mapping, mesh=Mesh(columns=columns, rows=rows, points=laid, curve=curve))


def reset(mapping: Mapping, point: int) -> Mapping:
    """With the corners, or where the point is the mesh's, the mesh, as they began."""
    if point < CORNERS or mapping.mesh is None:
        return msgspec.structs.replace(mapping, corners=SQUARE)
    mesh = mapping.mesh
    return meshed(msgspec.structs.replace(mapping, mesh=None), mesh.columns, mesh.rows, mesh.curve)


def near(mapping: Mapping, place: Place, size: Size, chosen: int) -> int | None:
    """The point within reach of a place of an output of `size`; of those that are, one of the chosen one's kind."""
    far_px = np.hypot(*((places(mapping) - place) * size).T)
    far_px[far_px > REACH_PX] = np.inf
    kinds = [slice(0, CORNERS), slice(CORNERS, None)]
    for kind in kinds if chosen < CORNERS else reversed(kinds):
        within = np.arange(len(far_px))[kind][np.isfinite(far_px[kind])]
        if len(within):
            return int(min(within, key=far_px.__getitem__))
    return None


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """So many along the first axis, evenly between those there are."""
    at = np.linspace(0, len(points) - 1, count)
    below = np.minimum(at.astype(int), len(points) - 2)
    share = (at - below)[:, None, None]
    return (1 - share) * points[below] + share * points[below + 1]
