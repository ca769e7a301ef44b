"""The engine running as in a show, without a screen of its own, and its frames a second."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from engine.audio import SAMPLE_RATE
from engine.audio.capture import AudioCounters, Capture
from engine.audio.sources import Source, SynthSource
from engine.bench.stages import Call, Watch, measure_stages, replay
from engine.clock import WallClock
from engine.commands import CommandQueue
from engine.director import Director
from engine.inference import Inference
from engine.mailbox import Mailbox
from engine.options import LookOptions
from engine.osc import OscServer
from engine.sampling import HEAR_EVERY_S, SamplingStage
from engine.types import Frame
from tpos_models.contracts import Model
from tpos_models.errors import RunError
from tpos_models.pocket.sounds import synthesise

PATIENCE_S = 600.0


@dataclass
class Rig:
    """Capture, show, inference and OSC, running."""

    capture: Capture
    director: Director
    inference: Inference
    frames: Mailbox[Frame]
    osc: OscServer
    clock: WallClock

    def fps(self, seconds: float) -> float:
        """Sampled frames a second over the next `seconds` or more, from one frame to another."""
        self._next_frame()
        before, start_s = self.frames.count, self.clock.now()
        self.clock.sleep(seconds)
        self._next_frame()
        return (self.frames.count - before) / (self.clock.now() - start_s)

    def _next_frame(self) -> None:
        if self.frames.wait_newer(self.frames.count, PATIENCE_S) is None:
            raise RunError(self.inference.trouble or f"no frame came within {PATIENCE_S:g} s")


@contextmanager
def running(model: Model, look: LookOptions, source: Source | None = None) -> Iterator[Rig]:
    """A running engine, warmed up."""
    clock = WallClock()
    show, _ = look.build_show()
    show.set(rules=())  # a rule adds evaluations to the reference tier that the bare networks do not make
    capture = Capture(source or SynthSource(clock), clock)
    director = Director(show, capture, CommandQueue())
    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(lambda: SamplingStage(model, clock), capture, director.state, frames, clock)
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
    """One tier at one number of steps: `fps` of the running engine, `bare_fps` of its networks and nothing else."""

    tier: str
    steps: int
    evaluations: float
    fps: float
    bare_fps: float
    frame_ms: float
    bare_ms: float
    sound_lost: int

    def row(self) -> tuple[str, ...]:
        """For `table`, under `HEADER`."""
        return (
            f"{self.tier}, {self.steps} step{'s' * (self.steps > 1)}", f"{self.evaluations:.1f}", f"{self.fps:.1f}",
            f"{self.frame_ms:.2f}", f"{self.bare_ms:.2f}", f"{self.frame_ms / self.bare_ms:.2f}",
            f"{self.fps / self.bare_fps:.2f}",
        )  # fmt: skip


HEADER = ("tier and steps", "evaluations", "frames/s", "frame ms", "networks ms", "ratio", "of a bare loop")


def measure_point(model: Model, watch: Watch, tier: str, steps: int, seconds: float) -> Point:
    """One tier at one number of steps, a third of `seconds` for each part."""
    look = LookOptions(guidance=tier, steps=steps)
    state = replace(look.build_show()[0].state, rules=())
    stages = measure_stages(model, state, watch, seconds / 3)
    fps, sound = engine_fps(model, look, seconds / 3)
    bare = bare_fps(model, stages.calls, seconds / 3)
    frame_ms, bare_ms = stages.frame.median_ms, stages.bare.median_ms
    return Point(tier, steps, stages.evaluations, fps, bare, frame_ms, bare_ms, sound.overruns + sound.overflows)


def engine_fps(model: Model, look: LookOptions, seconds: float) -> tuple[float, AudioCounters]:
    """Frames a second of the running engine, and what became of its sound meanwhile."""
    with running(model, look) as rig:
        return rig.fps(seconds), rig.capture.counters()


def bare_fps(model: Model, calls: list[Call], seconds: float) -> float:
    """Frames a second of a loop that makes a frame's network calls, hears as often, and does nothing else."""
    sound = synthesise("rain", 12.0, 7)
    start_s = heard_s = time.monotonic()
    frames = 0
    while (now_s := time.monotonic()) - start_s < seconds or not frames:
        if now_s - heard_s >= HEAR_EVERY_S:
            heard_s = now_s
            end = SAMPLE_RATE * 9 + round((now_s - start_s) * SAMPLE_RATE) % (SAMPLE_RATE * 3)
            model.audio.hear(sound[:end], now_s)
        replay(calls)
        frames += 1
    return frames / (time.monotonic() - start_s)
