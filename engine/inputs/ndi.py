"""NDI in, by cyndilib: a source of this name is awaited, and received at full bandwidth."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from tpos_models.errors import InputError, MissingPart

WAIT_S = 0.5
POLL_S = 0.004
"""How often it is asked for a picture. A receiver's frames go to its frame sync, which has the newest and never waits;
cyndilib's own ways to wait keep every other thread waiting, too."""
GONE_S = 3.0
"""A sender that has been silent for so long is looked for anew: it may have come back under another address."""


class NdiSource:
    """An NDI source by a part of its name, "" being the first that is found. Raises `MissingPart`."""

    def __init__(self, which: str) -> None:
        try:
            import cyndilib
        except ImportError as error:
            raise MissingPart(f"--video-in ndi: cyndilib is missing; pip install 'tpos-live[ndi]' ({error})") from error
        self._ndi: Any = cyndilib
        self._which = which
        self.name = f"ndi:{which}" if which else "ndi"

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """As `VideoSource.frames`."""
        with self._ndi.Finder() as finder:
            source = self._found(finder, stop)
            if source is not None:
                yield from self._received(source, stop)

    def _found(self, finder: Any, stop: threading.Event) -> Any:
        names: list[str] = []
        for _ in range(round(GONE_S / WAIT_S)):
            if stop.is_set():
                return None
            names = finder.get_source_names()
            for name in names:
                if self._which.lower() in name.lower():
                    return finder.get_source(name)
            stop.wait(WAIT_S)
        raise InputError(f"no such NDI source; found: {', '.join(names) or 'none'}")

    def _received(self, source: Any, stop: threading.Event) -> Iterator[av.VideoFrame]:
        ndi, clock = self._ndi, time.monotonic
        receiver = ndi.Receiver(
            color_format=ndi.RecvColorFormat.RGBX_RGBA,
            bandwidth=ndi.RecvBandwidth.highest,
            allow_video_fields=False,
        )
        frame = ndi.VideoFrameSync()
        receiver.frame_sync.set_video_frame(frame)
        receiver.set_source(source)
        stamp, heard_s = 0.0, clock()
        try:
            while not stop.is_set() and clock() - heard_s < GONE_S:
                receiver.frame_sync.capture_video()
                if frame.xres == 0 or frame.get_timestamp_posix() == stamp:
                    stop.wait(POLL_S)
                    continue
                stamp, heard_s = frame.get_timestamp_posix(), clock()
                yield _as_frame(frame)
        finally:
            receiver.disconnect()


def _as_frame(frame: Any) -> av.VideoFrame:
    """A copy of the picture that was captured."""
    (width, height), stride = frame.get_resolution(), frame.get_line_stride()
    rows = np.ascontiguousarray(frame.get_array().reshape(height, stride)[:, : 4 * width])
    return av.VideoFrame.from_ndarray(rows.reshape(height, width, 4), "rgba")
