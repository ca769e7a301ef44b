"""Run by test_windows.py in a process of its own: a show on three windows; tells what was on each of them.

The first is the audience's, one the operator's, one more the audience's; then one is closed and the show is quit.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE, Frame, Heard, ShaderAmounts, ShowState
from engine.outputs.further_window import FurtherWindow
from engine.outputs.output import Output
from engine.outputs.registry import OutputSettings
from engine.outputs.screens import Screen, open_screen
from engine.outputs.spec import parse_outputs
from engine.outputs.venue.mapper import Mapper

PLAIN = ShowState(shader=ShaderAmounts(0, 0, 0, 0, 0, 0), flash_limiter=False)
INFO = HudInfo(24.0, 40.0, heard=(Heard("rain", 0.7),), prompt="a lighthouse", message="a line for the operator")
REDRAWS = 5


def window_of(output: Output) -> Any:
    return output._window if isinstance(output, FurtherWindow) else output.context


def watched(output: Output, seen: dict[str, np.ndarray]) -> None:
    """Note what is on its screen whenever it is shown."""
    from engine.render import gl

    window = window_of(output)
    flip = window.flip

    def capture() -> None:
        seen[output.name] = gl.read_pixels(window.size)[::-1]
        flip()

    window.flip = capture


def further(screen: Screen) -> list[FurtherWindow]:
    return [output for output in screen.outlets.outputs if isinstance(output, FurtherWindow)]


def drag(window: Any, x: int, y: int, right: int, down: int) -> None:
    """Press the mouse on a pixel, from the top left, drag it in two steps and let go."""
    y = window.height - 1 - y
    window.dispatch_event("on_mouse_press", x, y, 1, 0)
    for part in (2, 1):
        window.dispatch_event("on_mouse_drag", x + right // part, y - down // part, 0, 0, 1, 0)
    window.dispatch_event("on_mouse_motion", x, y, 0, 0)


def drag_points(screen: Screen, window: Any, mapper: Mapper) -> tuple[tuple, int]:
    """Drag a corner, the middle of a mesh, and where no point is; where the points are then, and which is chosen."""
    from pyglet.window import key

    drag(window, 0, 0, 50, 50)
    window.dispatch_event("on_key_press", key.G, 0)
    drag(window, 5, 4, 64, 36)
    screen.dispatch()
    mapper.carry_out("/tpos/mapping/mesh", 3, 3, "smooth")
    drag(window, 323, 178, 40, -20)
    drag(window, 200, 250, 40, -20)
    screen.dispatch()
    assert mapper.view
    return mapper.view.points, mapper.view.point


def play(screen: Screen, count: int = REDRAWS) -> None:
    for _ in range(count):
        screen.dispatch()
        screen.redraw(lambda: SILENCE, PLAIN, time.monotonic(), INFO, False)


def main(folder: str) -> None:
    specs = parse_outputs(["window:size=320x180", "operator:size=480x270"])
    settings = OutputSettings((640, 360), state=lambda: PLAIN, mapper=Mapper(f"{folder}/hall.toml"))
    image = np.zeros((36, 64, 4), np.uint8)
    image[:18], image[18:] = (200, 90, 30, 255), (40, 90, 160, 255)
    told: dict[str, Any] = {}
    with open_screen("window", settings, image[..., :3], specs) as screen:
        from pyglet.window import key

        screen.show(Frame(0, image, 0.0, 0.0, 0, "", (), 0, 1))
        seen: dict[str, np.ndarray] = {}
        for output in (screen.first, *further(screen)):
            watched(output, seen)
        play(screen)
        time.sleep(1.1)  # a placeholder fades for a second
        play(screen)
        np.savez(f"{folder}/windows.npz", **seen)  # type: ignore[arg-type]
        told["sent"] = [output.health.sent for output in further(screen)]
        second, operator = map(window_of, further(screen))
        for window in (window_of(screen.first), second):
            for symbol in (key.H, key.H, key.QUESTION):
                window._window.dispatch_event("on_key_press", symbol, 0)
        play(screen)
        np.savez(f"{folder}/asked.npz", **seen)  # type: ignore[arg-type]
        second._window.dispatch_event("on_close")
        play(screen)
        told["closed one"] = screen.closed, [(one.name, one.state) for one in screen.outlets.states]
        told["on again"] = screen.outlets.switch("window", True)
        play(screen)
        told["outputs"] = len(further(screen))
        first = window_of(screen.first)._window
        for symbol in (key.G, key._3, *[key.LEFT] * 16, *[key.UP] * 9, key.T):
            first.dispatch_event("on_key_press", symbol, key.MOD_SHIFT)
        play(screen)
        for symbol in (key.S, key.ESCAPE):
            first.dispatch_event("on_key_press", symbol, 0)
        play(screen)
        mapped: Any = {name: seen[name] for name in ("first window", "operator")}
        np.savez(f"{folder}/mapped.npz", **mapped)
        told["dragged"] = drag_points(screen, first, settings.mapper)
        for _ in range(2):
            operator._window.dispatch_event("on_key_press", key.Q, 0)
        screen.dispatch()
        told["quit"] = screen.closed
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
