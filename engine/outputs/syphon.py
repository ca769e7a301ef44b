"""Syphon: the picture as a texture for other programs on macOS (syphon-python, the extra `syphon`)."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from engine.render.picture import Size


def missing() -> str:
    """Why there is no Syphon here, in a line; "" where there is."""
    if sys.platform != "darwin":
        return "Syphon is for macOS"
    absent = [name for name in ("syphon", "OpenGL") if not find_spec(name)]
    return f"{absent[0]} is not installed; pip install 'tpos-live[syphon]' adds it" if absent else ""


class SyphonShare:
    """A Syphon server called `called`, on the context that is current. See `Share`."""

    def __init__(self, called: str) -> None:
        import syphon

        self._server = syphon.SyphonOpenGLServer(called)

    def send(self, texture: int, size: Size) -> None:
        """As `Share.send`; OpenGL's textures begin at the bottom, this one at the top."""
        self._server.publish_frame_texture(texture, size=size, is_flipped=True)

    def close(self) -> None:
        """Be found no more."""
        self._server.stop()
