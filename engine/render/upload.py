"""The way of a frame's pixels into a texture."""

from __future__ import annotations

import numpy as np

from engine.core import console
from engine.core.messages import DevicePixels, Frame
from engine.render import gl
from engine.render.cuda_gl import SharedBuffer


class FrameUpload:
    """Uploads frames of any size through a pixel buffer, which OpenGL empties while the thread that draws goes on.

    Frames that lie on the GPU which draws are copied there, and never see the host, as far as cuda-core is installed
    and the drivers do it; where it fails, that is said once, and they come from the host. Owned by the thread that
    draws.
    """

    def __init__(self) -> None:
        self._filled: gl.UploadBuffer | None = None
        self._shared: SharedBuffer | None = None
        self._from_host = False

    def __call__(self, frame: Frame, into: gl.Texture) -> None:
        """Make a frame the picture of a texture of its size."""
        into.upload_from(self._copy(frame.on_gpu, into.size) or self._fill(frame.image, into.size))

    def _copy(self, pixels: DevicePixels | None, size: gl.Size) -> gl.UploadBuffer | None:
        """The buffer that CUDA shares, with these pixels; None where they have to come from the host."""
        if pixels is None or self._from_host:
            return None
        try:
            if self._shared is None or self._shared.buffer.size != size:
                if self._shared is not None:
                    self._shared.close()
                self._shared = SharedBuffer(size)
            self._shared.fill(pixels)
        except Exception as error:  # noqa: BLE001 - cuda-core has no name for its errors, and the picture must come
            console.notify(f"frames come to the screen by way of the host: {error}")
            self._from_host, self._shared = True, None
            return None
        return self._shared.buffer

    def _fill(self, image: np.ndarray, size: gl.Size) -> gl.UploadBuffer:
        if self._filled is None or self._filled.size != size:
            if self._filled is not None:
                self._filled.delete()
            self._filled = gl.UploadBuffer(size)
        self._filled.fill(image)
        return self._filled
