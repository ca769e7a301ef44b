"""A mark in what OpenGL was asked to do: whether it came that far, and waiting for it in another context."""

from __future__ import annotations

from pyglet import gl


class Fence:
    """Set behind all that the current context was asked for. Any context that shares with it may ask."""

    def __init__(self) -> None:
        self._mark = gl.glFenceSync(gl.GL_SYNC_GPU_COMMANDS_COMPLETE, 0)
        gl.glFlush()

    @property
    def passed(self) -> bool:
        """Whether all of it is done."""
        return gl.glClientWaitSync(self._mark, 0, 0) in (gl.GL_ALREADY_SIGNALED, gl.GL_CONDITION_SATISFIED)

    def hold(self) -> None:
        """What the current context is asked for next begins behind it; this thread waits for nothing."""
        gl.glWaitSync(self._mark, 0, gl.GL_TIMEOUT_IGNORED)

    def delete(self) -> None:
        gl.glDeleteSync(self._mark)
