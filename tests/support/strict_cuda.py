"""A stand-in for cuda-core, with the host's memory for the GPU's, that forgives less: calls as the library takes them.

A copy is under way until its stream is waited for, and OpenGL sees it once the buffer is unmapped.
"""

from __future__ import annotations

import ctypes
import weakref
from types import ModuleType
from typing import Any

from pyglet import gl


class Stream:
    """A device's queue; holds a weak hand on what its copies read."""

    def __init__(self) -> None:
        self.under_way: list[weakref.ref[Any]] = []
        self.closed = False

    def sync(self) -> None:
        assert not self.closed
        assert all(source() is not None for source in self.under_way), "its memory was given away before it was copied"
        self.under_way.clear()

    def close(self) -> None:
        self.closed = True


class Device:
    """The one GPU; its context has to be the thread's before anything else."""

    current = False
    streams: list[Stream]

    def __init__(self, device_id: Device | int | None = None) -> None:
        pass

    def set_current(self, ctx: Any = None) -> None:
        Device.current = True

    def create_stream(self, obj: Any = None, options: Any = None) -> Stream:
        assert Device.current
        Device.streams.append(Stream())
        return Device.streams[-1]


class Buffer:
    """A stretch of memory."""

    def __init__(self, ptr: int, size: int, owner: Any) -> None:
        self.ptr, self.size, self.owner = ptr, size, owner

    @staticmethod
    def from_handle(ptr: int, size: int, mr: Any = None, owner: Any = None, *, stream: Any = None) -> Buffer:
        assert owner is not None, "nobody holds it"
        return Buffer(ptr, size, owner)


class Mapped(Buffer):
    """A resource's memory while it is CUDA's."""

    def __init__(self, resource: GraphicsResource, stream: Stream) -> None:
        self._memory = (ctypes.c_byte * resource.bytes)()
        super().__init__(ctypes.addressof(self._memory), resource.bytes, resource)
        self.stream = stream

    def copy_from(self, src: Buffer, *, stream: Stream, options: Any = None) -> None:
        assert self.owner.mapped is self
        assert stream is self.stream, "on another stream it may come after the buffer is OpenGL's again"
        assert src.size == self.size
        ctypes.memmove(self.ptr, src.ptr, src.size)
        stream.under_way.append(weakref.ref(src.owner))

    def __enter__(self) -> Mapped:
        return self

    def __exit__(self, *error: object) -> None:
        self.owner.unmap()


class GraphicsResource:
    """A buffer of OpenGL's that is registered; the thread's context is the one that has it."""

    registered: list[GraphicsResource]

    def __init__(self, name: int) -> None:
        assert Device.current
        assert gl.glIsBuffer(name)
        self.name, self.closed = name, False
        self.mapped: Mapped | None = None
        size = gl.GLint()
        gl.glBindBuffer(gl.GL_COPY_WRITE_BUFFER, name)
        gl.glGetBufferParameteriv(gl.GL_COPY_WRITE_BUFFER, gl.GL_BUFFER_SIZE, size)
        self.bytes = size.value
        assert self.bytes > 0, "it has no memory yet"
        GraphicsResource.registered.append(self)

    @classmethod
    def from_gl_buffer(cls, gl_buffer: int, *, flags: Any = None, stream: Any = None) -> GraphicsResource:
        assert flags == "write_discard"
        return cls(gl_buffer)

    def map(self, *, stream: Stream) -> Mapped:
        assert not self.closed
        assert self.mapped is None
        self.mapped = Mapped(self, stream)
        return self.mapped

    def unmap(self, *, stream: Any = None) -> None:
        assert self.mapped is not None
        gl.glBindBuffer(gl.GL_COPY_WRITE_BUFFER, self.name)
        gl.glBufferSubData(gl.GL_COPY_WRITE_BUFFER, 0, self.bytes, ctypes.c_void_p(self.mapped.ptr))
        self.mapped = None

    def close(self, stream: Any = None) -> None:
        assert gl.glIsBuffer(self.name), "OpenGL has deleted what CUDA still has"
        self.closed = True


def library() -> ModuleType:
    """The module `cuda.core`, with nothing opened yet."""
    Device.current, Device.streams, GraphicsResource.registered = False, [], []
    core = ModuleType("cuda.core")
    core.__dict__.update(Device=Device, Buffer=Buffer, GraphicsResource=GraphicsResource)
    return core
