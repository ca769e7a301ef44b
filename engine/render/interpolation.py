"""Between two model frames: the moment that a redraw shows."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from engine.core.messages import Frame
from engine.render import gl
from engine.render.audio_reactive import View
from engine.render.optical_flow import REACH, Motion
from engine.render.upload import FrameUpload

SHORTEST_FADE_S, LONGEST_FADE_S = 0.005, 1.0


class _Mask:
    """Where the sound is drawn, between two frames; `moment` is red where it is."""

    def __init__(self, size: gl.Size) -> None:
        self.moment, self.older, self.newer = gl.Target(size), gl.Target(size), gl.Texture(size)

    @property
    def size(self) -> gl.Size:
        return self.newer.size

    def take(self, mask: np.ndarray, first: bool) -> None:
        """Upload the next one, (h, w) in 0..1; the `first` is there at once."""
        if not first:
            self.older, self.moment = self.moment, self.older
        code_values = np.rint(255 * mask[..., None]).astype(np.uint8)
        for texture in (self.newer, *((self.older.texture,) if first else ())):
            texture.upload(code_values)

    def delete(self) -> None:
        for thing in (self.moment, self.older, self.newer):
            thing.delete()


class Moment(ABC):
    """The model's newest frame, fading in from what was on the screen before it.

    The fade lasts as long as frames are apart, so the picture never jumps however unevenly they come; where redraws
    are no more frequent than frames, each frame is shown at once, whole. Stillness between two is not time that they
    are apart: what comes after it is not slow. Owned by the thread that draws.
    """

    sees = False
    """Whether it is drawn as the camera sees it, mask apart, and so only when that is known."""

    def __init__(self, canvas: gl.Canvas, size: gl.Size) -> None:
        self.size = size
        self.moment = gl.Target(size)
        self._canvas = canvas
        self._blend = gl.program("cover.vert", "blend.frag")
        self._mask: _Mask | None = None
        self._frame: Frame | None = None
        self._since_s = 0.0
        self._apart_s = 0.0

    def take(self, frame: Frame, now_s: float) -> None:
        """Take a new frame; the moment shown so far is what it fades in from."""
        if self._frame is not None:
            apart_s = frame.time_s - max(self._frame.time_s, frame.still_until_s)
            gap_s = min(max(apart_s, SHORTEST_FADE_S), LONGEST_FADE_S)
            self._apart_s = gap_s if self._apart_s == 0.0 else 0.7 * self._apart_s + 0.3 * gap_s
        self._frame, self._since_s = frame, now_s
        self._take_mask(frame.mask)

    def _take_mask(self, mask: np.ndarray | None) -> None:
        size = None if mask is None else mask.shape[::-1]
        known = self._mask
        if known is not None and known.size != size:
            known.delete()
            self._mask = None
        if mask is None:
            return
        self._mask = self._mask or _Mask((mask.shape[1], mask.shape[0]))
        self._mask.take(mask, first=self._mask is not known)

    @property
    def mask(self) -> gl.Texture | None:
        """Where the sound is drawn in `moment`: red; None where the newest frame does not say."""
        return self._mask.moment.texture if self._mask else None

    def progress(self, now_s: float, redraw_s: float) -> float:
        """How far the newest frame has faded in, 0..1, at a redraw that comes `redraw_s` after the one before."""
        if self._apart_s == 0.0:
            return 1.0
        return min(1.0, (now_s - self._since_s + redraw_s) / self._apart_s)

    @abstractmethod
    def draw(self, now_s: float, redraw_s: float, view: View) -> None:
        """Draw `moment`, and `mask` with it; where it `sees`, as `view` says."""

    def _fade(self, older: gl.Target, newer: gl.Texture, flow: gl.Texture, into: gl.Target, progress: float) -> None:
        self._blend.use()
        self._blend["older"], self._blend["newer"], self._blend["flow"] = 0, 1, 2
        self._blend["progress"], self._blend["reach"] = progress, REACH
        into.begin()
        for unit, texture in enumerate((older.texture, newer, flow)):
            texture.bind(unit)
        self._canvas.cover()

    def _fade_mask(self, flow: gl.Texture, progress: float) -> None:
        if self._mask:
            self._fade(self._mask.older, self._mask.newer, flow, self._mask.moment, progress)

    def delete(self) -> None:
        """Free what the GPU holds."""
        for thing in (self.moment, self._mask, self._blend):
            if thing is not None:
                thing.delete()


class Interpolation(Moment):
    """Between pictures of pixels: along the motion between the two."""

    def __init__(self, canvas: gl.Canvas, size: gl.Size, upload: FrameUpload) -> None:
        super().__init__(canvas, size)
        self._upload = upload
        self._older = gl.Target(size)
        self._newer = gl.Texture(size)
        self._motion = Motion(canvas, size)
        self._flow: gl.Texture | None = None

    def take(self, frame: Frame, now_s: float) -> None:
        """Upload a new frame; the moment shown so far is what it fades in from."""
        super().take(frame, now_s)
        self._older, self.moment = self.moment, self._older
        self._upload(frame, self._newer)
        self._flow = None

    def draw(self, now_s: float, redraw_s: float, view: View) -> None:
        """Draw `moment`, and `mask` with it."""
        progress = self.progress(now_s, redraw_s)
        flow = self._followed() if progress < 1.0 else self._motion.none
        self._fade(self._older, self._newer, flow, self.moment, progress)
        self._fade_mask(flow, progress)

    def _followed(self) -> gl.Texture:
        """The motion from the older picture to the newer, estimated once for the two."""
        if self._flow is None:
            self._flow = self._motion.estimate(self._older.texture, self._newer)
        return self._flow

    def delete(self) -> None:
        """Free what the GPU holds."""
        super().delete()
        for thing in (self._older, self._newer, self._motion):
            thing.delete()
