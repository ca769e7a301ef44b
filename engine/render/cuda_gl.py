"""From CUDA's memory into OpenGL's, not by way of the host: a buffer that both know, through cuda-core."""

from __future__ import annotations

from engine.core.messages import DevicePixels
from engine.render import gl
from tpos_models.errors import MissingPart


class SharedBuffer:
    """A buffer of OpenGL's that CUDA copies into. Owned by the thread whose context is current.

    Raises `MissingPart` without cuda-core, else what that raises: where another GPU draws the screen than computes, and
    where a driver does not do this.
    """

    def __init__(self, size: gl.Size) -> None:
        try:
            from cuda import core
        except ImportError as error:
            raise MissingPart("cuda-core is not installed; pip install 'tpos-live[cuda-gl]' adds it") from error
        self._core = core
        device = core.Device()
        device.set_current()
        self._stream = device.create_stream()  # the display's own: on torch's it would wait for the next frame
        self.buffer = gl.UploadBuffer(size)
        self._resource = core.GraphicsResource.from_gl_buffer(self.buffer.name, flags="write_discard")
        self._source: DevicePixels | None = None

    def fill(self, pixels: DevicePixels) -> None:
        """Copy pixels that are finished, as many bytes as the buffer has; what OpenGL is told from now on comes after.

        They are held until the next ones have come: on the host nobody knows before that they were copied.
        """
        self._stream.sync()
        with self._resource.map(stream=self._stream) as mapped:
            source = self._core.Buffer.from_handle(pixels.data_ptr(), pixels.nbytes, owner=pixels)
            mapped.copy_from(source, stream=self._stream)
        self._source = pixels

    def close(self) -> None:
        """Give all of it back."""
        self._stream.sync()
        self._resource.close()
        self._stream.close()
        self.buffer.delete()
