"""Between two frames that are numbers: the field of the moment, drawn at every redraw."""

from __future__ import annotations

import numpy as np

from engine.core.field_scene import FieldScene, between
from engine.core.messages import Frame
from engine.render import gl
from engine.render.audio_reactive import View
from engine.render.field_pass import FieldPass
from engine.render.interpolation import Moment


class FieldMoment(Moment):
    """Frames that bring a field's numbers, mixed at every redraw and drawn where the camera looks.

    `before`, of another size, is what it goes on from.
    """

    sees = True

    def __init__(self, canvas: gl.Canvas, size: gl.Size, field: FieldPass, before: Moment | None = None) -> None:
        super().__init__(canvas, size)
        self._field = field
        self._still = gl.Texture((1, 1), np.full((1, 1, 3), 128, np.uint8))
        self._older: FieldScene | None = None
        self._shown: FieldScene | None = None
        """What was drawn last."""
        if isinstance(before, FieldMoment):
            self._frame, self._since_s, self._apart_s = before._frame, before._since_s, before._apart_s
            self._older, self._shown = before._older, before._shown
            self._mask, before._mask = before._mask, None

    def take(self, frame: Frame, now_s: float) -> None:
        """Take a new frame's numbers; those shown so far are what they turn from."""
        super().take(frame, now_s)
        self._older = self._shown

    def draw(self, now_s: float, redraw_s: float, view: View) -> None:
        """Draw `moment`, and `mask` with it."""
        assert self._frame is not None
        assert self._frame.field is not None
        progress = self.progress(now_s, redraw_s)
        self._shown = between(self._older or self._frame.field, self._frame.field, progress)
        self._field.draw(self._shown, view, self.moment)
        self._fade_mask(self._still, progress)

    def delete(self) -> None:
        """Free what the GPU holds, but for what draws."""
        super().delete()
        self._still.delete()
