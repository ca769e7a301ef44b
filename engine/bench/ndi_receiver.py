"""What another program sees of an NDI source, on this machine alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tpos_models.errors import RunError

LOOPBACK = '{"ndi":{"networks":{"ips":"127.0.0.1,"}}}'
"""Looks for sources here too, whatever the network allows."""
PATIENCE_S = 5.0
POLL_S = 0.008
"""How often a new picture is looked for."""
DARK = 2.0
"""Of 255: a picture whose mean is less is black."""
BLACK = 16
"""The luma of black."""


def look_here(folder: Path) -> None:
    """Have NDI find what is on this machine. Before the library is loaded; a configuration of one's own stays."""
    (folder / "ndi-config.v1.json").write_text(LOOPBACK)
    os.environ.setdefault("NDI_CONFIG_DIR", str(folder))


class NdiReceiver:
    """Receives the source called `called`, wherever it is. Raises `RunError` where it does not come.

    Pictures are RGBA uint8 (height, width, 4), or UYVY (height, width, 2) where they are wanted `as_sent`: nothing
    is converted then, as NDI advises programs to receive.
    """

    def __init__(self, called: str, sound: bool = False, as_sent: bool = False) -> None:
        from cyndilib.audio_frame import AudioFrameSync
        from cyndilib.finder import Finder
        from cyndilib.receiver import Receiver
        from cyndilib.video_frame import VideoFrameSync
        from cyndilib.wrapper import RecvBandwidth, RecvColorFormat

        layout = RecvColorFormat.UYVY_RGBA if as_sent else RecvColorFormat.RGBX_RGBA
        self._receiver = Receiver(color_format=layout, bandwidth=RecvBandwidth.highest)
        self._video, self._audio = VideoFrameSync(), AudioFrameSync()
        self._receiver.frame_sync.set_video_frame(self._video)
        if sound:
            self._receiver.frame_sync.set_audio_frame(self._audio)
        self._finder = Finder()
        self._finder.open()
        self._receiver.set_source(self._finder.get_source(self._found(called)))

    def _found(self, called: str) -> str:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            for name in self._finder.update_sources():
                if name.endswith(f"({called})"):
                    return name
            self._finder.wait_for_sources(0.2)
        raise RunError(f"no NDI source is called {called!r} here")

    def picture(self, timeout_s: float = PATIENCE_S) -> np.ndarray | None:
        """The next new picture; None where none comes in time."""
        return next(self.pictures(timeout_s), None)

    def pictures(self, seconds: float) -> Iterator[np.ndarray]:
        """New pictures as they come, for so long."""
        last = self._video.get_timestamp_posix()
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._receiver.frame_sync.capture_video()
            stamp = self._video.get_timestamp_posix()
            if stamp != last and self._video.xres:
                last = stamp
                yield self._video.get_array().reshape(self._video.yres, self._video.xres, -1)
            time.sleep(POLL_S)

    def sound(self, rate: int, channels: int, seconds: float) -> np.ndarray:
        """What is heard for so long, float32 (channels, n)."""
        self._audio.sample_rate, self._audio.num_channels = rate, channels
        heard = [np.zeros((channels, 0), np.float32)]
        for _ in range(round(seconds * 100)):
            time.sleep(0.01)
            self._receiver.frame_sync.capture_audio(rate // 100)
            if (new := np.array(self._audio.get_array())).size:  # nothing before the first packet
                heard.append(new)
        return np.concatenate(heard, -1)

    @property
    def lost(self) -> int:
        """Pictures that the library dropped on the way here."""
        self._receiver.get_performance_data()
        return int(self._receiver.video_stats["frames_dropped"])

    def close(self) -> None:
        """Receive no more."""
        self._receiver.disconnect()
        self._finder.close()


def receive(called: str, told: Connection) -> None:
    """A program of its own that receives from when it is told "receive" until it is told "stop" or "show".

    It tells when it began, by `time.monotonic`, `(when, is black)` of each picture, then `(lost, None)`, or with one
    more picture as RGBA for it to be shown. It ends when it is told anything else.
    """
    told.send(time.monotonic())
    while told.recv() == "receive":
        told.send(time.monotonic())
        receiver = NdiReceiver(called, as_sent=True)
        while not told.poll():
            for picture in receiver.pictures(0.25):
                told.send((time.monotonic(), float(picture[::8, ::8, 1].mean()) - BLACK < DARK))
        is_shown = told.recv() == "show"
        lost = receiver.lost
        receiver.close()
        told.send((lost, _one(called) if is_shown else None))


def _one(called: str) -> np.ndarray | None:
    receiver = NdiReceiver(called)
    picture = receiver.picture()
    receiver.close()
    return picture
