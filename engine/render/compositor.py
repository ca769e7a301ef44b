"""One picture from the newest model frame, the newest sound and the show state: the pure drawing part.

`compose` works at the model's own resolution (time between frames, glow, colour, flash limit), effects at a finer one,
all of it at the output's where frames are the numbers of a field; `paint` enlarges the result into whatever target is
current. Needs a current OpenGL 3.3 context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.core.beat_grid import Span
from engine.core.field_scene import FieldScene
from engine.core.messages import AudioFeatures, Fit, Frame, ShowState
from engine.render import gl
from engine.render.audio_reactive import NEUTRAL, AudioReactiveLayer, Look, View, foretold
from engine.render.bloom import Bloom
from engine.render.effects.chain import Effects
from engine.render.field_moment import FieldMoment
from engine.render.field_pass import FieldPass
from engine.render.flash_limiter import GRID, FlashLimiter
from engine.render.interpolation import Interpolation, Moment
from engine.render.picture import Placement, Redrawn, coarser, place
from engine.render.upload import FrameUpload

GRAIN_HZ = 24.0
"""How often the grain changes: film's rate, whatever the display's."""
GRAIN_ROWS = 540
PLACEHOLDER_FADE_S = 1.0
"""How long the first frames take to replace what was shown before them."""
LONGEST_STEP_S = 0.25
"""A redraw later than this (a window being moved, a laptop waking up) moves the effects no further."""


def faded(level: float, blackout: bool, fade_s: float, dt_s: float) -> float:
    """Light `dt_s` seconds on, 0 exact black to 1 the picture, moving over `fade_s`."""
    target = 0.0 if blackout else 1.0
    step = 1.0 if fade_s <= 0.0 else dt_s / fade_s
    return min(target, level + step) if target > level else max(target, level - step)


class _Stages:
    """What depends on the size of the picture that is composed: a field's is the output's, else the model's."""

    def __init__(self, canvas: gl.Canvas, moment: Moment) -> None:
        self.size = size = moment.size
        self.between = moment
        self.bloom = Bloom(canvas, size)
        self.lit = self.bloom.target
        """What is to be shown of this moment, effects included."""
        self.shown = self._plain = gl.Target(size)
        self.sharp: gl.Target | None = None
        """What is shown, for one tap a pixel, where the compositor sharpens it."""

    def show(self, effects: Effects) -> None:
        """What was lit is shown."""
        if self.lit is self.bloom.target:
            self.bloom.target, self._plain = self._plain, self.bloom.target
            self.shown = self._plain
        else:
            self.shown = effects.show()

    def delete(self) -> None:
        for thing in (self.between, self.bloom, self._plain, self.sharp):
            if thing is not None:
                thing.delete()


class _Placeholder:
    """What is shown until there is a frame, and since when it fades out."""

    def __init__(self, texture: gl.Texture) -> None:
        self.texture = texture
        self.since_s: float | None = None

    def weight(self, now_s: float) -> float:
        """1 before the first frame, then falling to 0 without a corner."""
        if self.since_s is None:
            return 1.0
        left = 1.0 - min((now_s - self.since_s) / PLACEHOLDER_FADE_S, 1.0)
        return left * left * (3.0 - 2.0 * left)


