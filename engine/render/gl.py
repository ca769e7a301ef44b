"""The little OpenGL 3.3 that the renderer needs: programs, textures, targets, read-back.

Import this only after a context was opened (`headless.open_context`, `window.open_window`).
Everything is RGBA8 holding sRGB code values as they are: GL_FRAMEBUFFER_SRGB stays off, so that no gamma is applied.
"""

from __future__ import annotations

import ctypes
from importlib.resources import files

import numpy as np
from pyglet import gl
from pyglet.graphics.shader import Shader, ShaderException, ShaderProgram

from engine.render.picture import Rect, Size

__all__ = ["Rect", "Size"]


def program(vertex: str, *fragments: str, defined: str = "") -> ShaderProgram:
    """Compile files of `shaders/` into one program; the first fragment file has `main`, others what it calls.

    `defined`, lines of `#define`, stand before all of them. Raises GlslError.
    """
    folder = files("engine.render") / "shaders"
    stages = []
    for name, stage in [(vertex, "vertex"), *((name, "fragment") for name in fragments)]:
        version, text = (folder / f"{name}.glsl").read_text(encoding="utf-8").split("\n", 1)
        stages.append(shader("\n".join((version, defined, "#line 2", text)), stage))
    return linked(*stages)


class GlslError(ValueError):
    """What the driver says of a text that it does not compile or link."""


def shader(text: str, stage: str) -> Shader:
    """One stage, "vertex" or "fragment", of a program. Raises GlslError."""
    try:
        return Shader(text, stage)  # type: ignore[arg-type]
    except ShaderException as error:
        raise GlslError(str(error).rpartition("shader: \n")[2]) from None  # behind the whole text


def linked(*stages: Shader) -> ShaderProgram:
    """A program of these stages. Raises GlslError."""
    try:
        return ShaderProgram(*stages)
    except ShaderException as error:
        raise GlslError(str(error)) from None


def shrunk(size: Size, longest_px: int) -> Size:
    """`size` with its longer side `longest_px`."""
    scale = longest_px / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


class Texture:
    """A linear, edge-clamped RGBA texture of fixed size: of bytes, or where `floating` of 32-bit floats."""

    def __init__(self, size: Size, pixels: np.ndarray | None = None, floating: bool = False) -> None:
        self.size = size
        self._id = gl.GLuint()
        gl.glGenTextures(1, self._id)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._id)
        for name, value in (
            (gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR),
            (gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR),
            (gl.GL_TEXTURE_WRAP_S, gl.GL_CLAMP_TO_EDGE),
            (gl.GL_TEXTURE_WRAP_T, gl.GL_CLAMP_TO_EDGE),
            (gl.GL_TEXTURE_MAX_LEVEL, 0),
        ):
            gl.glTexParameteri(gl.GL_TEXTURE_2D, name, value)
        inner = gl.GL_RGBA32F if floating else gl.GL_RGBA8
        gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, inner, *size, 0, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE, None)
        if pixels is not None:
            self.upload(pixels)

    def upload(self, pixels: np.ndarray) -> None:
        """Replace the picture by uint8 or float32 (height, width, 1, 3 or 4), one being red; row 0 is texture row 0."""
        height, width, channels = pixels.shape
        data = np.ascontiguousarray(pixels)
        layout = {1: gl.GL_RED, 3: gl.GL_RGB, 4: gl.GL_RGBA}[channels]
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._id)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
        kind = gl.GL_FLOAT if data.dtype == np.float32 else gl.GL_UNSIGNED_BYTE
        gl.glTexSubImage2D(gl.GL_TEXTURE_2D, 0, 0, 0, width, height, layout, kind, _pointer(data))

    def upload_from(self, buffer: UploadBuffer) -> None:
        """Replace the picture by a buffer's, of the same size; returns before it is copied."""
        gl.glBindBuffer(gl.GL_PIXEL_UNPACK_BUFFER, buffer.name)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._id)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 4)
        gl.glTexSubImage2D(gl.GL_TEXTURE_2D, 0, 0, 0, *self.size, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE, 0)
        gl.glBindBuffer(gl.GL_PIXEL_UNPACK_BUFFER, 0)

    def bind(self, unit: int) -> None:
        """Make this the texture of a unit."""
        gl.glActiveTexture(gl.GL_TEXTURE0 + unit)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._id)

    @property
    def name(self) -> int:
        """OpenGL's number for it."""
        return int(self._id.value)

    def delete(self) -> None:
        gl.glDeleteTextures(1, self._id)


