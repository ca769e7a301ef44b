"""One show stepped through, stage after stage: what each costs, and how far a frame is from its networks alone.

Nothing is simulated: the stages are the show's own, called in its order on one thread, each call timed. A frame's
networks are then called again, alone, with the same tensors: the sum of those times is the floor a frame stands on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from engine.audio import HOP, SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.bench.report import Times, table
from engine.core.clock import VirtualClock
from engine.core.messages import Frame, ShowState
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.hearing import HEAR_EVERY_S
from engine.inference.in_flight import InFlightWorkers
from engine.inference.plan import choose_plan, eager_plan
from engine.outputs.screens import Screen
from tpos_models.contracts import Model
from tpos_models.network import Network, Run, Runner
from tpos_models.pocket.synth.sounds import synthesise

FRAME_S = 1 / 25
LEAST = 3
"""Frames measured at least, however slow."""


@dataclass(frozen=True)
class Call:
    """One call of a network: its inputs, and when it began and ended."""

    network: str
    run: Run
    tensors: tuple[torch.Tensor, ...]
    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.start_s


class NetworkProfiler:
    """Wraps a runner (see `loading.open_on`): knows all networks, keeps their calls while `recording`."""

    def __init__(self) -> None:
        self.networks: list[Network] = []
        self.calls: list[Call] = []
        self._recording = False

    def __call__(self, runner: Runner) -> Runner:
        def profiled(network: Network) -> Run:
            self.networks.append(network)
            return self._profiled(network, runner(network))

        return profiled

    @contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """The calls of the body, each waited for."""
        self.calls, self._recording = [], True
        try:
            yield self.calls
        finally:
            self._recording = False

    def _profiled(self, network: Network, run: Run) -> Run:
        def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if not self._recording:
                return run(*tensors)
            start_s = now()
            out = run(*tensors)
            self.calls.append(Call(network.name, run, tensors, start_s, now()))
            return out

        return call


def now() -> float:
    """Seconds, with everything the GPU was given done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def replay(calls: list[Call]) -> float:
    """Seconds the same network calls take alone, one after the other."""
    start_s = now()
    for call in calls:
        call.run(*call.tensors)
    return now() - start_s


class SteppedShow:
    """A show called stage by stage, frame by frame, on a virtual clock, to the sound of rain."""

    def __init__(self, model: Model, state: ShowState, profiler: NetworkProfiler) -> None:
        self.model, self.state, self.profiler = model, state, profiler
        self.clock = VirtualClock()
        self._plan, self._apart = choose_plan(model), eager_plan(model)
        self.pipeline = FramePipeline(model, self.clock, self._plan)
        self.taken: defaultdict[str, list[float]] = defaultdict(list)
        self.calls: list[Call] = []
        """Those of the newest frame."""
        self._analyser = Analyser()
        self._sound = synthesise("rain", 10.0, 7)
        self._sample = 0
        self._played_s = time.monotonic()

    def begin(self) -> None:
        """Forget the times of the warm-up; the next frame hears, so that every stage is measured."""
        self.taken.clear()
        self.clock.sleep(HEAR_EVERY_S)

    def frame(self) -> np.ndarray:
        """The next frame, every stage of it timed into `taken`, by name."""
        self.clock.sleep(FRAME_S)
        self._listen()
        with self.profiler.recording() as calls:
            self.pipeline.plan = self._apart
            start_s = now()
            picture = self.pipeline.frame(self.state, self._analyser.latest())
            end_s = now()
            self.pipeline.plan = self._plan
        self.calls = calls
        self._split(start_s, end_s)
        return picture.image

    def plain_frame(self) -> tuple[float, int]:
        """Seconds and evaluations of one more frame of the same moment, with nothing recorded."""
        start_s = now()
        frame = self.pipeline.frame(self.state, self._analyser.latest())
        return now() - start_s, frame.evaluations

    def play_for(self, seconds: float) -> float:
        """Frames a second as a live show plays them: the sound moves on by the time that passes."""
        frames: list[Frame] = []
        workers = InFlightWorkers(
            self._begin, frames.append, lambda: self.pipeline.at_once(self.state), self.pipeline.queued
        )
        start_s = self._played_s = time.monotonic()
        workers.run(lambda: time.monotonic() - start_s > seconds)
        return len(frames) / (time.monotonic() - start_s)

    def _begin(self) -> Callable[[], Frame]:
        now_s = time.monotonic()
        self.clock.sleep(min(now_s - self._played_s, HEAR_EVERY_S))
        self._played_s = now_s
        self._listen()
        return self.pipeline.begin(self.state, self._analyser.latest())

    def text(self, number: int) -> None:
        """A prompt that was never seen."""
        with self._timed("text, a new prompt"):
            self.model.text.encode([f"a beach in the evening {number}"])

    def draw(self, screen: Screen) -> None:
        """Draw the moment and read it back."""
        with self._timed(f"draw {screen.film_size[0]}x{screen.film_size[1]}, read back"):
            screen.render(self._analyser.latest, self.state, self.clock.now())

    def _listen(self) -> None:
        while self._sample < self.clock.now() * SAMPLE_RATE:
            at = self._sample % (len(self._sound) - HOP)
            self._sample += HOP
            with self._timed("analysis, a hop"):
                self._analyser.process(self._sound[at : at + HOP], self._sample / SAMPLE_RATE)
        start_s = now()
        with self.profiler.recording() as calls:
            heard = self.pipeline.listen(self._analyser, self.state)
        if heard:
            self.taken["audio hop"].append(now() - start_s)
        for call in calls:
            if "temporal" in call.network:
                self.taken["  of it attention and MAP"].append(call.seconds)

    def _split(self, start_s: float, end_s: float) -> None:
        """One frame's time between its networks: before the first, among them, after the last."""
        *denoising, decoding = self.calls
        self.taken["conditions and noise"].append(denoising[0].start_s - start_s)
        batch = len(denoising[0].tensors[0])
        self.taken[f"denoiser, {batch} evaluation{'s' * (batch > 1)}"] += [call.seconds for call in denoising]
        between_s = decoding.start_s - denoising[0].start_s - sum(call.seconds for call in denoising)
        self.taken["guidance and sampler"].append(between_s)
        self.taken["decode"].append(decoding.seconds)
        self.taken["hand-over"].append(end_s - decoding.end_s)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start_s = now()
        yield
        self.taken[name].append(now() - start_s)


