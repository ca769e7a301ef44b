"""The engine running as in a show, without a screen of its own, and its frames a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from engine.app.builder import Engine, OscOptions
from engine.app.options import LookOptions
from engine.audio import SAMPLE_RATE
from engine.audio.sources import Source, SynthSource
from engine.bench.stages import Call, NetworkProfiler, measure_stages, replay
from engine.core.clock import WallClock
from engine.core.messages import SILENCE, AudioFeatures, Frame, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.hearing import Listener
from engine.inference.in_flight import InFlightWorkers
from engine.inference.plan import choose_plan
from engine.inputs.picture import LivePictures
from tpos_models.contracts import Model
from tpos_models.errors import RunError
from tpos_models.pocket.synth.sounds import synthesise

PATIENCE_S = 600.0
TURNS = 5


def measure_fps(engine: Engine, seconds: float) -> tuple[float, list[float]]:
    """Sampled frames a second over the next `seconds` or more, from one frame to another, and each frame's delay.

    A delay is from the newest sound in a frame to the frame, in seconds.
    """
    frames, clock, delays_s = engine.frames, engine.clock, []
    _next_frame(engine)
    before, start_s = frames.count, clock.now()
    while clock.now() - start_s < seconds or frames.count == before:
        frame = _next_frame(engine)
        delays_s.append(frame.time_s - frame.audio_time_s)
    return (frames.count - before) / (clock.now() - start_s), delays_s


def _next_frame(engine: Engine) -> Frame:
    frame = engine.frames.wait_newer(engine.frames.count, PATIENCE_S)
    if frame is None:
        raise RunError(engine.worker.trouble or f"no frame came within {PATIENCE_S:g} s")
    return frame


@contextmanager
def running(
    model: Model,
    look: LookOptions,
    source: Source | None = None,
    stream_batch: bool = False,
    beside_display: bool = True,
    pictures: LivePictures | None = None,
) -> Iterator[Engine]:
    """A running engine, warmed up; its frames start from `pictures`, if there are any."""
    clock = WallClock()
    show, _ = look.build_show()
    show.set(rules=())  # a rule adds evaluations to the reference tier that the bare networks do not make

    def pipeline() -> FramePipeline:
        plan = choose_plan(model, stream_batch=stream_batch)
        return FramePipeline(model, clock, plan, beside_display=beside_display, pictures=pictures)

    with Engine(show, source or SynthSource(clock), pipeline, clock, osc=OscOptions(port=0)) as engine:
        for _ in range(2):
            _next_frame(engine)
        yield engine


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


def measure_point(model: Model, profiler: NetworkProfiler, tier: str, steps: int, seconds: float) -> Point:
    """One tier at one number of steps, a third of `seconds` for each part; engine and bare networks take turns."""
    look = LookOptions(settings={"guidance": tier, "steps": steps})
    state = replace(look.build_show()[0].state, rules=())
    stages = measure_stages(model, state, profiler, seconds / 3)
    plain, bare = [], []
    for _ in range(TURNS):
        plain.append(play(model, look, seconds / 3 / TURNS))
        bare.append(bare_fps(model, stages.calls, stages.at_once, seconds / 3 / TURNS))
    streamed = play(model, look, seconds / 3, stream_batch=True) if steps > 1 else None
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


def play(model: Model, look: LookOptions, seconds: float, stream_batch: bool = False) -> Played:
    with running(model, look, stream_batch=stream_batch, beside_display=False) as engine:
        fps, delays_s = measure_fps(engine, seconds)
        counters = engine.capture.counters()
        return Played(fps, 1000 * float(np.median(delays_s)), counters.overruns + counters.overflows)


def rates(models: Sequence[Model], look: LookOptions, seconds: float) -> list[float]:
    """Frames a second of the running engine on each model, which take turns, `seconds` for each."""
    found: list[list[float]] = [[] for _ in models]
    for _ in range(TURNS):
        for model, own in zip(models, found, strict=True):
            own.append(play(model, look, seconds / TURNS).fps)
    return [float(np.median(own)) for own in found]


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
