"""The live window: keys in, pixels out, never waiting for the model."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import pyglet
from PIL import Image, ImageDraw

from engine.core.messages import ShowState
from engine.render.headless import load
from engine.render.keys import VIEW, Command, View, show_command
from tpos_models.errors import DeviceError, MissingPart

if TYPE_CHECKING:
    from pyglet.display.base import Screen
    from pyglet.window import BaseWindow

    from engine.core.hud_info import HudInfo

TITLE = "TPoS Live"
PACKAGES = "libgl1 libgl1-mesa-dri libxrender1 libxrandr2 libxinerama1"
QUIT_WITHIN_S = 2.0
"""The second press of Q or Esc must come within this."""
HELP_S = 12.0
"""The list of keys goes by itself after this: a second a line."""
SOFTWARE_HZ = 36.0
"""Redraw rate where the CPU draws: above the 30 that look smooth, below what would starve the model."""
LARGEST_HZ = 240.0
SMALLEST = (320, 180)
Grab = Callable[[str, bool], bool]
"""Takes pyglet's name of a key, and whether Shift is held."""
Drag = Callable[[tuple[float, float], bool | None], bool]
"""Takes where the mouse is, 0..1 from the top left, and whether its button was pressed just now; None: it is up."""


class Role(Enum):
    """Who looks at a window: everybody, where it is the only one; the audience, who read nothing; the operator."""

    ONLY = auto()
    AUDIENCE = auto()
    OPERATOR = auto()


def has_screen() -> bool:
    """Whether a window could be opened here: on Linux, whether an X server answers at $DISPLAY."""
    if not sys.platform.startswith("linux"):
        return True
    if not os.environ.get("DISPLAY"):
        return False
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)


def open_window(
    command: Command,
    state: Callable[[], ShowState],
    size: tuple[int, int] = (1280, 720),
    fullscreen: bool = False,
    display: int = 0,
    role: Role = Role.ONLY,
    leave: Callable[[], object] | None = None,
) -> ShowWindow:
    """Open a window on monitor `display`.

    Keys call `command` with an OSC address and its arguments; `state` tells them what to toggle. A window beside the
    first shares textures with it, does not wait for its own display, and calls `leave` where Q is pressed twice.
    Raises `DeviceError` for a screen or monitor that is not there, `MissingPart` where OpenGL 3.3 is missing.
    """
    if not has_screen():
        raise DeviceError(
            f"no X server answers at DISPLAY={os.environ.get('DISPLAY', '')!r}; start one, or go --headless"
        )
    pyglet.options.headless = False
    pyglet.options.shadow_window = False
    pyglet.options.debug_gl = False
    if sys.platform.startswith("linux"):
        load("libGL.so.1", PACKAGES)
        load("libXrender.so.1", PACKAGES)
    from pyglet import gl  # pyglet picks its backend when these are first imported
    from pyglet.window import NoSuchConfigException, Window

    screens = find_screens(display)
    config = gl.Config(major_version=3, minor_version=3, double_buffer=True)  # type: ignore[abstract]
    try:
        window = Window(
            *size,
            caption=f"{TITLE}: operator" if role is Role.OPERATOR else TITLE,
            resizable=True,
            vsync=leave is None,
            config=config,
            screen=screens[display],
        )
    except (NoSuchConfigException, gl.ContextException) as error:
        hint = f"update the graphics driver, or: sudo apt-get install {PACKAGES}"
        raise MissingPart(f"no OpenGL 3.3 on this display; {hint}") from error
    return ShowWindow(window, command, state, fullscreen, display, role, leave)


def _screens() -> list[Screen]:
    from pyglet.display import get_display

    return get_display().get_screens()


def find_screens(display: int = 0) -> list[Screen]:
    """The monitors; raises `DeviceError` where `display` is none of them."""
    screens = _screens()
    if not 0 <= display < len(screens):
        raise DeviceError(f"no display {display}: there are {len(screens)}, numbered from 0")
    return screens


