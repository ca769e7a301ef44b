"""Cameras and screens, through FFmpeg's devices of each system (https://ffmpeg.org/ffmpeg-devices.html).

| | camera | screen |
|---|---|---|
| Linux | v4l2 | x11grab |
| macOS | avfoundation | avfoundation, whole |
| Windows | dshow | gdigrab |
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.error import FFmpegError

from tpos_models.errors import InputError

RATE = "30"
NO_ANSWER_S = 2.0
"""A device that says nothing for so long is opened again."""
_REGION = re.compile(r"(\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5})")


@dataclass(frozen=True)
class DeviceSource:
    """A device of FFmpeg's: its format, its address, and its options."""

    name: str
    format: str
    url: str
    options: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises `InputError` where it cannot be opened."""
        try:
            av.open(self.url, format=self.format, options=dict(self.options), timeout=NO_ANSWER_S).close()
        except (FFmpegError, OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or str(error)
            found = ", ".join(device.description or device.name for device in _listed(self.format))
            accepted = f"; found: {found or 'none'}" if self.name.startswith("camera") else ""
            opening = f"{self.format} cannot open {self.url} ({why})"
            raise InputError(f"--video-in {self.name}: {opening}{accepted}") from error

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """As `VideoSource.frames`; what waits in the device's queue is skipped by its own driver."""
        with av.open(self.url, format=self.format, options=dict(self.options), timeout=NO_ANSWER_S) as container:
            container.streams.video[0].thread_count = 1
            for frame in container.decode(video=0):
                if stop.is_set():
                    return
                yield frame


def _listed(format: str) -> list[av.DeviceInfo]:
    try:
        return av.enumerate_input_devices(format)
    except (FFmpegError, ValueError, NotImplementedError):
        return []


def camera(which: str, system: str = sys.platform) -> DeviceSource:
    """A camera by its number or a part of its name; "" is the first. Raises `InputError`."""
    name = f"camera:{which}" if which else "camera"
    if system == "darwin":
        return DeviceSource(name, "avfoundation", f"{which or '0'}:none", {"framerate": RATE})
    if system == "win32":
        return DeviceSource(name, "dshow", f"video={_found('dshow', which, name)}", {"framerate": RATE})
    path = which if which.startswith("/") else _video4linux(which, name)
    return DeviceSource(name, "v4l2", path, {"framerate": RATE, "video_size": "1280x720"})


def _found(format: str, which: str, name: str) -> str:
    """A device of a format by its number or a part of its name."""
    devices = [device for device in _listed(format) if "video" in device.media_types]
    if which.isdigit() or not which:
        fitting = devices[int(which or 0) :]
    else:
        fitting = [device for device in devices if which.lower() in device.description.lower()]
    if not fitting:
        found = ", ".join(device.description for device in devices) or "none"
        raise InputError(f"--video-in {name}: no such camera; found: {found}")
    return fitting[0].description


def _video4linux(which: str, name: str, listed: Path = Path("/sys/class/video4linux")) -> str:
    """The device of a camera by its number or a part of its name."""
    if which.isdigit() or not which:
        return f"/dev/video{which or 0}"
    names = {path.parent.name: path.read_text().strip() for path in sorted(listed.glob("video*/name"))}
    for device, known in names.items():
        if which.lower() in known.lower():
            return f"/dev/{device}"
    raise InputError(f"--video-in {name}: no such camera; found: {', '.join(names.values()) or 'none'}")


def screen(region: str, system: str = sys.platform) -> DeviceSource:
    """A screen, or WIDTHxHEIGHT+X+Y of it, in pixels. Raises `InputError`."""
    name = f"screen:{region}" if region else "screen"
    match = _REGION.fullmatch(region)
    if region and not match:
        raise InputError(f"--video-in {name}: WIDTHxHEIGHT+X+Y would be accepted, such as screen:1280x720+0+0")
    width, height, x, y = match.groups() if match else ("0", "0", "0", "0")
    options = {"framerate": RATE} | ({"video_size": f"{width}x{height}"} if region else {})
    if system == "darwin":
        if region:
            raise InputError(f"--video-in {name}: macOS gives whole screens only; screen would be accepted")
        return DeviceSource(name, "avfoundation", "Capture screen 0:none", options)
    if system == "win32":
        return DeviceSource(name, "gdigrab", "desktop", options | {"offset_x": x, "offset_y": y, "draw_mouse": "0"})
    where = f"{os.environ.get('DISPLAY', ':0')}+{x},{y}"
    return DeviceSource(name, "x11grab", where, options | {"draw_mouse": "0"})
