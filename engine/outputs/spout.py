"""Spout: the picture as a texture for other programs on Windows (SpoutGL, the extra `spout`)."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from engine.render.picture import Size
from tpos_models.errors import RunError

GL_TEXTURE_2D = 0x0DE1


def missing() -> str:
    """Why there is no Spout here, in a line; "" where there is."""
    if sys.platform != "win32":
        return "Spout is for Windows"
    return "" if find_spec("SpoutGL") else "SpoutGL is not installed; pip install 'tpos-live[spout]' adds it"


class SpoutShare:
    """A Spout sender called `called`. See `Share`."""

    def __init__(self, called: str) -> None:
        import SpoutGL

        self._called = called
        self._sender = SpoutGL.SpoutSender()
        self._sender.setSenderName(called)

    def send(self, texture: int, size: Size) -> None:
        """As `Share.send`; the library would turn the picture over, whose first row is the texture's already."""
        if not self._sender.sendTexture(texture, GL_TEXTURE_2D, size[0], size[1], False, 0):
            raise RunError("Spout does not take the texture: a GPU with OpenGL-DirectX interop would be accepted")
        self._sender.setFrameSync(self._called)

    def close(self) -> None:
        """Be found no more."""
        self._sender.releaseSender()
