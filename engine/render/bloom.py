"""Warp, glow and colour push, at the model's own resolution: the costly part of the look on the fewest pixels."""

from __future__ import annotations

from engine.render import gl
from engine.render.audio_reactive import Look

SMALL_PX, FAR_PX = 64, 16
"""Longer side of the copies that glow near and far."""
KNEE = 0.45
"""Code value above which a part of the picture glows."""


class Light:
    """Draws a picture with its look into `lit`. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas, size: gl.Size) -> None:
        self.lit = gl.Target(size)
        self._small = gl.Target(gl.shrunk(size, SMALL_PX))
        self._near = gl.Target(gl.shrunk(size, SMALL_PX))
        self._far = gl.Target(gl.shrunk(size, FAR_PX))
        self._canvas = canvas
        self._shrink = gl.program("cover.vert", "small.frag")
        self._bright = gl.program("cover.vert", "bright.frag")
        self._light = gl.program("cover.vert", "light.frag", "enlarge.frag")

    def draw(self, picture: gl.Texture, look: Look) -> None:
        """Draw `lit`; with the neutral look it equals `picture`."""
        if look.glow > 0.0:
            self._draw_glow(picture)
        self.lit.begin()
        self._light.use()
        for unit, texture in enumerate((picture, self._near.texture, self._far.texture)):
            texture.bind(unit)
        self._light["picture"], self._light["near_glow"], self._light["far_glow"] = 0, 1, 2
        self._light["glow"], self._light["warp"], self._light["phase"] = look.glow, look.warp, look.warp_phase
        width, height = self.lit.size
        self._light["aspect"], self._light["texels"] = width / height, (float(width), float(height))
        self._light["push"] = tuple(look.colour.T.ravel().tolist())
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
        for thing in (self.lit, self._small, self._near, self._far, self._shrink, self._bright, self._light):
            thing.delete()
