"""Parts that tests take from the machine: what becomes of a test where one is missing, and an X server (Xvfb)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]


def missing(reason: object) -> NoReturn:
    """Skip the test, or the file that is being imported; in CI, where every part is installed, fail it."""
    if os.environ.get("CI"):
        pytest.fail(str(reason))
    pytest.skip(str(reason), allow_module_level=True)


@contextmanager
def x_server(*programs: str, size: str = "800x600") -> Iterator[str]:
    """The $DISPLAY of a server of one's own. Xvfb and each of `programs` may be `missing`."""
    if absent := [name for name in ("Xvfb", *programs) if shutil.which(name) is None]:
        missing(f"{absent} not installed: sudo apt-get install xvfb xdotool")
    arguments = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield f":{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def on(display: str) -> dict[str, str]:
    """The environment of a program there."""
    return {**os.environ, "DISPLAY": display, "PYTHONPATH": os.pathsep.join([str(ROOT), *_paths()])}


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
