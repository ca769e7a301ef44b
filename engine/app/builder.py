"""One show, wired: the parts that every running show has, whoever draws it: live shows, benchmarks and tests."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from engine.app.options import FieldChoice, HandsOptions, LookOptions
from engine.audio.capture import Capture
from engine.audio.inputs import open_source
from engine.audio.mix import check_stems, reach
from engine.audio.sources import PacedSource, Source
from engine.control import presets
from engine.control.osc import HOST, PORT, OscServer, parse_target
from engine.control.osc_status import Status
from engine.control.show import Show
from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.messages import Frame
from engine.core.stems import patched
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import lock
from engine.inference.worker import Inference
from engine.outputs.spec import OutputSpec
from engine.remote.address import Place
from export.media.formats import VideoFormat

STOP_S = 4.0
"""So long the frame in hand is waited for at the end."""


def open_sound(name: str, channels: tuple[int, ...] | None, loop: bool, show: Show, clock: Clock) -> Source:
    """What is listened to, with channels enough for the stems of every preset that may be switched to."""
    looks, patch = show.looks.library.values(), show.state.patch
    stems = [stem for look in looks for stem in patched(presets.to_state(look).stems, patch)]
    source = open_source(name, channels or (), loop, clock, reach(stems))
    check_stems(patched(show.state.stems, patch), source.name, source.channels)
    return source


@dataclass(frozen=True)
class OscOptions:
    """Where OSC is listened to; `target` HOST:PORT gets the status, without one the last sender on this machine."""

    host: str = HOST
    port: int = PORT
    target: str | None = None


@dataclass(frozen=True)
class LiveOptions:
    """What `tpos live` was asked for; `record` is the recordings' folder and starts recording at once, in `form`.

    A file or the soundtrack is heard through the output `monitor`, the default one where there is one, unless `mute`.
    """

    look: LookOptions = LookOptions()
    source: str = "default"
    channels: tuple[int, ...] | None = None
    loop: bool = False
    headless: bool = False
    fullscreen: bool = False
    display: int = 0
    osc: OscOptions = OscOptions()
    hands: HandsOptions = HandsOptions()
    remote: Place | None = None
    record: Path | None = None
    size: tuple[int, int] | None = None
    mute: bool = False
    monitor: str | None = None
    max_fps: float = 0.0
    field: FieldChoice = FieldChoice.AUTO
    stream_batch: bool = False
    seconds: float | None = None
    video_in: str | None = None
    form: VideoFormat | None = None
    outputs: tuple[OutputSpec, ...] = ()
    venue: str = ""


class Engine:
    """Sound in, show state, inference and OSC, running between `__enter__` and `__exit__`.

    `open_pipeline` is called by the inference thread, at the start and after every failure that `step_down` answers. A
    file or the soundtrack begins once it has returned for the first time; a sound card does not wait.
    `status` is what OSC reports. Frames are in `frames`, the newest wins. Raises what `OscServer` raises.
    """

    def __init__(
        self,
        show: Show,
        source: Source,
        open_pipeline: Callable[[], FramePipeline],
        clock: Clock,
        *,
        osc: OscOptions = OscOptions(),
        status: Callable[[], Status] | None = None,
        max_fps: float = 0.0,
        step_down: Callable[[Exception, int], str] = lambda error, steps: "",
        climb: Callable[[], str] = lambda: "",
    ) -> None:
        self.show, self.clock = show, clock
        self.capture = Capture(source, clock, state=lambda: show.state)
        self.frames: Mailbox[Frame] = Mailbox()
        self._open_pipeline = open_pipeline
        self.worker = Inference(self._opened, self.capture, show.current, self.frames, clock, max_fps, step_down, climb)
        self.osc = OscServer(
            show.queue,
            host=osc.host,
            port=osc.port,
            target=parse_target(osc.target) if osc.target else None,
            check=show.check,
            status=status,
            frame=self.frames.peek,
            clock=clock,
        )
        self.opened_s: float | None = None
        """When the model was ready for the first time; None before."""
        self._running = ExitStack()

    def __enter__(self) -> Engine:
        with ExitStack() as stack:
            stack.callback(lock, bool)
            lock(lambda: self.frames.count > 0)
            stack.callback(self.osc.close)
            stack.callback(self.capture.close)
            if not isinstance(self.capture.source, PacedSource):
                self.capture.start()
            stack.callback(self.worker.stop, STOP_S)
            self.worker.start()
            self.osc.start()
            self._running = stack.pop_all()
        return self

    def _opened(self) -> FramePipeline:
        pipeline = self._open_pipeline()
        _look_no_further()
        self.opened_s = self.opened_s or self.clock.now()
        self.capture.start()
        return pipeline

    def __exit__(self, *error: object) -> None:
        self._running.close()


def _look_no_further() -> None:
    """Have Python look for circles of objects among new ones only: all that is loaded takes it half a second.

    Nothing that was loaded is in one that holds weights (`tests/engine/inference/test_letting_go.py`).
    """
    gc.collect()
    gc.freeze()
