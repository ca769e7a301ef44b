"""A show on three windows of a real X server: the audience's never have text, the operator's does."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from real_parts import on, x_server

pytestmark = pytest.mark.realtime
PROGRAM = Path(__file__).parents[2] / "support" / "windows_program.py"
COLOURS = ((200, 90, 30), (40, 90, 160))
"""Of the picture's upper and lower half."""


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("windows")
    with x_server() as display:
        arguments = [sys.executable, str(PROGRAM), str(folder)]
        done = subprocess.run(arguments, env=on(display), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    told["venue"] = (folder / "hall.toml").read_text()
    for name in ("windows", "asked", "mapped"):
        with np.load(folder / f"{name}.npz") as seen:
            told[name] = dict(seen)
    return told


def wrong(picture: np.ndarray) -> float:
    """The share of pixels that are not the picture's, off the line between its halves."""
    height = len(picture)
    halves = picture[: height * 2 // 5], picture[height * 3 // 5 :]
    return float(np.mean([(half != colour).any(-1).mean() for half, colour in zip(halves, COLOURS, strict=True)]))


def test_every_window_has_the_picture_and_the_operators_alone_has_text(evening):
    seen = evening["windows"]
    assert {name: picture.shape for name, picture in seen.items()} == {
        "first window": (360, 640, 3),
        "window": (320 * 9 // 16, 320, 3),
        "operator": (270, 480, 3),
    }
    assert wrong(seen["first window"]) == wrong(seen["window"]) == 0
    assert wrong(seen["operator"]) > 0.1
    assert evening["sent"] == [11, 11], "one while the model loads, one each redraw"


def test_no_key_puts_text_before_the_audience(evening):
    """The HUD twice, then the list of keys, in both of the audience's windows."""
    assert wrong(evening["asked"]["first window"]) == wrong(evening["asked"]["window"]) == 0


def test_a_closed_window_goes_alone_and_comes_again_and_the_operators_keys_end_the_show(evening):
    assert evening["closed one"] == [False, [["window", "off"], ["operator", "ok"]]]
    assert evening["on again"] == "output window on"
    assert evening["outputs"] == 2
    assert evening["quit"] is True


def test_keys_pin_the_windows_picture_and_no_other_and_the_venue_keeps_it(evening):
    """The lower right corner by 160 pixels to the left and 90 up: to three quarters of either side."""
    assert tomllib.loads(evening["venue"])["outputs"]["first"]["corners"][2] == pytest.approx([0.75, 0.75], abs=1e-5)
    pinned = evening["mapped"]["first window"]
    assert pinned[2, 2].tolist() == list(COLOURS[0])
    assert pinned[270, 200].tolist() == pinned[255, 460].tolist() == list(COLOURS[1])
    assert not pinned[300, 500:].any()
    assert np.array_equal(evening["mapped"]["operator"][:20, 300:], evening["windows"]["operator"][:20, 300:])


def test_the_mouse_drags_a_corner_and_a_point_of_the_mesh_by_what_it_moves(evening):
    """Of 640x360 by 64 and 36 pixels; then the mesh's middle, which a pin puts where the diagonals meet."""
    points, chosen = evening["dragged"]
    assert points[:4] == [pytest.approx(corner, abs=1e-5) for corner in [(0.1, 0.1), (1, 0), (0.75, 0.75), (0, 1)]]
    assert chosen == 4 + 5
    assert points[4 + 4] == pytest.approx([0.5 + 40 / 640, 0.5 - 20 / 360], abs=1e-5)
    assert points[4] == pytest.approx(points[0], abs=1e-5), "the others lie where they lay"