class Target:
    """A texture that can be drawn into."""

    def __init__(self, size: Size, floating: bool = False) -> None:
        self.texture = Texture(size, floating=floating)
        self._id = gl.GLuint()
        gl.glGenFramebuffers(1, self._id)
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._id)
        gl.glFramebufferTexture2D(gl.GL_FRAMEBUFFER, gl.GL_COLOR_ATTACHMENT0, gl.GL_TEXTURE_2D, self.texture.name, 0)
        gl.glClearColor(0.0, 0.0, 0.0, 1.0)
        gl.glClear(gl.GL_COLOR_BUFFER_BIT)

    @property
    def size(self) -> Size:
        return self.texture.size

    def begin(self) -> None:
        """Draw into it, all of it, from now on."""
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._id)
        gl.glViewport(0, 0, *self.size)

    def read(self) -> np.ndarray:
        """Pixels as uint8 (height, width, 3), row 0 first; waits until they are drawn."""
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._id)
        return read_pixels(self.size)

    def show(self) -> None:
        """Copy pixel by pixel to the window, whose size is the same, row 0 at the top."""
        width, height = self.size
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._id)
        gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, 0)
        gl.glBlitFramebuffer(0, 0, width, height, 0, height, width, 0, gl.GL_COLOR_BUFFER_BIT, gl.GL_NEAREST)

    def start_read(self, buffer: PixelBuffer) -> None:
        """Ask for the pixels without waiting for them."""
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._id)
        buffer.fill()

    def delete(self) -> None:
        gl.glDeleteFramebuffers(1, self._id)
        self.texture.delete()


def read_pixels(size: Size) -> np.ndarray:
    """The bound read framebuffer's pixels, uint8 (height, width, 3), row 0 first."""
    width, height = size
    pixels = np.empty((height, width, 3), np.uint8)
    gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
    gl.glReadPixels(0, 0, width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, _pointer(pixels))
    return pixels


class UploadBuffer:
    """RGBA pixels on their way into a texture; row 0 is texture row 0."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._id = gl.GLuint()
        gl.glGenBuffers(1, self._id)
        self._store(None)

    def fill(self, pixels: np.ndarray) -> None:
        """Take uint8 (height, width, 4), into new memory: what is not yet out of the old stays as it is."""
        width, height = self.size
        if pixels.shape != (height, width, 4):
            raise ValueError(f"pixels {pixels.shape}: ({height}, {width}, 4) are accepted")
        self._store(_pointer(np.ascontiguousarray(pixels)))

    def _store(self, data: ctypes.c_void_p | None) -> None:
        gl.glBindBuffer(gl.GL_PIXEL_UNPACK_BUFFER, self._id)
        gl.glBufferData(gl.GL_PIXEL_UNPACK_BUFFER, self.size[0] * self.size[1] * 4, data, gl.GL_STREAM_DRAW)
        gl.glBindBuffer(gl.GL_PIXEL_UNPACK_BUFFER, 0)

    @property
    def name(self) -> int:
        """OpenGL's number for it."""
        return int(self._id.value)

    def delete(self) -> None:
        gl.glDeleteBuffers(1, self._id)


class UniformBuffer:
    """Numbers of a program's one std140 block."""

    def __init__(self, program: ShaderProgram, block: str) -> None:
        self._id = gl.GLuint()
        gl.glGenBuffers(1, self._id)
        gl.glUniformBlockBinding(program.id, program.uniform_blocks[block].index, 0)

    def fill(self, numbers: np.ndarray) -> None:
        """Take float32 numbers, as the block has them, for what is drawn next."""
        gl.glBindBufferBase(gl.GL_UNIFORM_BUFFER, 0, self._id)
        gl.glBufferData(gl.GL_UNIFORM_BUFFER, numbers.nbytes, _pointer(numbers), gl.GL_STREAM_DRAW)

    def delete(self) -> None:
        gl.glDeleteBuffers(1, self._id)


