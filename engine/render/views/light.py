"""The picture as light over others: black is transparent."""

from __future__ import annotations

from engine.render import gl


class LightPass:
    """Gives a picture straight alpha, the largest of red, green and blue: laid over black it is what it was."""

    def __init__(self, canvas: gl.Canvas) -> None:
        self._canvas = canvas
        self._program = gl.program("cover.vert", "light.frag")

    def begin(self) -> bool:
        """As `Pass.begin`."""
        return True

    def source(self, size: gl.Size, shape: gl.Size) -> gl.Size:
        """As `Pass.source`."""
        return size

    def draw(self, picture: gl.Texture, size: gl.Size) -> None:
        """As `Pass.draw`."""
        self._program.use()
        picture.bind(0)
        self._canvas.cover()

    def delete(self) -> None:
        """As `Pass.delete`."""
        self._program.delete()
