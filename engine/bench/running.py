"""The engine running as in a show, without a screen of its own, and its frames a second."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from engine.app.options import LookOptions
from engine.audio import SAMPLE_RATE
from engine.audio.capture import Capture
from engine.audio.sources import Source, SynthSource
from engine.bench.stages import Call, Watch, measure_stages, replay
from engine.control.director import Director
from engine.control.osc import OscServer
from engine.control.queue import CommandQueue
from engine.core.clock import WallClock
from engine.core.mailbox import Mailbox
from engine.core.messages import SILENCE, AudioFeatures, Frame, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.hearing import Listener
from engine.inference.in_flight import InFlightWorkers
from engine.inference.plan import choose_plan
from engine.inference.worker import Inference
from tpos_models.contracts import Model
from tpos_models.errors import RunError
from tpos_models.pocket.synth.sounds import synthesise

PATIENCE_S = 600.0
TURNS = 5


@dataclass
class Rig:
    """Capture, show, inference and OSC, running."""

    capture: Capture
    director: Director
    inference: Inference
    frames: Mailbox[Frame]
    osc: OscServer
    clock: WallClock

    delays_s: list[float] = field(default_factory=list)
    """From the newest sound in each frame that `fps` saw to the frame."""

    def fps(self, seconds: float) -> float:
        """Sampled frames a second over the next `seconds` or more, from one frame to another."""
        self._next_frame()
        before, start_s = self.frames.count, self.clock.now()
        while self.clock.now() - start_s < seconds or self.frames.count == before:
            frame = self._next_frame()
            self.delays_s.append(frame.time_s - frame.audio_time_s)
        return (self.frames.count - before) / (self.clock.now() - start_s)

    def _next_frame(self) -> Frame:
        frame = self.frames.wait_newer(self.frames.count, PATIENCE_S)
        if frame is None:
            raise RunError(self.inference.trouble or f"no frame came within {PATIENCE_S:g} s")
        return frame


@contextmanager
def running(
    model: Model,
    look: LookOptions,
    source: Source | None = None,
    stream_batch: bool = False,
    beside_display: bool = True,
) -> Iterator[Rig]:
    """A running engine, warmed up."""
    clock = WallClock()
    show, _ = look.build_show()
    show.set(rules=())  # a rule adds evaluations to the reference tier that the bare networks do not make
    capture = Capture(source or SynthSource(clock), clock)
    director = Director(show, capture, CommandQueue())
    frames: Mailbox[Frame] = Mailbox()

    def stage() -> FramePipeline:
        return FramePipeline(model, clock, choose_plan(model, stream_batch=stream_batch), beside_display=beside_display)

    inference = Inference(stage, capture, director.state, frames, clock)
    osc = OscServer(director.queue, port=_free_port(), clock=clock)
    with capture, osc:
        inference.start()
        try:
            if frames.wait_newer(2, PATIENCE_S) is None:
                raise RunError(inference.trouble or f"no frame came within {PATIENCE_S:g} s")
            yield Rig(capture, director, inference, frames, osc, clock)
        finally:
            inference.stop(PATIENCE_S)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Point:
    """One tier at one number of steps: `fps` of the running engine, `bare_fps` of its networks and nothing else.

    `delay_ms` is from the newest sound in a frame to the frame; `streamed_` the same with a stream batch.
    """

    tier: str
    steps: int
    evaluations: float
    fps: float
    bare_fps: float
    frame_ms: float
    bare_ms: float
    delay_ms: float
    sound_lost: int
    streamed_fps: float | None = None
    streamed_delay_ms: float | None = None

    def row(self) -> tuple[str, ...]:
        """For `table`, under `HEADER`."""
        return (
            f"{self.tier}, {self.steps} step{'s' * (self.steps > 1)}", f"{self.evaluations:.1f}", f"{self.fps:.1f}",
            f"{self.frame_ms:.2f}", f"{self.bare_ms:.2f}", f"{self.frame_ms / self.bare_ms:.2f}",
            f"{self.fps / self.bare_fps:.2f}", f"{self.delay_ms:.0f}",
            "" if self.streamed_fps is None else f"{self.streamed_fps:.1f}/s, {self.streamed_delay_ms:.0f} ms",
        )  # fmt: skip


HEADER = (
    "tier and steps", "evaluations", "frames/s", "frame ms", "networks ms", "ratio", "of a bare loop", "delay ms",
    "stream batch",
)  # fmt: skip


def measure_point(model: Model, watch: Watch, tier: str, steps: int, seconds: float) -> Point:
    """One tier at one number of steps, a third of `seconds` for each part; engine and bare networks take turns."""
    look = LookOptions(guidance=tier, steps=steps)
    state = replace(look.build_show()[0].state, rules=())
    stages = measure_stages(model, state, watch, seconds / 3)
    plain, bare = [], []
    for _ in range(TURNS):
        plain.append(_play(model, look, seconds / 3 / TURNS))
        bare.append(bare_fps(model, stages.calls, stages.at_once, seconds / 3 / TURNS))
    streamed = _play(model, look, seconds / 3, stream_batch=True) if steps > 1 else None
    return Point(
        tier=tier,
        steps=steps,
        evaluations=stages.evaluations,
        fps=float(np.median([one.fps for one in plain])),
        bare_fps=float(np.median(bare)),
        frame_ms=stages.frame.median_ms,
        bare_ms=stages.bare.median_ms,
        delay_ms=float(np.median([one.delay_ms for one in plain])),
        sound_lost=sum(one.sound_lost for one in plain),
        streamed_fps=streamed.fps if streamed else None,
        streamed_delay_ms=streamed.delay_ms if streamed else None,
    )


@dataclass(frozen=True)
class Played:
    """A stretch of the running engine."""

    fps: float
    delay_ms: float
    sound_lost: int


def _play(model: Model, look: LookOptions, seconds: float, stream_batch: bool = False) -> Played:
    with running(model, look, stream_batch=stream_batch, beside_display=False) as rig:
        fps = rig.fps(seconds)
        counters = rig.capture.counters()
        return Played(fps, 1000 * float(np.median(rig.delays_s)), counters.overruns + counters.overflows)


class RainLoop:
    """Three seconds of rain again and again, after nine: a sound to listen to that costs nothing to play."""

    def __init__(self) -> None:
        self._sound = synthesise("rain", 12.0, 7)
        self._start_s = time.monotonic()

    def latest(self) -> AudioFeatures:
        """Silence but for its time, which is now."""
        return replace(SILENCE, time_s=time.monotonic())

    def window(self, seconds: float) -> SoundWindow:
        """The `seconds` that end now."""
        now_s = time.monotonic()
        end = SAMPLE_RATE * 9 + round((now_s - self._start_s) * SAMPLE_RATE) % (SAMPLE_RATE * 3)
        return SoundWindow(self._sound[max(0, end - round(seconds * SAMPLE_RATE)) : end], end, now_s)


def bare_fps(model: Model, calls: list[Call], at_once: int, seconds: float) -> float:
    """Frames a second of a loop that makes a frame's network calls, hears as often, and does nothing else.

    As many frames are under way `at_once` as in the show.
    """
    listener, rain = Listener(model), RainLoop()
    listener.listen(rain)
    start_s = time.monotonic()
    published: list[float] = []

    def begin() -> Callable[[], float]:
        listener.listen(rain)
        return partial(replay, calls)

    InFlightWorkers(begin, published.append, lambda: at_once).run(lambda: time.monotonic() - start_s > seconds)
    return len(published) / (time.monotonic() - start_s)
