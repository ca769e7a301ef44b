"""Sources that are there: an NDI sender on loopback, a screen of Xvfb's, cameras' arguments, calls of real packages."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ndi_here import clear_up, ndi_here
from real_parts import x_server

from engine.core.clock import WallClock
from engine.inputs import shared_textures
from engine.inputs.devices import camera, screen
from engine.inputs.registry import open_source
from engine.inputs.video_in import VideoIn
from tpos_models.errors import InputError

SENDER = """
import sys, time
from fractions import Fraction
import numpy as np
from cyndilib import FourCC, Sender, VideoSendFrame

sender, frame = Sender(sys.argv[1]), VideoSendFrame()
frame.set_resolution(64, 48)
frame.set_frame_rate(Fraction(30))
frame.set_fourcc(FourCC.RGBA)
sender.set_video_frame(frame)
pixels = np.full((48, 64, 4), 255, np.uint8)
pixels[:, :32, :3], pixels[:, 32:, :3] = (200, 40, 40), (40, 40, 200)
with sender:
    while True:
        sender.write_video(pixels.ravel())
        time.sleep(1 / 30)
"""


def until(true, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[None]:
    """NDI that keeps to this machine."""
    with ndi_here(tmp_path):
        yield


def test_an_ndi_sender_is_awaited_seen_missed_and_seen_again(loopback: None):
    name = f"tpos test {os.getpid()}"
    source = open_source(f"ndi:{name.upper()}", WallClock())
    with VideoIn(source, WallClock()) as video:
        for first in (0, 1):
            sender = subprocess.Popen([sys.executable, "-c", SENDER, name])
            try:
                count = video.count
                until(lambda count=count: video.count > count + 3)
                seen = video.newest()
                assert seen is not None
                left, right = seen.image[:, 4:28].mean((0, 1)), seen.image[:, 36:60].mean((0, 1))
                assert np.abs(left - (200, 40, 40)).max() < 12
                assert np.abs(right - (40, 40, 200)).max() < 12
            finally:
                sender.kill()
                sender.wait()
                clear_up(name)
            if not first:
                until(lambda: bool(video.trouble))
                assert video.newest() is not None
                assert "the last one stays" in video.trouble


@pytest.fixture
def display() -> Iterator[str]:
    """An X server whose root is all of one colour at first: black."""
    with x_server(size="320x240") as display:
        yield display


@pytest.mark.skipif("sys.platform != 'linux'", reason="an X server is Linux's")
def test_a_region_of_a_screen(display: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", display)
    with VideoIn(open_source("screen:160x120+40+30", WallClock()), WallClock()) as video:
        until(lambda: video.count > 2)
        seen = video.newest()
    assert seen is not None
    assert seen.image.shape == (120, 160, 3)
    with VideoIn(open_source("screen", WallClock()), WallClock()) as video:
        until(lambda: video.count > 0)
        whole = video.newest()
    assert whole is not None
    assert whole.image.shape == (240, 320, 3)
    with pytest.raises(InputError, match="x11grab cannot open"):
        open_source("screen:999x999+0+0", WallClock())


OPTIONS = {  # https://ffmpeg.org/ffmpeg-devices.html
    "v4l2": {"framerate", "video_size"},
    "x11grab": {"framerate", "video_size", "draw_mouse"},
    "avfoundation": {"framerate"},
    "dshow": {"framerate"},
    "gdigrab": {"framerate", "video_size", "draw_mouse", "offset_x", "offset_y"},
}


@pytest.mark.parametrize(
    ("source", "format", "url"),
    [
        (camera("/dev/video3", "linux"), "v4l2", "/dev/video3"),
        (camera("2", "linux"), "v4l2", "/dev/video2"),
        (camera("", "darwin"), "avfoundation", "0:none"),
        (camera("FaceTime", "darwin"), "avfoundation", "FaceTime:none"),
        (screen("", "darwin"), "avfoundation", "Capture screen 0:none"),
        (screen("640x360+8+16", "win32"), "gdigrab", "desktop"),
    ],
)
def test_devices_are_asked_as_ffmpeg_documents_them(source, format: str, url: str):
    assert (source.format, source.url) == (format, url)
    assert set(source.options) <= OPTIONS[format]


def test_a_region_of_other_systems():
    options = screen("640x360+8+16", "win32").options
    assert (options["offset_x"], options["offset_y"], options["video_size"]) == ("8", "16", "640x360")
    with pytest.raises(InputError, match="whole screens only"):
        screen("640x360+8+16", "darwin")


SPOUT_RECEIVER = {  # what the module of SpoutGL 0.1.1 gives its SpoutReceiver
    "createOpenGL", "closeOpenGL", "setReceiverName", "receiveImage", "releaseReceiver", "isUpdated", "isFrameNew",
    "getSenderWidth", "getSenderHeight", "isConnected", "waitFrameSync", "getSenderList",
}  # fmt: skip
SYPHON = {  # syphon-python 0.2.0: SyphonMetalClient, SyphonServerDirectory, SyphonServerDescription
    "client": {"is_valid", "has_new_frame", "new_frame_image", "server_description", "wait_for_frame", "stop"},
    "directory": {"servers", "servers_matching_name", "add_observer", "remove_observer", "close"},
    "server": {"uuid", "name", "app_name", "icon", "raw"},
}


def test_shared_textures_are_asked_as_their_packages_can_be():
    """Neither runs here: what is called is at least there."""
    asked: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(Path(shared_textures.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            asked.setdefault(node.value.id, set()).add(node.attr)
    assert asked["receiver"] <= SPOUT_RECEIVER
    for name, there in SYPHON.items():
        assert asked[name] <= there