@dataclass(frozen=True)
class Stages:
    """Every stage's times, a whole frame's, and those of its networks alone; `calls` are one frame's.

    A show samples so many frames `at_once`; here they come one by one.
    """

    tier: str
    steps: int
    stages: dict[str, Times]
    frame: Times
    bare: Times
    evaluations: float
    calls: list[Call]
    at_once: int

    @property
    def over_bare(self) -> float:
        """A frame's time over the sum of its bare network times."""
        return self.frame.median_ms / self.bare.median_ms

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        frame = {"tier": self.tier, "steps": self.steps, "evaluations": self.evaluations, **asdict(self.frame)}
        frame |= {"bare_networks_ms": self.bare.median_ms, "over_bare": self.over_bare, "at_once": self.at_once}
        return {"stages": {name: asdict(times) for name, times in self.stages.items()}, "frame": frame}

    def lines(self) -> list[str]:
        """For people."""
        rows = {**self.stages, "a whole frame": self.frame, "its networks alone": self.bare}
        cells = [(name, f"{t.median_ms:.2f} ms", f"{t.p95_ms:.2f} ms") for name, t in rows.items()]
        title = f"{self.tier}, {self.steps} step{'s' * (self.steps > 1)}, {self.evaluations:.1f} evaluations a frame"
        return table((title, "median", "95 %"), cells)


ORDER = ("analysis", "audio", "  of it", "text", "conditions", "denoiser", "guidance", "decode", "hand-over", "draw")
"""From a sound to a pixel."""


def _order(name: str) -> int:
    return next(i for i, start in enumerate(ORDER) if name.startswith(start))


def measure_stages(
    model: Model,
    state: ShowState,
    profiler: NetworkProfiler,
    seconds: float,
    screen: Screen | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Stages:
    """Play for `seconds`, at least `LEAST` frames; the frame and its bare networks take turns."""
    show = SteppedShow(model, state, profiler)
    if screen is not None:
        screen.show(show.pipeline.frame(state))
    show.frame()
    show.begin()
    frames: list[float] = []
    bare: list[float] = []
    evaluations: list[int] = []
    start_s = time.monotonic()
    while len(frames) < LEAST or time.monotonic() - start_s < seconds:
        show.frame()
        seconds_taken, evaluated = show.plain_frame()
        frames.append(seconds_taken)
        evaluations.append(evaluated)
        bare.append(replay(show.calls))
        show.text(len(frames))
        if screen is not None:
            show.draw(screen)
        progress(min(1.0, (time.monotonic() - start_s) / seconds))
    stages = {name: Times.of(show.taken[name]) for name in sorted(show.taken, key=_order)}
    return Stages(
        show.pipeline.tier(state), state.steps, stages, Times.of(frames), Times.of(bare), float(np.mean(evaluations)),
        show.calls, show.pipeline.at_once(state),
    )  # fmt: skip
