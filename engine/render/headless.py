"""The same drawing with no screen: an EGL context, found or refused before pyglet is asked for it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pyglet

from tpos_models.errors import MissingPart

if TYPE_CHECKING:
    from pyglet.window import BaseWindow

PACKAGES = "libegl1 libgl1 libgl1-mesa-dri"
_INSTALL = f"install it with: sudo apt-get install {PACKAGES}"

_EGL_PLATFORM_DEVICE = 0x313F
_EGL_NONE, _EGL_SURFACE_TYPE, _EGL_PBUFFER_BIT = 0x3038, 0x3033, 0x0001
_EGL_RENDERABLE_TYPE, _EGL_OPENGL_BIT, _EGL_OPENGL_API = 0x3040, 0x0008, 0x30A2
_EGL_CONTEXT_MAJOR, _EGL_CONTEXT_MINOR = 0x3098, 0x30FB


class HeadlessContext:
    """A current OpenGL 3.3 context that draws only off screen. Belongs to the thread that opened it."""

    def __init__(self, window: BaseWindow) -> None:
        self._window = window

    @property
    def size(self) -> None:
        """None: there is no screen to fill."""
        return None

    def switch_to(self) -> None:
        """Make it the current context."""
        self._window.switch_to()

    def close(self) -> None:
        """Give the context back; twice is harmless."""
        if self._window.context is not None:
            self._window.close()


def open_context() -> HeadlessContext:
    """Open an OpenGL 3.3 context with no screen.

    On Linux through EGL, on the first device that can; elsewhere as a hidden window. Raises `MissingPart` naming the
    packages when there is none, without having touched the drivers that would crash.
    """
    if sys.platform.startswith("linux"):
        if not pyglet.options.headless:  # probing again would end the display that pyglet keeps
            pyglet.options.headless_device = find_device()
        pyglet.options.headless = True
    return HeadlessContext(hidden_window())


def hidden_window() -> BaseWindow:
    """pyglet's window that shows nothing, its context current."""
    pyglet.options.shadow_window = False
    pyglet.options.debug_gl = False
    from pyglet import gl  # pyglet picks its backend when these are first imported
    from pyglet.window import NoSuchConfigException, NoSuchDisplayException, Window

    try:
        config = gl.Config(major_version=3, minor_version=3)  # type: ignore[abstract]
        return Window(16, 16, visible=False, config=config)
    except (NoSuchConfigException, NoSuchDisplayException) as error:
        raise MissingPart(f"no OpenGL 3.3 without a screen ({error}); {_INSTALL}") from error


def find_device(egl_name: str = "libEGL.so.1", gl_name: str = "libGL.so.1") -> int:
    """Index of the first EGL device that gives OpenGL 3.3; raises `MissingPart` when there is none."""
    egl = load(egl_name, PACKAGES)
    load(gl_name, PACKAGES)
    devices = _devices(egl)
    for index, device in enumerate(devices):
        if _gives_opengl(egl, device):
            return index
    raise MissingPart(f"none of the {len(devices)} EGL devices gives OpenGL 3.3; {_INSTALL}")


def load(name: str, packages: str) -> ctypes.CDLL:
    """A shared library of the system; raises `MissingPart` naming the Debian packages that bring it."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise MissingPart(
            f"{name} is not installed, so pictures cannot be drawn; install it with: sudo apt-get install {packages}"
        ) from error


def _extension(egl: ctypes.CDLL, name: bytes, result: type, *arguments: type) -> Callable[..., int | None] | None:
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    address = egl.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None


def _devices(egl: ctypes.CDLL) -> list[ctypes.c_void_p]:
    query = _extension(egl, b"eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    count = ctypes.c_int(0)
    if query is None or not query(0, None, ctypes.byref(count)) or count.value == 0:
        return []
    found = (ctypes.c_void_p * count.value)()
    query(count.value, found, ctypes.byref(count))
    return [ctypes.c_void_p(device) for device in found]


def _gives_opengl(egl: ctypes.CDLL, device: ctypes.c_void_p) -> bool:
    """Try a device: display, configuration, context, and everything given back."""
    get_display = _extension(
        egl, b"eglGetPlatformDisplayEXT", ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p
    )
    display = get_display(_EGL_PLATFORM_DEVICE, device, None) if get_display else None
    if not display or not egl.eglInitialize(ctypes.c_void_p(display), None, None):
        return False
    try:
        return bool(egl.eglBindAPI(_EGL_OPENGL_API)) and _makes_context(egl, ctypes.c_void_p(display))
    finally:
        egl.eglTerminate(ctypes.c_void_p(display))


def _makes_context(egl: ctypes.CDLL, display: ctypes.c_void_p) -> bool:
    wanted = _integers(_EGL_SURFACE_TYPE, _EGL_PBUFFER_BIT, _EGL_RENDERABLE_TYPE, _EGL_OPENGL_BIT, _EGL_NONE)
    config, count = ctypes.c_void_p(), ctypes.c_int()
    egl.eglChooseConfig(display, wanted, ctypes.byref(config), 1, ctypes.byref(count))
    if count.value == 0:
        return False
    egl.eglCreateContext.restype = ctypes.c_void_p
    version = _integers(_EGL_CONTEXT_MAJOR, 3, _EGL_CONTEXT_MINOR, 3, _EGL_NONE)
    context = egl.eglCreateContext(display, config, None, version)
    if not context:
        return False
    egl.eglDestroyContext(display, ctypes.c_void_p(context))
    return True


def _integers(*values: int) -> ctypes.Array[ctypes.c_int]:
    return (ctypes.c_int * len(values))(*values)
