"""The last pass of an output that is mapped: one drawing, bent, pinned, masked and coloured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyglet.graphics.shader import ShaderProgram

from engine.render import gl
from engine.render.mapping.geometry import laid, pinned
from engine.render.mapping.mapping import Curve, Mapped
from engine.render.mapping.masks import drawn_mask
from engine.render.mapping.pattern import drawn_pattern

FINE = 12
"""Cells a side that stand for a patch of a mesh."""
SPOT = 1 / 50
"""Radius of the spot on a point that is being moved, and of the others' rings, of the shorter side."""
_NOTHING = np.zeros((1, 1, 1), np.uint8)


class MapPass:
    """Maps a picture as `mapped` says at each redraw; None: not at all. See `Pass`."""

    def __init__(self, canvas: gl.Canvas, mapped: Callable[[], Mapped | None]) -> None:
        self._canvas, self._ask = canvas, mapped
        self._mapped: Mapped | None = None
        self._program: ShaderProgram | None = None
        self._made: tuple[Mapped, gl.Size, gl.Size] | None = None
        self._knots: gl.Texture | None = None
        self._mask: gl.Texture | None = None
        self._pattern: gl.Texture | None = None
        self._cells, self._lie = (1, 1), np.eye(3)

    def begin(self) -> bool:
        """As `Pass.begin`."""
        self._mapped = self._ask()
        return self._mapped is not None

    def source(self, size: gl.Size, shape: gl.Size) -> gl.Size:
        """As `Pass.source`."""
        assert self._mapped is not None
        source, self._lie = laid(self._mapped.mapping, size, shape)
        return source

    def draw(self, picture: gl.Texture, size: gl.Size) -> None:
        """As `Pass.draw`."""
        assert self._mapped is not None
        made = self._mapped, size, picture.size
        if self._program is None:
            self._program = gl.program("mapping/map.vert", "mapping/map.frag")
        if self._made != made:
            self._make(*made)
            self._made = made
        self._program.use()
        self._set(self._program, self._mapped, size)
        for unit, texture in enumerate((self._pattern or picture, self._mask, self._knots)):
            if texture is not None:
                texture.bind(unit)
        gl.clear()
        self._canvas.cells(self._cells[0] * self._cells[1])

    def delete(self) -> None:
        """As `Pass.delete`."""
        for thing in (self._program, self._knots, self._mask, self._pattern):
            if thing is not None:
                thing.delete()
        self._program = self._made = self._knots = self._mask = self._pattern = None

    def _make(self, mapped: Mapped, size: gl.Size, source: gl.Size) -> None:
        """The textures that a mapping needs at a size."""
        for texture in (self._knots, self._mask, self._pattern):
            if texture is not None:
                texture.delete()
        mesh, mask = mapped.mapping.mesh, drawn_mask(mapped, size)
        self._mask = _texture(_NOTHING if mask is None else mask[..., None])
        self._cells, points = (1, 1), np.zeros((1, 1, 3), np.float32)
        if mesh is not None:
            self._cells = FINE * (mesh.columns - 1), FINE * (mesh.rows - 1)
            points = np.zeros((mesh.rows, mesh.columns, 3), np.float32)
            points[..., :2] = np.reshape(mesh.points, (mesh.rows, mesh.columns, 2))
        self._knots = _texture(points)
        self._pattern = _texture(drawn_pattern(source, mapped.pattern)) if mapped.pattern else None

    def _set(self, p: ShaderProgram, mapped: Mapped, size: gl.Size) -> None:
        mapping = mapped.mapping
        soft, mesh, (width, height) = mapping.soft, mapping.mesh, map(float, size)
        p["picture"], p["mask"], p["knots"] = 0, 1, 2
        p["cells"] = tuple(map(float, self._cells))
        p["straight"] = mesh is not None and mesh.curve is Curve.STRAIGHT
        p["pin"], p["lie"] = _columns(pinned(mapping.corners)), _columns(self._lie)
        p["part"], p["gain"], p["power"] = mapping.part, mapping.colour, 1.0 / mapping.gamma
        p["soft"], p["light"] = (soft.left, soft.top, soft.right, soft.bottom), soft.gamma
        p["pixels"] = width, height
        p["spans"] = tuple(map(float, mapped.spans))
        p["chosen"] = (*(mapped.chosen or (0.0, 0.0)), SPOT * min(size) if mapped.chosen else 0.0)


def _columns(matrix: np.ndarray) -> tuple[float, ...]:
    """As OpenGL has matrices."""
    return tuple(map(float, matrix.T.ravel()))


def _texture(pixels: np.ndarray) -> gl.Texture:
    height, width, _ = pixels.shape
    return gl.Texture((width, height), pixels, floating=pixels.dtype == np.float32)
