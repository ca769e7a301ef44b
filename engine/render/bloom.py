"""Camera, warp, glow and colour, at the model's own resolution: the costly part of the look on the fewest pixels."""

from __future__ import annotations

import math

from engine.render import gl
from engine.render.audio_reactive import Look, View

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
        self._seen, self._seen_mask = gl.Target(size), gl.Target(size)
        self._canvas = canvas
        self._camera = gl.program("cover.vert", "camera.frag", "picture.frag", "enlarge.frag")
        self._shrink = gl.program("cover.vert", "small.frag")
        self._bright = gl.program("cover.vert", "bright.frag")
        self._everywhere, self._local = (
            gl.program("cover.vert", "bloom.frag", "enlarge.frag", f"{where}.frag") for where in ("everywhere", "local")
        )

    def draw(self, picture: gl.Texture, look: Look, mask: gl.Texture | None, seen: bool = False) -> None:
        """Draw `target`; with the neutral look it equals `picture`. A `local` look keeps to where `mask` is red.

        `seen`: the picture is what the camera sees already.
        """
        if look.view != View():
            picture = picture if seen else self._see(picture, look.view, self._seen)
            mask = self._see(mask, look.view, self._seen_mask) if mask and look.local > 0.0 else None
        if look.glow > 0.0:
            self._draw_glow(picture)
        self.target.begin()
        program = self._local if mask and look.local > 0.0 else self._everywhere
        program.use()
        for unit, texture in enumerate((picture, self._near.texture, self._far.texture)):
            texture.bind(unit)
        program["picture"], program["near_glow"], program["far_glow"] = 0, 1, 2
        program["glow"], program["warp"], program["phase"] = look.glow, look.warp, look.warp_phase
        width, height = self.target.size
        program["aspect"], program["texels"] = width / height, (float(width), float(height))
        program["push"] = tuple(look.colour.T.ravel().tolist())
        program["lift"] = look.lift
        program["moves"] = look.warp > 0.0 or look.swell > 1.0
        if mask and program is self._local:
            mask.bind(3)
            program["mask"], program["local"], program["swell"] = 3, look.local, look.swell
        self._canvas.cover()

    def _see(self, picture: gl.Texture, view: View, into: gl.Target) -> gl.Texture:
        """What the camera sees of a picture of any size."""
        into.begin()
        picture.bind(0)
        self._camera.use()
        self._camera["texels"] = float(picture.size[0]), float(picture.size[1])
        look_through(self._camera, view, into.size)
        self._canvas.cover()
        return into.texture

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
        for target in (self.target, self._small, self._near, self._far, self._seen, self._seen_mask):
            target.delete()
        for program in (self._camera, self._shrink, self._bright, self._everywhere, self._local):
            program.delete()


def look_through(program: gl.ShaderProgram, view: View, size: gl.Size) -> None:
    """Point the camera of the program in use, whose picture has the shape of `size`."""
    c, s = math.cos(view.turn), math.sin(view.turn)
    program["aspect"], program["octaves"] = size[0] / size[1], view.fly
    program["turn"], program["shift"] = (c, -s, s, c), view.shift
