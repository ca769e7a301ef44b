"""Pictures of presets for the page's tiles: `python -m engine.app.remote.thumbnails FOLDER PRESET.toml ...`.

That is a process of its own, which gives way to the show: nothing of it runs where the show draws.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from engine.control import presets
from engine.control.presets import Preset
from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE
from engine.core.own_thread import OwnThread
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import open_model
from engine.inference.plan import choose_plan
from engine.outputs.screens import open_headless
from engine.remote.thumbnails import Thumbnails
from tpos_models.errors import PresetError, TposError
from tpos_models.precision import Precision
from tpos_models.registry import POCKET

DRAWN_PX = (320, 180)
LOOK_S = 2.0
"""How often it is looked for presets without a picture."""
PRIORITY = 15 if os.name == "posix" else psutil.IDLE_PRIORITY_CLASS
"""Of the process that draws: where a show takes all there is, it leaves that process a thirtieth of a core."""


class ThumbnailMaker(OwnThread):
    """Has the pictures drawn that are missing, from `start` to `close`: in another process, that gives way.

    `library` is asked for the presets there are. What cannot be drawn is told once, in a line, and not tried again.
    """

    def __init__(self, library: Callable[[], Iterable[Preset]], told: Callable[[str], object]) -> None:
        self._library, self._told = library, told
        self._thumbnails, self._tried = Thumbnails(), set[Path]()
        super().__init__("tpos-thumbnails")

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            missing = [one for one in self._thumbnails.missing(self._library()) if one.path]
            wanted = {self._thumbnails.path(one) for one in missing}
            if not wanted <= self._tried:
                self._tried |= wanted
                self._have_drawn([str(one.path) for one in missing])

    def _have_drawn(self, paths: list[str]) -> None:
        command = [sys.executable, "-m", "engine.app.remote.thumbnails", str(self._thumbnails.folder), *paths]
        off_gpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # which is the show's
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=off_gpu
        ) as process:
            with suppress(psutil.Error):
                psutil.Process(process.pid).nice(PRIORITY)
            while process.poll() is None:
                if self._stop.wait(0.1):
                    process.kill()
            said = process.stderr.read() if process.stderr else ""
        if process.returncode and not self._stop.is_set():
            self._told(f"presets have no pictures on the page: {(said.strip().splitlines() or ['no reason'])[-1]}")


def draw(thumbnails: Thumbnails, wanted: Iterable[Preset]) -> None:
    """Draw the pictures that are missing: each preset in silence, a second after it began.

    Raises what opening the model and a screen raises, StorageError, and in the end the last preset's PresetError.
    """
    if not (missing := thumbnails.missing(wanted)):
        return
    model, failed = open_model(POCKET, DRAWN_PX, precision=Precision.FP32), list[PresetError]()
    for preset in missing:
        state = presets.to_state(preset)
        with open_headless(DRAWN_PX) as screen:
            screen.show(FramePipeline(model, VirtualClock(), choose_plan(model)).frame(state))
            try:
                thumbnails.keep(preset, screen.render(lambda: SILENCE, state, 1.0))
            except PresetError as error:  # an effect of its own that cannot be drawn here
                failed.append(error)
    if failed:
        raise failed[-1]


if __name__ == "__main__":
    folder, *paths = map(Path, sys.argv[1:])
    try:
        draw(Thumbnails(folder), map(presets.read, paths))
    except TposError as error:
        sys.exit(str(error))
