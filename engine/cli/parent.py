"""The parent of a live show: should its process die, by a kill or a driver's fault, another goes on with it.

It loads nothing that computes or draws, so that nothing of that takes it down. Beside the show waits a spare process
that has loaded everything: from its turn to the last picture is no import. Shows of a given length, those that answer
in JSON, `--no-parent` and Windows run without.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from engine.core import console
from engine.recording import run_folder

ALONE = {"--no-parent", "--json", "--seconds", "--help"}
"""Options with which a show has no parent."""
LOADED = ("engine.cli.commands", "engine.app.live", "engine.render.window", "PIL.JpegImagePlugin", "onnxruntime",
          "onnx", "tpos_models.pocket.field_sampler", "numba", "transformers")  # fmt: skip
"""What a spare has loaded, everything slow that a show needs but OpenGL: that asks for a context first."""
SPARE_NICE = 15
SOON_S, MOST = 15.0, 3
"""A show that dies so soon after it began, so many times in a row, is given up."""
EXIT_S = 9.0
"""A show that was asked to end has so long."""
WAIT_S = 0.25
SPARE_AGAIN_S = 30.0
_TURN = "TPOS_AWAITS_TURN"
IN_ORDER = (0, 2, 129, 130, 143)
"""Exit codes of a show that did not die: it is over, was asked for what it cannot do, or was told to end at once."""


def is_asked_for(words: list[str]) -> bool:
    """Whether a command line is a live show that has a parent."""
    named = [word for word in words if word != "--debug"]
    options = {word.partition("=")[0] for word in words}
    return os.name == "posix" and named[:1] == ["live"] and not options & ALONE


def keep(words: list[str], program: tuple[str, ...] = (sys.executable, "-m", "engine.cli")) -> int:
    """Run the show that `words` ask for until it ends, however often it dies; its exit code."""
    with run_folder.new() as folder, console.in_background():
        return _Parent([*program, *words, "--no-parent"], folder).run()


def await_turn() -> None:
    """In a parent's child: wait until it is its turn, loading meanwhile what a show needs. Elsewhere nothing."""
    if run_folder.own() is None or _TURN not in os.environ:
        return
    del os.environ[_TURN]  # whatever this process starts is none
    if not select.select([sys.stdin], [], [], 0)[0]:
        threading.Thread(target=_load, name="tpos-spare", daemon=True).start()
    if not sys.stdin.readline():
        os._exit(0)  # the parent is gone


def _load() -> None:
    """Import what a show needs, behind whatever plays."""
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SPARE_NICE)
    for name in LOADED:
        with suppress(ImportError):  # an extra that is not here is the show's to miss
            importlib.import_module(name)


class _Parent:
    """Owns the show's process and the spare one, both in sessions of their own: no terminal stops or ends them."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        self._env = {**run_folder.environment(folder), _TURN: "1"}
        self._spare: subprocess.Popen[str] | None = None
        self._spare_s = -SPARE_AGAIN_S
        self._asked_s: float | None = None
        """When the show was first asked to end."""

    def run(self) -> int:
        self._show = self._begin()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._pass_on)
        deaths, up = 0, False
        while True:
            begun_s = time.monotonic()
            code = self._wait()
            up = up or run_folder.kept_by(self._folder) is not None
            if self._asked_s is not None or not up or code in IN_ORDER:
                break
            deaths = deaths + 1 if time.monotonic() - begun_s < SOON_S else 1
            if deaths == MOST:
                console.notify(f"tpos: the show {_told(code)}, {MOST} times within seconds; it is given up")
                break
            run_folder.replace_file(self._folder / run_folder.DIED, _told(code).encode())
            self._show = self._begin()
        self._end_spare()
        return code if code >= 0 else 128 - code

    def _wait(self) -> int:
        """Until the show has ended: its exit code, a signal's number below 0."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._show.wait(WAIT_S)
            if self._asked_s is not None and time.monotonic() - self._asked_s > EXIT_S:
                self._show.kill()
            elif run_folder.kept_by(self._folder) == self._show.pid:
                self._have_spare()

    def _begin(self) -> subprocess.Popen[str]:
        """Give the spare process its turn, or a new one."""
        taken, self._spare = self._spare, None
        if taken is None or taken.poll() is not None:
            taken = self._start()
        if taken.stdin is not None:
            with suppress(BrokenPipeError):  # it just died, as waiting for it will say
                taken.stdin.write("go\n")
                taken.stdin.close()
        return taken

    def _have_spare(self) -> None:
        gone = self._spare is None or self._spare.poll() is not None
        if gone and time.monotonic() - self._spare_s >= SPARE_AGAIN_S:
            self._spare, self._spare_s = self._start(), time.monotonic()

    def _end_spare(self) -> None:
        if self._spare is not None:
            self._spare.kill()
            self._spare.communicate()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, text=True, env=self._env, start_new_session=True)

    def _pass_on(self, number: int, frame: object) -> None:
        self._asked_s = self._asked_s or time.monotonic()
        self._show.send_signal(number)


def _told(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