class PixelBuffer:
    """Pixels on their way from the GPU, RGB or with `alpha` RGBA: `fill` asks, `take` waits for what was asked."""

    def __init__(self, size: Size, alpha: bool = False) -> None:
        self.size, self.alpha = size, alpha
        self.filled = False
        self._bytes = size[0] * size[1] * (4 if alpha else 3)
        self._id = gl.GLuint()
        gl.glGenBuffers(1, self._id)
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, self._id)
        gl.glBufferData(gl.GL_PIXEL_PACK_BUFFER, self._bytes, None, gl.GL_STREAM_READ)
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, 0)

    def fill(self) -> None:
        """Start copying the bound read framebuffer."""
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, self._id)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadPixels(0, 0, *self.size, gl.GL_RGBA if self.alpha else gl.GL_RGB, gl.GL_UNSIGNED_BYTE, 0)
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, 0)
        self.filled = True

    def take(self) -> np.ndarray:
        """A copy of the pixels, uint8 (height, width, 3 or 4), row 0 first."""
        pixels = np.empty((self.size[1], self.size[0], 4 if self.alpha else 3), np.uint8)
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, self._id)
        gl.glGetBufferSubData(gl.GL_PIXEL_PACK_BUFFER, 0, self._bytes, _pointer(pixels))
        gl.glBindBuffer(gl.GL_PIXEL_PACK_BUFFER, 0)
        self.filled = False
        return pixels

    def delete(self) -> None:
        gl.glDeleteBuffers(1, self._id)


class Canvas:
    """Draws without vertex buffers: the shaders make their corners from gl_VertexID."""

    def __init__(self) -> None:
        self._vertices = gl.GLuint()
        gl.glGenVertexArrays(1, self._vertices)

    def cover(self) -> None:
        """One triangle over the whole viewport."""
        gl.glBindVertexArray(self._vertices)
        gl.glDrawArrays(gl.GL_TRIANGLES, 0, 3)

    def quad(self) -> None:
        """Two triangles whose four corners are the viewport's, unless the shader moves them."""
        gl.glBindVertexArray(self._vertices)
        gl.glDrawArrays(gl.GL_TRIANGLE_STRIP, 0, 4)

    def cells(self, count: int) -> None:
        """So many cells of two triangles each."""
        gl.glBindVertexArray(self._vertices)
        gl.glDrawArrays(gl.GL_TRIANGLES, 0, 6 * count)


def use_screen(size: Size) -> None:
    """Draw into the window (or the pbuffer) from now on."""
    gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)
    gl.glViewport(0, 0, *size)


def clear(opaque: bool = True) -> None:
    """Exact black, or nothing at all."""
    gl.glClearColor(0.0, 0.0, 0.0, float(opaque))
    gl.glClear(gl.GL_COLOR_BUFFER_BIT)


def viewport(rect: Rect) -> None:
    gl.glViewport(*rect)


def blend_constant(alpha: float) -> None:
    """New pixels weigh `alpha`, those already there the rest."""
    gl.glEnable(gl.GL_BLEND)
    gl.glBlendColor(0.0, 0.0, 0.0, alpha)
    gl.glBlendFunc(gl.GL_CONSTANT_ALPHA, gl.GL_ONE_MINUS_CONSTANT_ALPHA)


def blend_over() -> None:
    """New pixels lie over the old ones by their alpha."""
    gl.glEnable(gl.GL_BLEND)
    gl.glBlendFunc(gl.GL_SRC_ALPHA, gl.GL_ONE_MINUS_SRC_ALPHA)


def no_blend() -> None:
    """New pixels replace."""
    gl.glDisable(gl.GL_BLEND)


def fill(rect: Rect, colour: tuple[float, float, float]) -> None:
    """Paint a rectangle in one opaque colour."""
    gl.glEnable(gl.GL_SCISSOR_TEST)
    gl.glScissor(*rect)
    gl.glClearColor(*colour, 1.0)
    gl.glClear(gl.GL_COLOR_BUFFER_BIT)
    gl.glDisable(gl.GL_SCISSOR_TEST)


def finish() -> None:
    """Wait until all is drawn."""
    gl.glFinish()


def room() -> tuple[int, int]:
    """The longest side of a texture, in pixels, and the largest uniform block, in bytes."""
    texture_px, block_bytes = gl.GLint(), gl.GLint()
    gl.glGetIntegerv(gl.GL_MAX_TEXTURE_SIZE, texture_px)
    gl.glGetIntegerv(gl.GL_MAX_UNIFORM_BLOCK_SIZE, block_bytes)
    return texture_px.value, block_bytes.value


def is_software() -> bool:
    """Whether a CPU draws."""
    renderer = gl.gl_info.get_renderer().lower()
    return any(
        name in renderer for name in ("llvmpipe", "softpipe", "swiftshader", "swrast", "software", "basic render")
    )


def describe() -> str:
    """Renderer and version of the current context, such as "llvmpipe (LLVM 15.0.6, 256 bits), 4.5"."""
    major, minor = gl.gl_info.get_version()
    return f"{gl.gl_info.get_renderer()}, {major}.{minor}"
