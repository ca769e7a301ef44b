"""A texture of the show's context, shown on the screen of another that shares with it."""

from __future__ import annotations

from pyglet import gl

from engine.render.picture import Size


class SharedTexture:
    """Copies textures to the screen of the context that was current when it was made: framebuffers are not shared."""

    def __init__(self) -> None:
        self._id = gl.GLuint()
        gl.glGenFramebuffers(1, self._id)

    def show(self, texture: int, size: Size) -> None:
        """Copy a texture pixel by pixel to the screen, which is as large; its row 0 is the top."""
        width, height = size
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._id)
        gl.glFramebufferTexture2D(gl.GL_READ_FRAMEBUFFER, gl.GL_COLOR_ATTACHMENT0, gl.GL_TEXTURE_2D, texture, 0)
        gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, 0)
        gl.glBlitFramebuffer(0, 0, width, height, 0, height, width, 0, gl.GL_COLOR_BUFFER_BIT, gl.GL_NEAREST)
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)
        gl.glViewport(0, 0, width, height)
