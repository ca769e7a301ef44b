"""The output whose pictures leave by a thread of its own: whatever it meets, the show neither waits nor breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.core.hud_info import Health, HudInfo
from engine.core.mailbox import Mailbox
from engine.core.own_thread import JOIN_S, awake_s
from engine.outputs.output import Picture
from engine.outputs.pace import Pace
from engine.render.picture import Size
from tpos_models.errors import TposError

RETRY_S = 1.0
HANGS_S = 0.7
"""A picture that is on its way for longer than this is a hang."""
_POLL_S = 0.2


class Sink(Protocol):
    """Where a stream's pictures go. Opened, called and closed by the stream's thread; any of it may raise."""

    def watchers(self) -> int | None:
        """How many receive it, None where that cannot be known; while it is 0 nothing is read back for it."""
        ...

    def send(self, pixels: np.ndarray, time_s: float) -> None:
        """Send a picture, RGBA uint8 (height, width, 4), shaped by the sound captured at `time_s`; may wait."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture on its way to the thread that sends."""

    number: int
    pixels: np.ndarray
    time_s: float


class StreamOutput:
    """Sends the newest picture, `rate_hz` times a second, to what `open_sink` opens. See `Output`.

    A sink that breaks is closed and opened anew after a second. Where the thread is still busy with a picture the next
    one waits, and is dropped for a newer one.
    """

    context, closed = None, False

    def __init__(
        self, name: str, size: Size, rate_hz: float, open_sink: Callable[[], Sink], light: bool = False
    ) -> None:
        self.name, self.size, self.rate_hz, self.light = name, size, rate_hz, light
        self._open_sink = open_sink
        self._pace = Pace(rate_hz)
        self._asked_s: float | None = None
        self._pictures: Mailbox[_Sent] = Mailbox()
        self._sent = self._dropped = 0
        self._trouble = ""
        self._watchers: int | None = 0
        self._busy_since_s: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"output {name}", daemon=True)
        self._thread.start()

    @property
    def health(self) -> Health:
        """As the thread that sends left it; one that hangs cannot say so itself."""
        since_s = self._busy_since_s
        hangs = since_s is not None and awake_s() - since_s > HANGS_S
        return Health(self._sent, self._dropped, "hangs" if hangs else self._trouble, self._watchers)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Hand over what an earlier redraw asked for, if it is there, and ask for this one where it is due."""
        if self._asked_s is not None and picture.ready:
            pixels = picture.take()
            if pixels is not None:
                self._pictures.put(_Sent(self._pictures.count + 1, pixels, self._asked_s))
            self._asked_s = None
        if self._watchers != 0 and self._pace.due():
            if self._asked_s is not None:  # the GPU is not that far: the next redraw has it
                self._dropped += 1
                return
            picture.ask(self.size, alpha=True)
            self._asked_s = time_s

    def close(self) -> None:
        """End the thread, unless it hangs; twice is harmless."""
        self._stop.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._feed()
            except Exception as error:  # noqa: BLE001 - supervised: whatever breaks here, the show goes on
                self._trouble = str(error) if isinstance(error, TposError) else f"broke: {error!r}"
                self._busy_since_s, self._watchers = None, 0
                self._stop.wait(RETRY_S)

    def _feed(self) -> None:
        """Open the sink and send until it breaks or the output is closed."""
        sink = self._open_sink()
        try:
            self._trouble = ""
            taken = self._pictures.count
            while not self._stop.is_set():
                self._watchers = sink.watchers()
                newest = self._pictures.wait_newer(taken, _POLL_S)
                if newest is None:
                    continue
                self._dropped += newest.number - taken - 1
                taken = newest.number
                self._busy_since_s = awake_s()
                sink.send(newest.pixels, newest.time_s)
                self._busy_since_s = None
                self._sent += 1
        finally:
            sink.close()
