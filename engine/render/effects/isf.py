"""Users' effects in ISF, compiled, given what the show has, and drawn. Here row 0 of a picture is its lowest."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from engine.core.isf import InputKind, IsfFile, IsfLayer, Pass
from engine.core.isf_size import MOST_PX
from engine.core.messages import AudioFeatures
from engine.core.sound_shape import SoundShape
from engine.render import gl
from engine.render.effects import glsl
from tpos_models.errors import PresetError

FLOOR_DB = -80.0
"""Of a spectrum: drawn as 0; a full-scale sine as 1."""

Step = Callable[[gl.Texture, gl.Target], None]
"""Draws one effect of a texture into all of a target."""


def sound_image(shape: SoundShape, kind: InputKind, columns: int = 0) -> np.ndarray:
    """The sound as ISF has it, float32 (1, n, 4), each column the furthest value of its part; n is at most `columns`.

    audio: the newest 1024 samples, 0.5 + half of each. audioFFT: 512 bins from 0 Hz to 22 kHz, 0..1 from `FLOOR_DB` on.
    """
    values = shape.wave if kind is InputKind.AUDIO else shape.spectrum[:-1]
    count = min(columns or len(values), len(values))
    starts = np.arange(count) * len(values) // count
    high, low = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    if kind is InputKind.AUDIO:
        drawn = 0.5 + 0.5 * np.where(high >= -low, high, low)
    else:
        drawn = np.clip(1.0 - 20.0 * np.log10(2.0 * high + 1e-9) / FLOOR_DB, 0.0, 1.0)
    image = np.repeat(drawn.astype(np.float32)[None, :, None], 4, axis=2)
    image[..., 3] = 1.0
    return image


class Isf:
    """One version of one effect: its program, its buffers and its time. Owned by the thread that draws.

    Raises PresetError, with the user's file and line, for what OpenGL does not compile and pictures that are none.
    """

    def __init__(self, file: IsfFile, canvas: gl.Canvas) -> None:
        self.file = file
        self._canvas = canvas
        self._imported = {name: gl.Texture(image.shape[1::-1], image) for name, image in _pictures(file)}
        self._program = _compiled(file)
        self._uniforms = frozenset(self._program.uniforms)
        self._units = {name: unit for unit, name in enumerate(glsl.samplers(file))}
        self._sounds: dict[str, gl.Texture] = {}
        self._buffers: dict[str, list[gl.Target]] = {}
        """Of each name what can be read and what is drawn into."""
        self._time_s, self._frame = 0.0, 0
        self._events: dict[str, float] = {}

    def draw(
        self, picture: gl.Texture, layer: IsfLayer, features: AudioFeatures, dt_s: float, into: gl.Target, copy: Step
    ) -> None:
        """Draw one moment of `picture` into all of `into`, transparent where the effect draws nothing."""
        dt_s = dt_s if self._frame else 0.0
        self._time_s += dt_s
        self._set_common(dt_s)
        textures = self._imported | self._hear(features) | self._set_inputs(layer, picture)
        sizes = {one.name: layer.value(one)[0] for one in self.file.header.values.values() if one.kind.numbers == 1}
        sizes |= {"WIDTH": float(into.size[0]), "HEIGHT": float(into.size[1])}
        for one in self.file.header.passes:
            if one.target:
                self._buffer(one, (one.width.pixels(sizes), one.height.pixels(sizes)), copy)
        for index, one in enumerate(self.file.header.passes):
            self._draw_pass(index, self._buffers[one.target][1] if one.target else into, textures)
            if one.target:
                self._buffers[one.target].reverse()
        if last := self.file.header.passes[-1].target:
            copy(self._buffers[last][0].texture, into)
        self._frame += 1

    def _draw_pass(self, index: int, target: gl.Target, textures: dict[str, gl.Texture]) -> None:
        target.begin()
        gl.clear(opaque=False)
        self._program.use()
        self._set("PASSINDEX", index)
        self._set("RENDERSIZE", tuple(map(float, target.size)))
        for name, unit in self._units.items():
            texture = self._buffers[name][0].texture if name in self._buffers else textures.get(name)
            if texture is not None:
                texture.bind(unit)
            self._set(name, unit)
        self._canvas.quad()

    def _set_common(self, dt_s: float) -> None:
        today = datetime.now()
        seconds = (today - today.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        self._set("DATE", (float(today.year), float(today.month), float(today.day), seconds))
        self._set("TIME", self._time_s)
        self._set("TIMEDELTA", dt_s)
        self._set("FRAMEINDEX", self._frame)

    def _set_inputs(self, layer: IsfLayer, picture: gl.Texture) -> dict[str, gl.Texture]:
        """Set every input that is a value; the others, images, are the show's picture."""
        for one in self.file.header.values.values():
            value = layer.value(one)
            if one.kind is InputKind.EVENT:
                happened = value[0] > self._events.get(one.name, value[0])
                self._events[one.name] = value[0]
                self._set(one.name, int(happened))
            elif one.kind.numbers == 1:
                self._set(one.name, value[0] if one.kind is InputKind.FLOAT else int(value[0]))
            else:
                self._set(one.name, value)
        return {one.name: picture for one in self.file.header.inputs if one.kind is InputKind.IMAGE}

    def _hear(self, features: AudioFeatures) -> dict[str, gl.Texture]:
        for one in self.file.header.inputs:
            if one.kind in (InputKind.AUDIO, InputKind.SPECTRUM):
                image = sound_image(features.shape, one.kind, one.columns)
                if one.name not in self._sounds:
                    self._sounds[one.name] = gl.Texture((image.shape[1], 1), floating=True)
                self._sounds[one.name].upload(image)
        return self._sounds

    def _set(self, name: str, value: object) -> None:
        """Set a uniform, unless the shader does without it."""
        if name in self._uniforms:
            self._program[name] = value

    def _buffer(self, one: Pass, size: gl.Size, copy: Step) -> None:
        """Have the buffers of a pass at its size; what they held is taken along."""
        held = self._buffers.get(one.target)
        if held is None or held[0].size != size:
            made = [gl.Target(size, one.is_floating) for _ in range(2)]
            for target in made:
                target.begin()
                gl.clear(opaque=False)
            if held is not None:
                copy(held[0].texture, made[0])
                for target in held:
                    target.delete()
            self._buffers[one.target] = made

    def delete(self) -> None:
        """Free what the GPU holds."""
        for texture in (*self._imported.values(), *self._sounds.values()):
            texture.delete()
        for target in (target for pair in self._buffers.values() for target in pair):
            target.delete()
        self._program.delete()


