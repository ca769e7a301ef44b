"""Run by test_window.py in a process of its own: opens the live window, answers real keys, tells what happened.

Prints "ready" once the window draws, and one JSON object after it was closed by the keyboard.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.core.clock import WallClock
from engine.core.hud_info import HudInfo
from engine.core.messages import SILENCE, Frame, Heard, ShaderAmounts, ShowState, SoundState
from engine.outputs.window import WindowOutput
from engine.render.pacing import redraw_loop
from engine.render.window import ShowWindow, open_window

if TYPE_CHECKING:
    from engine.render.renderer import Renderer

PATIENCE_S = 60.0
PLAIN = ShowState(shader=ShaderAmounts(0, 0, 0, 0, 0, 0), flash_limiter=False)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str) -> None:
    said: list[tuple[str, tuple]] = []
    state = [PLAIN]

    def command(address: str, arguments: tuple) -> None:
        said.append((address, arguments))
        if address == "/tpos/freeze":
            state[0] = replace(state[0], freeze=arguments[0])

    window = open_window(command, lambda: state[0], size=(640, 360))
    from engine.render import gl
    from engine.render.renderer import Renderer

    info = HudInfo(24.0, 40.0, 0.5, SoundState.OK, 120.0, 0.1, (Heard("rain", 0.7),), "a lighthouse", 61.0)
    image = np.full((36, 64, 4), (40, 90, 160, 255), np.uint8)
    renderer = Renderer(window)
    renderer.show(Frame(0, image, 0.0, 0.0, 0, "", (), 0, 1))
    screens: dict[str, np.ndarray] = {}
    flip = window.flip

    def capture() -> None:
        full = window.size != (640, 360)
        key = f"full={full} hud={window.hud_visible} help={window.help_visible} quitting={window.quitting}"
        screens[key] = gl.read_pixels(window.size)[::-1]
        flip()

    window.flip = capture
    output, view = WindowOutput(window), renderer.view()
    sizes: list[tuple[int, int]] = []

    def redraw(now_s: float) -> None:
        redrawn = renderer.redraw(lambda: SILENCE, state[0], now_s)
        output.send(view, redrawn.shaped_s, replace(info, frozen=state[0].freeze))
        if window.size not in sizes:
            sizes.append(window.size)
        if len(sizes) == 1 and not said:
            say("ready")

    started_s = time.monotonic()
    times = redraw_loop(output, redraw, WallClock(), 30.0, lambda: time.monotonic() - started_s > PATIENCE_S)
    pictures: dict[str, Any] = {"read": renderer.read(), "same_size": _shared(renderer, window), **screens}
    np.savez(f"{folder}/pictures.npz", **pictures)
    closed, sent, redraws = output.closed, output.health.sent, times.stats().redraws
    output.close()
    output.close()
    say(json.dumps({"said": said, "sizes": sizes, "closed": closed, "sent": sent, "redraws": redraws}))


def _shared(renderer: Renderer, window: ShowWindow) -> np.ndarray:
    """The picture when it is drawn once for screen and reader."""
    renderer.size = window.size
    renderer.redraw(lambda: SILENCE, PLAIN, time.monotonic())
    return renderer.read()


if __name__ == "__main__":
    main(sys.argv[1])
