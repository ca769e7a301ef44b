"""The live window on a real X server (Xvfb), driven by real key events (xdotool)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from real_parts import on, x_server

pytestmark = pytest.mark.realtime

PROGRAM = Path(__file__).parents[2] / "support" / "window_program.py"
WINDOWED = "full=False hud={hud} help={help} quitting=False"
KEYS = (
    *("t", "s", "r", "b", "1", "9", "Right", "Left", "space", "h", "question", "question", "question", "Escape"),
    *("question", "h", "question", "F11", "h", "h", "q", "Escape"),
)
"""The last of the evening: the HUD off, help, and what closes it; fullscreen, the HUD on and off; quit."""


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with x_server("xdotool") as display:
        yield display


@pytest.fixture(scope="module")
def session(screen: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One evening at the keyboard: what was said, how large the window was, what was on the screen."""
    folder = tmp_path_factory.mktemp("window")
    arguments = [sys.executable, str(PROGRAM), str(folder)]
    with subprocess.Popen(
        arguments, env=on(screen), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        line = program.stdout.readline()
        assert line.strip() == "ready", program.stderr.read()
        _press(screen, program)
        out, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    with np.load(folder / "pictures.npz") as pictures:
        summary["pictures"] = dict(pictures)
    return summary


def _press(screen: str, program: subprocess.Popen) -> None:
    """The keys one by one; quitting is asked again until it is heard, as a slow machine may miss the two seconds."""
    subprocess.run(["xdotool", "mousemove", "60", "60"], env=on(screen), check=True)
    sleep(0.3)
    for key in KEYS:
        subprocess.run(["xdotool", "key", key], env=on(screen), check=True)
        sleep(0.25)
    until = monotonic() + 40.0
    while program.poll() is None and monotonic() < until:
        subprocess.run(["xdotool", "key", "q", "q"], env=on(screen), check=True)
        sleep(0.5)


def test_keys_say_what_osc_says(session):
    said = [(address, tuple(arguments)) for address, arguments in session["said"]]
    assert said == [
        ("/tpos/tempo/tap", ()),
        ("/tpos/snapshot", ()),
        ("/tpos/record", (True,)),
        ("/tpos/blackout", (True, 0.5)),
        ("/tpos/cue", (1,)),
        ("/tpos/cue", (9,)),
        ("/tpos/cue/go", ()),
        ("/tpos/cue/back", ()),
        ("/tpos/freeze", (True,)),
    ]


def test_the_hud_is_in_the_window_and_not_in_the_picture(session):
    pictures = session["pictures"]
    with_hud, without = (pictures[WINDOWED.format(hud=hud, help=False)] for hud in (True, False))
    plain = np.array([40, 90, 160])
    assert (pictures["read"] == plain).all()
    assert (pictures["same_size"] == plain).all()
    assert (without[:340] == plain).all()
    panel = with_hud[-200:, :300]
    assert (panel != plain).any(-1).mean() > 0.4
    assert (with_hud[:100] == plain).all()


def test_help_covers_the_middle(session):
    listed = session["pictures"][WINDOWED.format(hud=False, help=True)]
    assert (listed[170:190, 310:330] != [40, 90, 160]).any(-1).mean() > 0.9


def test_the_audience_sees_the_picture_alone(session):
    """Fullscreen starts without the HUD, and asks for no second press where the audience would read it."""
    plain = np.array([40, 90, 160])
    for quitting in (False, True):
        bare = session["pictures"][f"full=True hud=False help=False quitting={quitting}"]
        assert bare.shape == (600, 800, 3)
        assert (bare == plain).all()
    with_hud = session["pictures"]["full=True hud=True help=False quitting=False"]
    assert (with_hud[-200:, :300] != plain).any(-1).mean() > 0.4


def test_help_never_sticks(session):
    """The same key, Esc, any other key and fullscreen close it; Esc does not quit then, and H still does its work."""
    shown = session["pictures"]
    assert not [name for name in shown if "full=True" in name and "help=True" in name]
    assert WINDOWED.format(hud=True, help=True) in shown
    assert not [name for name in shown if "full=False" in name and "quitting=True" in name]


def test_f11_fills_the_screen(session):
    assert [640, 360] in session["sizes"]
    assert [800, 600] in session["sizes"]


def test_quit_wants_two_presses_and_redraws_went_on(session):
    assert session["closed"]
    assert session["redraws"] > 30
    assert session["sent"] == session["redraws"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("open_window(print, lambda: None, display=7)", "no display 7: there are 1"),
        ("__import__('os').environ.pop('DISPLAY'), open_window(print, lambda: None)", "no X server answers"),
        ("__import__('os').environ.update(DISPLAY=':4321'), open_window(print, lambda: None)", "no X server answers"),
    ],
)
def test_no_such_screen_is_one_clear_line(screen, call, says):
    code = f"""
from engine.render.window import open_window
from tpos_models.errors import DeviceError
try:
    {call}
except DeviceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], env=on(screen), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_a_display_without_a_driver_is_refused_in_words(screen):
    code = """
from engine.render.window import open_window
from tpos_models.errors import MissingPart
try:
    open_window(print, lambda: None)
except MissingPart as error:
    print(error)
"""
    environment = {**on(screen), "LIBGL_DRIVERS_PATH": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "sudo apt-get install libgl1 libgl1-mesa-dri libxrender1" in done.stdout
