"""The inference thread: newest sound and newest show state in, newest frame out, and a supervisor that restarts it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.inference.hearing import SoundSource
from engine.inference.in_flight import InFlightWorkers
from engine.inference.priority import step_back

log = logging.getLogger(__name__)

RESTART_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between restarts after failures in a row; the last one repeats."""


class Pipeline(Protocol):
    """What the thread asks of `engine.inference.frame_pipeline.FramePipeline`, which says what each call does."""

    def listen(self, source: SoundSource, state: ShowState) -> bool: ...

    def at_once(self, state: ShowState) -> int: ...

    def begin(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame]: ...


class Inference:
    """Owns the frame pipeline in a thread named "inference"; publishes to `frames`.

    Where a model's runner gains by it, several frames are sampled at once, each on a thread of its own.
    A failure keeps the last frame where it is and is reported in `trouble`. `step_down(error, steps)` may answer it
    with a cheaper way to run the model, said in one line, which is taken at once; else the pipeline is built anew after
    a pause. `max_fps` caps the rate (0: as fast as the model goes).
    """

    def __init__(
        self,
        build: Callable[[], Pipeline],
        source: SoundSource,
        state: Callable[[], ShowState],
        frames: Mailbox[Frame],
        clock: Clock,
        max_fps: float = 0.0,
        step_down: Callable[[Exception, int], str] = lambda error, steps: "",
    ) -> None:
        self._build, self._source, self._state, self.frames, self._clock = build, source, state, frames, clock
        self._step_down = step_down
        self._period_s = 1 / max_fps if max_fps > 0 else 0.0
        self._begun_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="inference", daemon=True)
        self.trouble: str | None = None
        self.restarts = 0
        self.evaluations = 0
        self.frame_s: deque[float] = deque(maxlen=4096)
        """Seconds each of the newest frames took."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the frame in hand; idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _supervise(self) -> None:
        step_back()
        failures = 0
        while not self._stop.is_set():
            shown = self.frames.count
            try:
                self._run(self._build())
            except Exception as error:
                log.exception("inference failed, restart %d", self.restarts + 1)
                failures = 0 if self._recover(error) else 1 if self.frames.count > shown else failures + 1
            if failures:
                self._stop.wait(RESTART_S[min(failures, len(RESTART_S)) - 1])

    def _recover(self, error: Exception) -> bool:
        """Report a failure; True where the show goes on with a cheaper model."""
        self.restarts += 1
        if error.__traceback__:
            traceback.clear_frames(error.__traceback__)  # they hold the pipeline, and with it the model's memory
        stepped = self._step_down(error, self._state().steps)
        self.trouble = stepped or f"inference stopped: {str(error) or type(error).__name__}"
        return bool(stepped)

    def _run(self, pipeline: Pipeline) -> None:
        self._begun_s = -self._period_s
        workers = InFlightWorkers(
            partial(self._begin, pipeline), self._publish, lambda: pipeline.at_once(self._state())
        )
        workers.run(self._stop.is_set)

    def _begin(self, pipeline: Pipeline) -> Callable[[], tuple[Frame, float]] | None:
        """The next frame, with everything known now; None while the show is frozen."""
        early_s = self._begun_s + self._period_s - self._clock.now()
        if early_s > 0 and self._stop.wait(early_s):
            return None
        self._begun_s = self._clock.now()
        state = self._state()
        pipeline.listen(self._source, state)
        if state.freeze:
            return None
        return partial(_timed, pipeline.begin(state, self._source.latest()), self._begun_s, self._clock)

    def _publish(self, drawn: tuple[Frame, float]) -> None:
        """Hand a frame on, finished at this moment, whichever was drawn first."""
        frame, took_s = drawn
        self.frames.put(replace(frame, time_s=self._clock.now()))
        self.evaluations += frame.evaluations
        self.trouble = None
        self.frame_s.append(took_s)


def _timed(draw: Callable[[], Frame], begun_s: float, clock: Clock) -> tuple[Frame, float]:
    """A frame, and the seconds since its moment."""
    return draw(), clock.now() - begun_s