class UserEffects:
    """Those that are on, by name: of each the newest version that could be compiled. Owned by the thread that draws."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._canvas = canvas
        self._playing: dict[str, Isf] = {}
        self._tried: dict[str, str] = {}
        """The digest of the version that was last compiled, well or not."""
        self._drawn: gl.Target | None = None
        self._refused: tuple[str, IsfFile | None] = ("", None)

    def refused(self) -> tuple[str, IsfFile | None]:
        """The line for an effect that was refused since the last call, "" if none was; the version that plays on."""
        said, self._refused = self._refused, ("", None)
        return said

    def steps(
        self, layers: Sequence[IsfLayer], features: AudioFeatures, dt_s: float, step: Callable[..., Step]
    ) -> Iterator[Step]:
        """Each that can be seen over the one before, between turning the picture over and back."""
        self.follow(layers)
        seen = [layer for layer in layers if layer.mix > 0.0 and layer.file.name in self._playing]
        if not seen:
            return
        copy = step("copy")
        yield step("upright")
        for layer in seen:
            over = step("over", drawn=1, amount=layer.mix, replaces=layer.file.header.is_filter)

            def draw(picture: gl.Texture, into: gl.Target, layer: IsfLayer = layer, over: Step = over) -> None:
                drawn = self._target(into.size)
                self._playing[layer.file.name].draw(picture, layer, features, dt_s, drawn, copy)
                drawn.texture.bind(1)
                over(picture, into)

            yield draw
        yield step("upright")

    def follow(self, layers: Sequence[IsfLayer]) -> None:
        """Compile what is new, and let go of what is off; one that is refused leaves its last good version playing."""
        for layer in layers:
            file = layer.file
            if self._tried.get(file.name) == file.digest:
                continue
            self._tried[file.name] = file.digest
            old = self._playing.get(file.name)
            if old is not None and old.file.digest == file.digest:
                continue
            try:
                self._playing[file.name] = Isf(file, self._canvas)
            except PresetError as error:
                said, instead = self._refused
                self._refused = "; ".join(filter(None, (said, str(error)))), old.file if old is not None else instead
                continue
            if old is not None:
                old.delete()
        for name in self._tried.keys() - {layer.file.name for layer in layers}:
            del self._tried[name]
            if name in self._playing:
                self._playing.pop(name).delete()

    def _target(self, size: gl.Size) -> gl.Target:
        if self._drawn is None or self._drawn.size != size:
            if self._drawn is not None:
                self._drawn.delete()
            self._drawn = gl.Target(size)
        return self._drawn


def _pictures(file: IsfFile) -> Iterator[tuple[str, np.ndarray]]:
    """The imported pictures, uint8 (height, width, 4), lowest row first."""
    for name, content in file.images:
        try:
            image = Image.open(io.BytesIO(content)).convert("RGBA")
        except (OSError, Image.DecompressionBombError) as error:
            raise PresetError(
                f"{file.path}: IMPORTED {name} is no picture; accepted: PNG, JPEG and the like"
            ) from error
        image.thumbnail((MOST_PX, MOST_PX))
        yield name, np.asarray(image)[::-1]


def _compiled(file: IsfFile) -> gl.ShaderProgram:
    """Its program. Raises PresetError."""
    path = str(Path(file.path).with_suffix(".vs"))
    try:
        vertex = gl.shader(glsl.vertex(file), "vertex")
        path = file.path
        return gl.linked(vertex, gl.shader(glsl.fragment(file), "fragment"))
    except gl.GlslError as error:
        line, what = glsl.complaint(str(error))
        raise PresetError(f"{path}, line {line}: {what}; accepted: GLSL 1.2 to 3.3 as ISF has it") from error
