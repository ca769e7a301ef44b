"""The effects that are on, one after the other: what folds the picture, what it leaves behind, users' own, its colours,
what it is printed on, and the lamp it is seen by.

    mirror, kaleidoscope, chromatic, trails, ISF (`engine.render.effects.isf`), hue, posterise, halftone, film, strobe
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pyglet.graphics.shader import ShaderProgram

from engine.core.effects import NO_EFFECTS, EffectAmounts, Mirror
from engine.core.isf import IsfFile
from engine.core.messages import AudioFeatures, ShowState
from engine.render import gl
from engine.render.audio_reactive import colour_matrix
from engine.render.effects.isf import Step, UserEffects
from engine.render.effects.motion import Motion, Moved

FINEST_PX = 1024
"""Effects are drawn as finely as the output shows them, up to this on the longer side; never coarser than the model."""
TURN_BEATS = 16.0
CHROMATIC, CHROMATIC_AT_REST = 0.025, 0.4
"""How far colours part at most, as a part of the distance from the middle, and how much of that without a hit."""
GROWTH = 0.25
"""Of the logarithm of the trails' size, a beat, at full zoom."""
FILM_HZ = 24.0
_FOLDS = {Mirror.LEFT: (1, 0), Mirror.RIGHT: (1, 0), Mirror.TOP: (0, 1), Mirror.BOTTOM: (0, 1), Mirror.QUARTER: (1, 1)}

_FILES = {"lift": ("effects/lift.frag", "enlarge.frag"), "copy": ("copy.frag",)}
"""Of the steps whose shader is not the file of their name."""


def fine(picture: gl.Size, output: gl.Size) -> gl.Size:
    """The size to draw effects at, for a model's picture that covers an output."""
    wanted = max(output[0] / picture[0], output[1] / picture[1])
    return gl.shrunk(picture, round(max(picture) * max(1.0, min(wanted, FINEST_PX / max(picture)))))


