"""An X server of a test's own (Xvfb)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def x_server(*programs: str, size: str = "800x600") -> Iterator[str]:
    """Its $DISPLAY. Skips the test, in CI fails it, where Xvfb or one of `programs` is not installed."""
    missing = [name for name in ("Xvfb", *programs) if shutil.which(name) is None]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(f"{missing} not installed")
        pytest.skip(f"{missing} not installed: sudo apt-get install xvfb xdotool")
    arguments = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
        server.terminate()


def on(display: str) -> dict[str, str]:
    """The environment of a program there."""
    return {**os.environ, "DISPLAY": display, "PYTHONPATH": os.pathsep.join([str(ROOT), *_paths()])}


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
