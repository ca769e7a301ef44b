"""Camera, warp, glow and colour, at the model's own resolution: the costly part of the look on the fewest pixels."""

from __future__ import annotations

import math

from engine.render import gl
from engine.render.audio_reactive import Look, View

SMALL_PX, FAR_PX = 64, 16
"""Longer side of the copies that glow near and far."""
KNEE = 0.45
"""Code value above which a part of the picture glows."""
_WHERE = {False: ("everywhere.frag",), True: ("local.frag",)}
_TAKEN = {False: ("still.frag",), True: ("warp.frag", "enlarge.frag")}
"""Programs rather than branches: a CPU that draws runs both sides of one."""


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
        self._looks = {
            (local, moves): gl.program("cover.vert", "bloom.frag", *_WHERE[local], *_TAKEN[moves])
            for local in (False, True)
            for moves in (False, True)
        }

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
        local, moves = mask is not None and look.local > 0.0, look.warp > 0.0 or look.swell > 1.0
        program = self._looks[local, moves]
        program.use()
        for unit, texture in enumerate((picture, self._near.texture, self._far.texture)):
            texture.bind(unit)
        program["picture"], program["near_glow"], program["far_glow"] = 0, 1, 2
        program["glow"], program["push"], program["lift"] = look.glow, tuple(look.colour.T.ravel().tolist()), look.lift
        if moves:
            width, height = self.target.size
            program["warp"], program["phase"], program["aspect"] = look.warp, look.warp_phase, width / height
        if local and mask:
            mask.bind(3)
            program["mask"], program["local"] = 3, look.local
            if moves:
                program["swell"] = look.swell
        self._canvas.cover()

    def _see(self, picture: gl.Texture, view: View, into: gl.Target) -> gl.Texture:
        """What the camera sees of a picture of any size."""
        into.begin()
        picture.bind(0)
        self._camera.use()
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
        for program in (self._camera, self._shrink, self._bright, *self._looks.values()):
            program.delete()


def look_through(program: gl.ShaderProgram, view: View, size: gl.Size) -> None:
    """Point the camera of the program in use, whose picture has the shape of `size`."""
    c, s = math.cos(view.turn), math.sin(view.turn)
    program["aspect"], program["octaves"] = size[0] / size[1], view.fly
    program["turn"], program["shift"] = (c, -s, s, c), view.shift
