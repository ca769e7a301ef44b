"""Warp, glow and colour push, at the model's own resolution: the costly part of the look on the fewest pixels."""

from __future__ import annotations

from engine.render import gl
from engine.render.audio_reactive import Look

SMALL_PX, FAR_PX = 64, 16
"""Longer side of the copies that glow near and far."""
KNEE = 0.45
"""Code value above which a part of the picture glows."""


class Bloom:
    """Draws a picture with its look into `target`. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas, size: gl.Size) -> None:
        self.target = gl.Target(size)
        self._small = gl.Target(gl.shrunk(size, SMALL_PX))
        self._near = gl.Target(gl.shrunk(size, SMALL_PX))
        self._far = gl.Target(gl.shrunk(size, FAR_PX))
        self._canvas = canvas
        self._shrink = gl.program("cover.vert", "small.frag")
        self._bright = gl.program("cover.vert", "bright.frag")
        self._program = gl.program("cover.vert", "bloom.frag", "enlarge.frag")

    def draw(self, picture: gl.Texture, look: Look) -> None:
        """Draw `target`; with the neutral look it equals `picture`."""
        if look.glow > 0.0:
            self._draw_glow(picture)
        self.target.begin()
        self._program.use()
        for unit, texture in enumerate((picture, self._near.texture, self._far.texture)):
            texture.bind(unit)
        self._program["picture"], self._program["near_glow"], self._program["far_glow"] = 0, 1, 2
        self._program["glow"], self._program["warp"], self._program["phase"] = look.glow, look.warp, look.warp_phase
        width, height = self.target.size
        self._program["aspect"], self._program["texels"] = width / height, (float(width), float(height))
        self._program["push"] = tuple(look.colour.T.ravel().tolist())
        self._canvas.cover()

    def _draw_glow(self, picture: gl.Texture) -> None:
        self._small.begin()
        self._shrink.use()
        picture.bind(0)
        self._shrink["cell"] = (1 / self._small.size[0], 1 / self._small.size[1])
        self._shrink["span"] = (1.0, 1.0)
        self._canvas.cover()
        self._bright.use()
        self._spread(self._small, self._near, KNEE)
        self._spread(self._near, self._far, -1.0)

    def _spread(self, source: gl.Target, into: gl.Target, knee: float) -> None:
        into.begin()
        source.texture.bind(0)
        self._bright["cell"] = (1 / source.size[0], 1 / source.size[1])
        self._bright["knee"] = knee
        self._canvas.cover()

    def delete(self) -> None:
        """Free what the GPU holds."""
        for thing in (self.target, self._small, self._near, self._far, self._shrink, self._bright, self._program):
            thing.delete()