class Effects:
    """Draws every effect that is on, and holds nothing for those that are not. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._canvas = canvas
        self._programs: dict[str, tuple[ShaderProgram, frozenset[str]]] = {}
        """Each with the names of its uniforms."""
        self._own = UserEffects(canvas)
        self._motion = Motion()
        self._turned = self._hued = 0.0
        """How far the kaleidoscope and the hues have turned, radians."""
        self._targets: list[gl.Target] = []
        """The last is what is shown, the one before what is drawn for it, the others are on the way there."""
        self._trails: list[gl.Target] = []

    def draw(
        self, lit: gl.Target, features: AudioFeatures, state: ShowState, now_s: float, dt_s: float, output: gl.Size
    ) -> gl.Target:
        """What is to be shown of `lit`: itself with no effect on, else a target that `show` makes the shown one."""
        is_plain = state.effects == NO_EFFECTS and state.isf == ()
        steps = [] if is_plain else list(self._steps(state, features, now_s, dt_s))
        if not steps:
            self._motion = Motion()
            self._turned = self._hued = 0.0
            self._forget_trails()
            self._own.follow(state.isf)
            return lit
        size = fine(lit.size, output)
        self._resize(size)
        if size != lit.size:
            steps.insert(0, self._step("lift"))
        picture, into = lit.texture, self._targets[-2]
        for number, step in enumerate(steps, 1):
            into = self._targets[-2 if number == len(steps) else number % 2]
            step(picture, into)
            picture = into.texture
        return into

    def refused(self) -> tuple[str, IsfFile | None]:
        """As `UserEffects.refused`."""
        return self._own.refused()

    def show(self) -> gl.Target:
        """What was drawn is shown, and what was shown is drawn into next."""
        self._targets[-2:] = self._targets[:-3:-1]
        return self._targets[-1]

    def _resize(self, size: gl.Size) -> None:
        """Every target but the shown one, which stays what it is until it is drawn into again."""
        while len(self._targets) < 4:
            self._targets.append(gl.Target(size))
        for at, target in enumerate(self._targets[:-1]):
            if target.size != size:
                target.delete()
                self._targets[at] = gl.Target(size)

    def _step(self, name: str, **uniforms: Any) -> Step:
        """The step that a shader draws by itself."""
        if name not in self._programs:
            program = gl.program("cover.vert", *_FILES.get(name, (f"effects/{name}.frag",)))
            self._programs[name] = program, frozenset(program.uniforms)
        program, known = self._programs[name]

        def draw(picture: gl.Texture, into: gl.Target) -> None:
            width, height = into.size
            into.begin()
            program.use()
            picture.bind(0)
            for uniform, value in {"aspect": width / height, "rows": height, **uniforms}.items():
                if uniform in known:
                    program[uniform] = value
            self._canvas.cover()

        return draw

    def _steps(self, state: ShowState, features: AudioFeatures, now_s: float, dt_s: float) -> Iterator[Step]:
        amounts, moved = state.effects, self._motion.step(features, dt_s)
        turn = 2.0 * math.pi / TURN_BEATS * moved.step
        self._turned = (self._turned + amounts.kaleidoscope_turn * turn) % (2.0 * math.pi)
        self._hued = (self._hued + amounts.hue_turn * turn) % (2.0 * math.pi) if amounts.hue_turn else 0.0
        if amounts.mirror is not Mirror.OFF:
            side = 1.0 if amounts.mirror in (Mirror.RIGHT, Mirror.BOTTOM) else -1.0
            yield self._step("mirror", folds=_FOLDS[amounts.mirror], side=(side, side))
        if amounts.kaleidoscope:
            yield self._step("kaleidoscope", sectors=amounts.kaleidoscope, turn=self._turned)
        if amounts.chromatic > 0.0:
            eager = CHROMATIC_AT_REST + (1.0 - CHROMATIC_AT_REST) * moved.hit
            yield self._step("chromatic", shift=CHROMATIC * amounts.chromatic * eager)
        yield from self._trail(amounts, moved)
        yield from self._own.steps(state.isf, features, dt_s, self._step)
        if amounts.hue > 0.0 or amounts.hue_turn != 0.0:
            matrix = colour_matrix(2.0 * math.pi * amounts.hue + self._hued, 1.0)
            yield self._step("hue", turned=tuple(matrix.T.ravel().tolist()))
        if amounts.posterise > 1:
            yield self._step("posterise", levels=amounts.posterise)
        if amounts.halftone > 0.0:
            yield self._step("halftone", amount=amounts.halftone, dots=amounts.halftone_dots)
        if amounts.film > 0.0:
            yield self._step("film", amount=amounts.film, frame=int(now_s * FILM_HZ) % 4096)
        if amounts.strobe > 0.0:
            dark = 1.0 - moved.flash(amounts.strobe_flashes)
            yield self._step("strobe", light=1.0 - amounts.strobe * dark)

    def _trail(self, amounts: EffectAmounts, moved: Moved) -> Iterator[Step]:
        if amounts.trails_s <= 0.0:
            self._forget_trails()
            return
        angle = 2.0 * math.pi / TURN_BEATS * amounts.trails_turn * moved.step
        shrunk = math.exp(-GROWTH * amounts.trails_zoom * moved.step)
        c, s = shrunk * math.cos(angle), shrunk * math.sin(angle)
        add = self._step("trails", keep=math.exp(-moved.dt_s / amounts.trails_s), back=(c, -s, s, c), before=1)
        copy = self._step("copy")

        def draw(picture: gl.Texture, into: gl.Target) -> None:
            if not self._trails or self._trails[0].size != into.size:
                self._forget_trails()
                self._trails = [gl.Target(into.size, floating=True) for _ in range(2)]  # fading bytes come to a stop
            self._trails.reverse()
            before, now = self._trails
            before.texture.bind(1)
            add(picture, now)
            copy(now.texture, into)

        yield draw

    def _forget_trails(self) -> None:
        for target in self._trails:
            target.delete()
        self._trails = []
