"""Between two model frames: the moment that a redraw shows."""

from __future__ import annotations

import numpy as np

from engine.render import gl
from engine.types import Frame

SHORTEST_FADE_S, LONGEST_FADE_S = 0.005, 1.0


class Between:
    """The model's newest frame, fading in from what was on the screen before it.

    The fade lasts as long as frames are apart, so the picture never jumps however unevenly they come; where redraws
    are no more frequent than frames, each frame is shown at once, whole. Owned by the thread that draws.
    """

    def __init__(self, canvas: gl.Canvas, size: gl.Size) -> None:
        self.size = size
        self.moment = gl.Target(size)
        self._older = gl.Target(size)
        self._newer = gl.Texture(size)
        self._canvas = canvas
        self._blend = gl.program("cover.vert", "blend.frag")
        self._still = gl.Texture((1, 1), np.full((1, 1, 3), 128, np.uint8))
        self._frame: Frame | None = None
        self._since_s = 0.0
        self._apart_s = 0.0

    def take(self, frame: Frame, now_s: float) -> None:
        """Upload a new frame; the moment shown so far is what it fades in from."""
        if self._frame is not None:
            gap_s = min(max(frame.time_s - self._frame.time_s, SHORTEST_FADE_S), LONGEST_FADE_S)
            self._apart_s = gap_s if self._apart_s == 0.0 else 0.7 * self._apart_s + 0.3 * gap_s
        self._frame, self._since_s = frame, now_s
        self._older, self.moment = self.moment, self._older
        self._newer.upload(frame.image)

    def progress(self, now_s: float, redraw_s: float) -> float:
        """How far the newest frame has faded in, 0..1, at a redraw that comes `redraw_s` after the one before."""
        if self._apart_s == 0.0:
            return 1.0
        return min(1.0, (now_s - self._since_s + redraw_s) / self._apart_s)

    def draw(self, now_s: float, redraw_s: float) -> None:
        """Draw `moment`."""
        self.moment.begin()
        self._blend.use()
        for unit, texture in enumerate((self._older.texture, self._newer, self._still)):
            texture.bind(unit)
        self._blend["older"], self._blend["newer"], self._blend["flow"] = 0, 1, 2
        self._blend["progress"] = self.progress(now_s, redraw_s)
        self._blend["reach"] = 0.0
        self._canvas.cover()

    def delete(self) -> None:
        """Free what the GPU holds."""
        for thing in (self.moment, self._older, self._newer, self._still, self._blend):
            thing.delete()
