"""Motion between two model frames, found on the GPU in small copies of them.

Lucas and Kanade (1981) from coarse to fine; then only what explains the pictures better than standing still is kept.
On frames of the pocket world, drawn with their noise moving, the moment half way came out 5 to 8 dB nearer the true
one than a crossfade for fire and clouds, 1 to 3 dB for waves.
"""

from __future__ import annotations

import numpy as np

from engine.render import gl

LEVELS_PX = (16, 32, 64)
"""Longer side of the copies, coarse to fine."""
REACH = 0.25
"""Displacements are stored within +-REACH / 2 of the picture."""


class Motion:
    """Estimates motion between pictures of one size. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas, size: gl.Size) -> None:
        sizes = [gl.shrunk(size, longest_px) for longest_px in LEVELS_PX]
        self._older = [gl.Target(small) for small in sizes]
        self._newer = [gl.Target(small) for small in sizes]
        self._found = [gl.Target(small) for small in sizes]
        self._kept = gl.Target(sizes[-1])
        self._still = gl.Texture((1, 1), np.full((1, 1, 3), 128, np.uint8))
        self._canvas = canvas
        self._shrink = gl.program("cover.vert", "small.frag")
        self._step = gl.program("cover.vert", "flow.frag")
        self._trust = gl.program("cover.vert", "trust.frag")

    @property
    def none(self) -> gl.Texture:
        """The motion of what stands still."""
        return self._still

    def estimate(self, older: gl.Texture, newer: gl.Texture) -> gl.Texture:
        """Displacement from `older` to `newer` at the moment half way: red and green, as `blend.frag` reads them."""
        self._copy(older, self._older)
        self._copy(newer, self._newer)
        found = self._still
        self._step.use()
        for pair in zip(self._older, self._newer, self._found, strict=True):
            found = self._refine(self._step, *pair, found)
        self._trust.use()
        return self._refine(self._trust, self._older[-1], self._newer[-1], self._kept, found)

    def _copy(self, picture: gl.Texture, into: list[gl.Target]) -> None:
        self._shrink.use()
        self._shrink["span"] = (1.0, 1.0)
        for target in reversed(into):
            target.begin()
            picture.bind(0)
            self._shrink["cell"] = (1 / target.size[0], 1 / target.size[1])
            self._canvas.cover()
            picture = target.texture

    def _refine(
        self, step: gl.ShaderProgram, older: gl.Target, newer: gl.Target, into: gl.Target, flow: gl.Texture
    ) -> gl.Texture:
        into.begin()
        for unit, texture in enumerate((older.texture, newer.texture, flow)):
            texture.bind(unit)
        step["older"], step["newer"], step["flow"] = 0, 1, 2
        step["cell"], step["reach"] = (1 / into.size[0], 1 / into.size[1]), REACH
        self._canvas.cover()
        return into.texture

    def delete(self) -> None:
        """Free what the GPU holds."""
        for target in (*self._older, *self._newer, *self._found, self._kept):
            target.delete()
        self._still.delete()
        for step in (self._shrink, self._step, self._trust):
            step.delete()
