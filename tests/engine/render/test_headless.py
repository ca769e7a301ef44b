"""An EGL context, or one line that says what to install: never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from render_scenes import CONTEXT

from engine.render import gl
from engine.render.headless import find_device
from tpos_models.errors import MissingPart

ROOT = Path(__file__).parents[3]
CODE = """
from engine.render.headless import open_context
from tpos_models.errors import MissingPart
try:
    open_context()
except MissingPart as error:
    print(error)
"""


def test_the_context_is_opengl_3_3_or_later():
    CONTEXT.switch_to()
    version = gl.describe().rsplit(", ", 1)[1]
    assert tuple(map(int, version.split("."))) >= (3, 3)


@pytest.mark.parametrize("names", [("libEGL-none.so.1", "libGL.so.1"), ("libEGL.so.1", "libGL-none.so.1")])
def test_a_missing_library_is_named_with_the_command_that_adds_it(names):
    with pytest.raises(MissingPart, match=r"none\.so\.1 is not installed.*apt-get install libegl1 libgl1"):
        find_device(*names)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is used on Linux only")
@pytest.mark.parametrize("variable", ["__EGL_VENDOR_LIBRARY_FILENAMES", "LIBGL_DRIVERS_PATH"])
def test_libraries_without_a_driver_are_refused_in_words(variable):
    environment = {**os.environ, variable: "/nowhere", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert "apt-get install libegl1 libgl1 libgl1-mesa-dri" in done.stdout


def test_closing_twice_is_harmless():
    code = "from engine.render.headless import open_context\nc = open_context()\nc.close()\nc.close()\nprint('ok')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ok", done.stderr


def test_a_context_can_be_opened_again_after_it_was_closed():
    script = (
        "from engine.render.headless import open_context\n"
        "open_context().close()\n"
        "open_context().close()\n"
        "from engine.render.gl import describe\n"
        "context = open_context()\n"
        "print(describe())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