class Compositor:
    """Turns frames, sound and state into pixels. Owned by the thread whose context is current."""

    def __init__(self) -> None:
        self.canvas = gl.Canvas()
        self._copy = gl.program("cover.vert", "copy.frag")
        self._shrink = gl.program("cover.vert", "small.frag")
        self._sharpen = gl.program("cover.vert", "sharpen.frag") if gl.is_software() else None
        """Where a CPU draws: sharpened, and enlarged in one tap a pixel, as Catmull-Rom's five are too slow."""
        self._paint = gl.program("paint.vert", "paint.frag", "bilinear.frag" if self._sharpen else "enlarge.frag")
        self._grid = gl.Target(GRID)
        self._measured = gl.PixelBuffer(GRID)
        self._unmeasured: Callable[[np.ndarray], None] | None = None
        self._upload = FrameUpload()
        self._stages: _Stages | None = None
        self._newest: Frame | None = None
        self._taken: Frame | None = None
        self._reactive = AudioReactiveLayer()
        self._field: FieldPass | None = None
        self._most_px = 0.0
        self._effects = Effects(self.canvas)
        self._look: Look = NEUTRAL
        self._limiter = FlashLimiter()
        self._on_screen = np.zeros((GRID[1], GRID[0], 3))
        self._placeholder: _Placeholder | None = None
        self._fade = 1.0
        self._fit = Fit.FILL
        self._now_s: float | None = None
        self._moved_s = 0.0

    def show(self, frame: Frame) -> None:
        """Make `frame` the newest; it is uploaded by the next `compose` that is not frozen."""
        self._newest = frame

    def draw_field(self, field: FieldPass, most_px: float) -> None:
        """Draw frames that are numbers from now on, in so many pixels at most."""
        self._field, self._most_px = field, most_px

    def show_placeholder(self, image: np.ndarray) -> None:
        """Until the first frame, and fading out under it, show `image`: uint8 (height, width, 3)."""
        height, width, _ = image.shape
        self._placeholder = _Placeholder(gl.Texture((width, height), image))

    def compose(
        self, features: Callable[[], AudioFeatures], state: ShowState, now_s: float, output: gl.Size
    ) -> Redrawn:
        """Decide the picture of this moment, to be painted at `output` size.

        `features` is called once, as late as drawing allows. Before the first frame or placeholder everything is black.
        """
        dt_s = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), LONGEST_STEP_S)
        self._now_s, self._fit = now_s, state.fit
        frozen = state.freeze and self._stages is not None
        if state.motion > 0.0:
            self._moved_s = now_s
        if not frozen:
            self._take_newest(now_s, state.fit, output)
        between = self._stages.between if self._stages else None
        if between and not (frozen or between.sees):
            self._draw_moment(between, now_s, dt_s, View())
        latched = features()
        if self._stages is not None:
            if not frozen:
                between, heard = self._stages.between, foretold(latched, now_s)
                look = self._reactive.step(heard, state.shader, dt_s, state.motion)
                if between.sees:
                    self._draw_moment(between, now_s, dt_s, look.view)
                self._look = look if between.mask else replace(look, local=0.0)
                bloom = self._stages.bloom
                bloom.draw(between.moment.texture, self._look, between.mask, between.sees)
                self._stages.lit = self._effects.draw(bloom.target, heard, state, now_s, dt_s, output)
            fade_s = Span(state.blackout_fade_s, state.blackout_fade_bars).in_s(latched)
            self._release(self._stages, state, now_s, dt_s, output, fade_s)
            self._sharpen_shown(self._stages)
        return Redrawn(latched.time_s or now_s, self._stages is not None, *self._effects.refused())

    def _draw_moment(self, between: Moment, now_s: float, dt_s: float, view: View) -> None:
        if self._taken is not None:
            between.draw(now_s, dt_s, view)
        placeholder = self._placeholder
        if placeholder is None:
            return
        if self._taken is not None and placeholder.since_s is None:
            placeholder.since_s = now_s
        weight = placeholder.weight(now_s)
        self._lay_over(placeholder.texture, between.moment, weight)
        if weight == 0.0:
            placeholder.texture.delete()
            self._placeholder = None

    def _lay_over(self, texture: gl.Texture, target: gl.Target, weight: float) -> None:
        """Lay a picture of any size over `target`, filling it, as heavily as `weight` 0..1 says."""
        target.begin()
        self._paint.use()
        texture.bind(0)
        gl.blend_constant(weight)
        p, where = self._paint, place(texture.size, target.size, Fit.FILL)
        p["span"], p["up"] = where.span, -1.0
        p["fade"], p["grain"] = 1.0, 0.0
        self.canvas.cover()
        gl.no_blend()

    def _take_newest(self, now_s: float, fit: Fit, output: gl.Size) -> None:
        frame = self._newest
        if frame is None:
            if self._stages is None and self._placeholder is not None:
                self._stages = self._staged(self._placeholder.texture.size, None)
            return
        height, width, _ = frame.image.shape
        size = self._drawn_size(frame.field, fit, output) if frame.field else (width, height)
        self._stages = self._staged(size, self._field if frame.field else None)
        if frame is not self._taken:
            self._stages.between.take(frame, now_s)
            self._taken = frame

    def _staged(self, size: gl.Size, field: FieldPass | None) -> _Stages:
        """Stages of this size, those there are if they have it; what is on the screen stays there."""
        before = self._stages
        if before is not None and (before.size, before.between.sees) == (size, field is not None):
            return before
        moment: Moment
        if field is None:
            moment = Interpolation(self.canvas, size, self._upload)
        else:
            moment = FieldMoment(self.canvas, size, field, before.between if before else None)
        stages = _Stages(self.canvas, moment)
        if before is not None:
            self._lay_over(before.shown.texture, stages.shown, 1.0)
            before.delete()
        return stages

    def _drawn_size(self, scene: FieldScene, fit: Fit, output: gl.Size) -> gl.Size:
        """Pixels of a field whose visible part has those of the output, or as many times fewer as there is time for.

        As many are cut off on either side, so that they are the output's own.
        """
        where = place(scene.size, output, fit)
        width, height = (
            shown + 2 * round((shown / part - shown) / 2)
            for shown, part in zip(where.rect[2:], where.span, strict=True)
        )
        times = coarser((width, height), self._most_px)
        return max(1, round(width / times)), max(1, round(height / times))

    def _release(
        self, stages: _Stages, state: ShowState, now_s: float, dt_s: float, output: gl.Size, fade_s: float
    ) -> None:
        """Let what is lit reach the screen, as far as the flash limiter allows.

        Going black is always allowed; the way back waits until one more blackout would be within the limit.
        """
        self._settle()
        fade = faded(self._fade, state.blackout, fade_s, dt_s)
        if not state.flash_limiter:
            self._fade = fade
            if not state.freeze:
                stages.show(self._effects)
            return
        if fade > self._fade and not self._limiter.allows(self._on_screen * fade, now_s, reserve=1):
            fade = self._fade
        self._fade = fade
        if not state.freeze:
            span = place(stages.size, output, state.fit).span
            if self._limiter.admits_anything(now_s):
                self._release_unmeasured(stages, span, now_s, dt_s)
                return
            self._release_light(stages, span, now_s, dt_s)
        self._limiter.record(self._on_screen * fade, now_s)

    def _release_unmeasured(self, stages: _Stages, span: tuple[float, float], now_s: float, dt_s: float) -> None:
        """Show what is lit without waiting for the GPU to say how bright it is; `_settle` hears it and catches up."""
        self._shrink_to_grid(stages.lit, span)
        self._grid.start_read(self._measured)
        stages.show(self._effects)
        fade = self._fade

        def catch_up(wanted: np.ndarray) -> None:
            self._limiter.admit(self._on_screen, wanted, fade, now_s, dt_s)
            self._on_screen = wanted
            self._limiter.record(wanted * fade, now_s)

        self._unmeasured = catch_up

    def _settle(self) -> None:
        """Tell the limiter of the last redraw what it need not know then, before it is asked about this one."""
        if self._unmeasured is not None:
            self._unmeasured(self._measured.take() / 255.0)
            self._unmeasured = None

    def _release_light(self, stages: _Stages, span: tuple[float, float], now_s: float, dt_s: float) -> None:
        """Show as much of what is lit as is safe."""
        wanted = self._watch(stages.lit, span)
        weight = self._limiter.admit(self._on_screen, wanted, self._fade, now_s, dt_s)
        if weight >= 1.0:
            stages.show(self._effects)
            self._on_screen = wanted
            return
        stages.shown.begin()
        self._copy.use()
        stages.lit.texture.bind(0)
        gl.blend_constant(weight)
        self.canvas.cover()
        gl.no_blend()
        self._on_screen = self._watch(stages.shown, span)

    def _sharpen_shown(self, stages: _Stages) -> None:
        """Not what effects have made finer already, at the output's own size."""
        if self._sharpen is None or stages.shown.size != stages.size:
            return
        stages.sharp = stages.sharp or gl.Target(stages.size)
        stages.sharp.begin()
        self._sharpen.use()
        stages.shown.texture.bind(0)
        self.canvas.cover()

    def _watch(self, target: gl.Target, span: tuple[float, float]) -> np.ndarray:
        """The flash limiter's grid of a picture: sRGB means 0..1, (rows, columns, 3)."""
        self._shrink_to_grid(target, span)
        return self._grid.read() / 255.0

    def _shrink_to_grid(self, target: gl.Target, span: tuple[float, float]) -> None:
        self._grid.begin()
        self._shrink.use()
        target.texture.bind(0)
        self._shrink["cell"] = (1 / GRID[0], 1 / GRID[1])
        self._shrink["span"] = span
        self.canvas.cover()

    def paint(self, output: gl.Size, first_row_up: bool = True) -> None:
        """Draw what was composed into the current target, all of `output`.

        `first_row_up=False` puts the picture's first row into the target's row 0, ready to be read back.
        """
        gl.clear()
        if self._stages is None or self._fade == 0.0:
            return
        where, zoom = place(self._stages.size, output, self._fit), self._look.everywhere
        gl.viewport(where.rect)
        self._paint.use()
        shown, sharp = self._stages.shown, self._stages.sharp
        is_enlarged = where.rect[2] * zoom > where.texels(shown.size)[0]
        (sharp if sharp and sharp.size == shown.size and is_enlarged else shown).texture.bind(0)
        self._set_paint(where, zoom, first_row_up)
        self.canvas.cover()

    def _set_paint(self, where: Placement, zoom: float, first_row_up: bool) -> None:
        p = self._paint
        _, _, width, height = where.rect
        p["span"], p["up"] = (where.span[0] / zoom, where.span[1] / zoom), 1.0 if first_row_up else -1.0
        p["fade"], p["grain"] = self._fade, self._look.grain
        p["seed"] = (int(self._moved_s * GRAIN_HZ) * 0.6180339887) % 1.0
        p["grains"] = (GRAIN_ROWS * width / height, float(GRAIN_ROWS))
