"""The live picture that frames start from: one source, one thread, the newest picture only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation

from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.own_thread import OwnThread
from engine.inputs.picture import LivePicture, LivePictures
from export.media.reading import upright
from tpos_models.contracts import Model
from tpos_models.errors import TposError

FREEZES_S = 2.0
"""A source that gives no picture for so long has frozen."""
AGAIN_S = 1.0
"""How long after a failure a source is opened once more."""
SHORTER_PX = 1024
"""The shorter side of pictures, at most, until a model says how large it draws."""
_ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}


class VideoSource(Protocol):
    """Where live pictures come from."""

    @property
    def name(self) -> str:
        """What the operator reads."""
        ...

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """Open it, and give each picture as it comes, none that is late; never waits for long once `stop` is set.

        A source that is gone ends, or raises a `TposError` or what FFmpeg raises.
        """
        ...


class VideoIn(OwnThread):
    """Keeps the newest picture of `source`, in a thread named "tpos-video-in"; one that fails is opened again.

    What has frozen or vanished is said in `trouble`, and its last picture stays. `shorter_px` is what pictures are
    brought down to before they cross to another thread: whoever draws may set it.
    """

    def __init__(self, source: VideoSource, clock: Clock) -> None:
        super().__init__("tpos-video-in")
        self.source, self._clock = source, clock
        self.shorter_px = SHORTER_PX
        self._pictures: Mailbox[LivePicture] = Mailbox()
        self._began_s = clock.now()
        self._gone = ""
        self.back: Callable[[str], object] = lambda line: None
        """Told in a line, on this thread, that pictures come again after trouble."""

    @property
    def count(self) -> int:
        """Pictures so far."""
        return self._pictures.count

    def newest(self) -> LivePicture | None:
        """The newest picture, None before the first; never waits."""
        return self._pictures.peek()

    @property
    def trouble(self) -> str:
        """One line on what is wrong with the source, "" while pictures come."""
        newest, why = self._pictures.peek(), self._gone
        if not why and self._clock.now() - (newest.time_s if newest else self._began_s) > FREEZES_S:
            why = f"no picture for {FREEZES_S:g} s"
        goes_on = "the last one stays" if newest else "the show goes on from noise"
        return why and f"video in, {self.source.name}: {why}; {goes_on}"

    def _run(self) -> None:
        self._began_s = self._clock.now()
        while not self._stop.is_set():
            try:
                for frame in self.source.frames(self._stop):
                    arrived_s, trouble = self._clock.now(), self.trouble
                    self._pictures.put(LivePicture(smaller(frame, self.shorter_px), arrived_s))
                    self._gone = ""
                    if trouble:
                        self.back(f"video in, {self.source.name}: pictures come")
                self._gone = self._gone or "it has ended"
            except (TposError, FFmpegError, OSError, ValueError) as error:
                said = "" if isinstance(error, TposError) else getattr(error, "strerror", "")
                self._gone = said or str(error)
            self._stop.wait(AGAIN_S)


def following(video: VideoIn | None, model: Model) -> LivePictures | None:
    """What a model's frames follow, no larger than it draws; None without video in."""
    if video is None:
        return None
    video.shorter_px = model.spec.scale * min(model.spec.sample_size)
    return video.newest


def smaller(frame: av.VideoFrame, shorter_px: int) -> np.ndarray:
    """A frame as RGB uint8 (height, width, 3), read-only, its shorter side at most `shorter_px`."""
    scale = min(1.0, shorter_px / min(frame.width, frame.height))
    width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA, **_ONE_THREAD)
    image = upright(small.to_ndarray(), frame)
    image.flags.writeable = False
    return image
