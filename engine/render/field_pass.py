"""The field as a fragment shader: a picture drawn from its numbers, at any size, where the camera looks.

Four passes. The blurs of z along its rows and then its columns, and with them the first layers' sums, are drawn at
samples, four a cell, of which there are few whatever the picture's size; the last draws pixels. With all of its
conditions a pixel takes 10,000 multiply-adds (`Layout.multiply_adds`): 1920 x 1080 of them at 60 a second ask for
2.5 TFLOP/s, float32 all.
"""

from __future__ import annotations

import time

from engine.core.field_scene import FieldScene
from engine.render import gl
from engine.render.audio_reactive import View
from engine.render.bloom import look_through
from tpos_models.errors import RunError
from tpos_models.pocket.field import BEYOND, HORIZON, NEAREST, SHAPE
from tpos_models.pocket.field_painter import WAVES
from tpos_models.pocket.field_texels import GIVEN, FieldPacker, fours
from tpos_models.pocket.hypernetwork import ANGULAR_FREQUENCIES, GEOMETRY
from tpos_models.pocket.noise_features import BLOCKS, CELLS, INTERPOLATED, LEVELS, PERIODS, STRETCHED

TIMED = 3
"""Pictures that are drawn to know how long one takes, after one that nobody counts."""


class FieldPass:
    """Draws a field into targets of any size. Owned by the thread whose context is current.

    Raises GlslError where a driver does not compile it, RunError where it has not the room.
    """

    def __init__(self, canvas: gl.Canvas, packer: FieldPacker) -> None:
        self._canvas, self._packer = canvas, packer
        at, (columns, rows) = packer.layout, packer.samples
        blurs = len(packer.sigmas)
        numbers = max(16 * at.matrices + 4 * at.offsets, 16 * at.inputs * at.rows)
        _check_room(max(blurs * columns, at.rows * rows), 4 * numbers)
        defined = constants(packer)
        self._across, self._down, self._sums = (
            gl.program("cover.vert", f"field/{name}.frag", defined=defined) for name in ("across", "down", "sums")
        )
        self._draw = gl.program("cover.vert", "camera.frag", "field/field.frag", defined=defined)
        self._summing, self._drawing = gl.UniformBuffer(self._sums, "Summing"), gl.UniformBuffer(self._draw, "Drawing")
        self._to_columns, self._to_rows = (
            gl.Texture(
                (matrix.shape[2] // 4, blurs * matrix.shape[1]), matrix.reshape(-1, matrix.shape[2] // 4, 4), True
            )
            for matrix in (packer.across, packer.down)
        )
        self._blurred = gl.Target((columns, blurs * CELLS), floating=True)
        self._fields = gl.Target((columns, (len(LEVELS) + fours(len(STRETCHED))) * rows), floating=True)
        self._summed = gl.Target((columns, at.rows * rows), floating=True)
        grid_rows, grid_columns = SHAPE.grid
        sizes = {
            "z": (packer.cells, CELLS),
            "profiles": (columns, len(LEVELS) - 1),
            "bias": (grid_columns, fours(at.bias_maps) * grid_rows),
            "cells": (packer.cells, at.rows * CELLS),
        }
        self._texels = {name: gl.Texture(size, floating=True) for name, size in sizes.items()}
        self._draw.use()
        for name, bound in (
            ("given_fours", fours(len(GIVEN))), ("hidden_fours", at.hidden), ("own_fours", at.columns),
            ("own_hidden_fours", at.own_hidden), ("hidden_layers", 2),
        ):  # fmt: skip
            self._draw[name] = bound

    @property
    def multiply_adds(self) -> int:
        """Of a pixel, with as many conditions as there may be."""
        return self._packer.layout.multiply_adds()

    def draw(self, scene: FieldScene, view: View, target: gl.Target) -> None:
        """Draw a scene as the camera sees it, filling the target, whose shape is its picture's."""
        texels = self._packer(scene.z, scene.prompt)
        for name, texture in self._texels.items():
            texture.upload(getattr(texels, name))
        at = self._packer.layout
        self._run(self._across, self._blurred, z=self._texels["z"], matrix=self._to_columns)
        self._run(self._down, self._fields, blurred=self._blurred.texture, matrix=self._to_rows)
        self._summing.fill(texels.summing)
        self._run(
            self._sums, self._summed, (at.hidden + texels.conditions * at.own) * self._packer.samples[1],
            fields=self._fields.texture, profiles=self._texels["profiles"], bias=self._texels["bias"],
        )  # fmt: skip
        self._drawing.fill(texels.drawing)
        self._draw.use()
        self._draw["conditions"] = texels.conditions
        look_through(self._draw, view, scene.size)
        self._run(self._draw, target, sums=self._summed.texture, cells=self._texels["cells"])

    def _run(self, program: gl.ShaderProgram, target: gl.Target, rows: int = 0, **textures: gl.Texture) -> None:
        """Draw all of a target, or so many of its rows."""
        target.begin()
        if rows:
            gl.viewport((0, 0, target.size[0], rows))
        program.use()
        for unit, (name, texture) in enumerate(textures.items()):
            texture.bind(unit)
            program[name] = unit
        if program is not self._down:
            program["cells_across"] = self._packer.cells
        self._canvas.cover()

    def seconds(self, size: gl.Size) -> float:
        """How long a picture of this size takes here, with all its conditions."""
        target, taken, scene = gl.Target(size), [], FieldScene(*self._packer.fullest(), size)
        for _ in range(1 + TIMED):
            gl.finish()
            start_s = time.perf_counter()
            self.draw(scene, View(), target)
            gl.finish()
            taken.append(time.perf_counter() - start_s)
        target.delete()
        return min(taken[1:])


def _check_room(texture_px: int, block_bytes: int) -> None:
    """Raise RunError where OpenGL has no textures so long, or no uniform blocks so large."""
    needed = {"textures of {} pixels a side": texture_px, "uniform blocks of {} bytes": block_bytes}
    for (what, wanted), most in zip(needed.items(), gl.room(), strict=True):
        if most < wanted:
            raise RunError(f"this OpenGL has {what.format(most)}; the field needs {wanted}")


def constants(packer: FieldPacker) -> str:
    """The sizes of all this as the shaders' `#define`s."""
    at, sigma = packer.layout, packer.sigmas.index
    stretched = ", ".join(f"ivec3({channel}, {sigma(one)}, {sigma(other)})" for channel, one, other in STRETCHED)
    defined = {
        "CELLS": CELLS, "INTERPOLATED": INTERPOLATED,
        "SAMPLES_DOWN": packer.samples[1], "GRID_ROWS": SHAPE.grid[0], "GRID_COLUMNS": SHAPE.grid[1],
        "LEVELS": len(LEVELS), "LEVEL_BLURS": f"int[]({', '.join(str(sigma(level)) for level in LEVELS)})",
        "STRETCHED": len(STRETCHED), "STRETCHES": f"ivec3[]({stretched})",
        "FIELDS": len(LEVELS) + fours(len(STRETCHED)),
        "BLURS": len(LEVELS) - 1, "BIAS": fours(at.bias_maps), "INPUTS": at.inputs, "ROWS": at.rows,
        "HIDDEN": at.hidden, "WAVE_ROWS": at.waves, "LAYERS": at.layers, "LAST": at.last, "GEOMETRY": fours(GEOMETRY),
        "OWN": at.own, "OWN_WAVE_ROWS": at.own_waves, "OWN_HIDDEN": at.own_hidden, "OWN_LAYERS": at.own_layers,
        "OWN_ALPHAS": fours(at.own_layers), "OWN_MATRICES": at.own_matrices, "OWN_OFFSETS": at.own_offsets,
        "MATRICES": at.matrices, "OFFSETS": at.offsets, "GIVEN": fours(len(GIVEN)),
        "WAVES": fours(len(WAVES)), "PERIODS": len(PERIODS),
        "BLOCKS": len(BLOCKS), "BLOCK_CELLS": f"float[]({', '.join(f'{width:.1f}' for width in BLOCKS)})",
        "HORIZON": HORIZON, "NEAREST": NEAREST, "BEYOND": BEYOND,
        "ANGLES": len(ANGULAR_FREQUENCIES),
        "ANGULAR_FREQUENCIES": f"float[]({', '.join(f'{k:.1f}' for k in ANGULAR_FREQUENCIES)})",
    }  # fmt: skip
    return "\n".join(f"#define {name} {value}" for name, value in defined.items())
