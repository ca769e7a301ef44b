"""Where an output's pixels lie in the picture, and the area of the output on the wall; y runs down everywhere."""

from __future__ import annotations

import math

import numpy as np

from engine.render.mapping.mapping import Lie, Mapping, Place
from engine.render.picture import Size, within

LONGEST_PX = 8192


def pinned(corners: tuple[Place, ...]) -> np.ndarray:
    """The homography (3, 3) from the unit square to a convex quadrilateral, corner by corner (Heckbert 1989, 2.2.3).

    Its third row is positive all over the square.
    """
    p0, p1, p2, p3 = np.array(corners, float)
    slant = np.linalg.solve(np.stack([p1 - p2, p3 - p2], 1), p0 - p1 + p2 - p3)
    g, h = slant
    return np.column_stack([np.append(p1 - p0 + g * p1, g), np.append(p3 - p0 + h * p3, h), np.append(p0, 1.0)])


def laid(mapping: Mapping, output: Size, shape: Size) -> tuple[Size, np.ndarray]:
    """The picture's size for an output, and the affine map (3, 3) from the output's area to it, both 0..1.

    `shape` is the picture's as it is recorded. A pixel of one is about one of the other.
    """
    area = np.array(output, float)
    low, high = np.reshape(mapping.part, (2, 2))
    angle = math.radians(mapping.rotate)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    if mapping.fit is Lie.OWN:
        part, scale = _around(turn.T, area), np.ones(2)
    else:
        part = np.array(shape) * (high - low)
        turned = _around(turn, part)
        scale = {
            Lie.CONTAIN: np.repeat((area / turned).min(), 2),
            Lie.COVER: np.repeat((_around(turn.T, area) / part).max(), 2),
            Lie.STRETCH: area / turned,
        }[mapping.fit]
    inner = np.diag((high - low) / part) @ turn.T @ np.diag(area / scale)
    to_picture = np.eye(3)
    to_picture[:2, :2] = inner
    to_picture[:2, 2] = (low + high) / 2 - inner @ (0.5, 0.5)
    width, height = (round(float(px)) for px in part * scale.max() / (high - low))
    return within((max(1, width), max(1, height)), LONGEST_PX), to_picture


def _around(turn: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Sides of the upright rectangle around one that was turned."""
    return np.abs(turn) @ sides