class ShowWindow:
    """A window, its keys and what the operator sees over the picture. Owned by the main thread."""

    def __init__(
        self,
        window: BaseWindow,
        command: Command,
        state: Callable[[], ShowState],
        fullscreen: bool = False,
        display: int = 0,
        role: Role = Role.ONLY,
        leave: Callable[[], object] | None = None,
    ) -> None:
        from engine.render.gl import Canvas  # needs the context that `window` brought
        from engine.render.hud import Help, Hud

        self.closed = False
        self.grab: Grab | None = None
        """Told of a key before the show is; true where it was meant for that."""
        self.drag: Drag | None = None
        """Told of the mouse; true where it was meant for that, and it is to be seen."""
        self._window = window
        self._role, self._leave = role, leave
        self._hud_shown = {False: True, True: role is Role.OPERATOR}
        """Whether the HUD is shown, windowed and fullscreen: there the audience would read it."""
        self._help_until_s = 0.0
        self._command, self._state = command, state
        self._display = display
        self._quit_asked_s = -QUIT_WITHIN_S
        canvas = Canvas()
        self._hud, self._help = Hud(canvas), Help(canvas)
        window.push_handlers(
            on_key_press=self._on_key_press,
            on_key_release=self._on_key_release,
            on_close=self._on_close,
            on_mouse_press=self._on_mouse_press,
            on_mouse_drag=self._on_mouse_drag,
            on_mouse_motion=self._on_mouse_motion,
        )
        window.set_minimum_size(*SMALLEST)
        window.set_icon(_icon())
        if fullscreen:
            self._fullscreen()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the screen's own pixels."""
        width, height = self._window.get_framebuffer_size()
        return max(1, int(width)), max(1, int(height))

    @property
    def rate_hz(self) -> float:
        """How often to redraw: the display's rate where a GPU draws."""
        from engine.render.gl import is_software

        if is_software():
            return SOFTWARE_HZ
        mode = self._window.screen.get_mode()
        return min(float(getattr(mode, "rate", None) or 60.0), LARGEST_HZ)

    def switch_to(self) -> None:
        """Make its context the current one."""
        self._window.switch_to()

    def dispatch(self) -> None:
        """Handle the keys and window events that wait."""
        self._window.dispatch_events()

    @property
    def hud_visible(self) -> bool:
        """The HUD is shown: in a window from the start, fullscreen only after H."""
        return self._hud_shown[self._window.fullscreen]

    @property
    def help_visible(self) -> bool:
        """The list of keys is shown."""
        return time.monotonic() < self._help_until_s

    def draw_over(self, hud: HudInfo) -> None:
        """Draw what only the operator should see: the list of keys, or the HUD, which asks whether to quit."""
        if self._role is Role.AUDIENCE:
            return
        if self.help_visible:
            self._help.draw(self.size)
        elif self.hud_visible:
            asked = replace(hud, message="press Q or Esc again to quit") if self.quitting else hud
            self._hud.draw(self.size, asked, time.monotonic())

    @property
    def quitting(self) -> bool:
        """Quit was asked once, and may be confirmed."""
        return time.monotonic() - self._quit_asked_s < QUIT_WITHIN_S

    def flip(self) -> None:
        """Show what was drawn; waits for the display where it has vertical sync."""
        self._window.flip()

    def close(self) -> None:
        """Close the window; twice is harmless."""
        self.closed = True
        if self._window.context is not None:
            self._window.close()

    def close_soon(self) -> None:
        """Be closed by whoever owns it."""
        self.closed = True

    def _on_close(self) -> bool:
        self.close_soon()
        return True

    def _on_key_press(self, symbol: int, modifiers: int) -> bool:
        from pyglet.window.key import MOD_SHIFT, symbol_string

        key = symbol_string(symbol)
        if self._closes_help(key) or (self.grab and self.grab(key, bool(modifiers & MOD_SHIFT))):
            return True
        said = show_command(key, self._state())
        if said is not None:
            self._command(*said)
        elif key in VIEW:
            self._view(VIEW[key])
        return True

    def _on_key_release(self, _symbol: int, _modifiers: int) -> None:
        """On X11 pyglet takes `?` for still pressed where Shift was let go first, and would never report it again."""
        from pyglet.window.key import QUESTION

        getattr(self._window, "pressed_keys", set()).discard(QUESTION)

    def _on_mouse_press(self, x: int, y: int, _button: int, _modifiers: int) -> None:
        self._mouse(x, y, True)

    def _on_mouse_drag(self, x: int, y: int, _dx: int, _dy: int, _buttons: int, _modifiers: int) -> None:
        self._mouse(x, y, False)

    def _on_mouse_motion(self, x: int, y: int, _dx: int, _dy: int) -> None:
        self._mouse(x, y, None)

    def _mouse(self, x: int, y: int, pressed: bool | None) -> None:
        """pyglet counts pixels from the lower left one."""
        width, height = self.size
        wanted = self.drag is not None and self.drag(((x + 0.5) / width, 1.0 - (y + 0.5) / height), pressed)
        self._window.set_mouse_visible(wanted or not self._window.fullscreen)

    def _closes_help(self, key: str) -> bool:
        """Any key closes the list of keys and does what it does, but for those that would open it or quit."""
        shown = self.help_visible
        if "SHIFT" not in key:
            self._help_until_s = 0.0
        return shown and VIEW.get(key) in (View.HELP, View.QUIT)

    def _view(self, action: View) -> None:
        match action:
            case View.FULLSCREEN:
                self._fullscreen()
            case View.MONITOR:
                self._next_monitor()
            case View.HUD:
                self._hud_shown[self._window.fullscreen] = not self.hud_visible
            case View.HELP:
                self._help_until_s = time.monotonic() + HELP_S
            case View.QUIT:
                if self.quitting:
                    (self._leave or self.close_soon)()
                self._quit_asked_s = time.monotonic()

    def _fullscreen(self) -> None:
        self._help_until_s = 0.0
        fullscreen = not self._window.fullscreen
        self._window.set_fullscreen(fullscreen, screen=self._screen if fullscreen else None)
        self._window.set_mouse_visible(not fullscreen)

    @property
    def _screen(self) -> Screen:
        """The monitor it is on; the first where that was unplugged."""
        screens = _screens()
        return screens[self._display] if self._display < len(screens) else screens[0]

    def _next_monitor(self) -> None:
        self._display = (self._display + 1) % len(_screens())
        if self._window.fullscreen:
            self._window.set_fullscreen(False)
            self._window.set_fullscreen(True, screen=self._screen)
        else:
            self._window.set_location(self._screen.x + 40, self._screen.y + 40)


def _icon() -> pyglet.image.ImageData:
    """A sun whose rings are sound."""
    from pyglet.image import ImageData

    side = 64
    image = Image.new("RGBA", (side, side), (20, 16, 40, 255))
    pen = ImageDraw.Draw(image)
    for radius, colour in ((28, (90, 60, 140)), (21, (220, 90, 110)), (14, (255, 170, 90)), (7, (255, 240, 190))):
        pen.ellipse((side // 2 - radius, side // 2 - radius, side // 2 + radius, side // 2 + radius), fill=colour)
    return ImageData(side, side, "RGBA", image.tobytes(), pitch=-4 * side)
