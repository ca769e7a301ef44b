"""The inference thread: newest sound and newest show state in, newest frame out, and a supervisor that restarts it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.inference.fallback import HungError
from engine.inference.hearing import SoundSource
from engine.inference.in_flight import InFlightWorkers
from engine.inference.priority import step_back

log = logging.getLogger(__name__)

RESTART_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between restarts after failures in a row; the last one repeats."""


WATCH_S = 0.25
"""How often it is looked whether a frame hangs."""


class Pipeline(Protocol):
    """What the thread asks of `engine.inference.frame_pipeline.FramePipeline`, which says what each call does."""

    def listen(self, source: SoundSource, state: ShowState) -> bool: ...

    @property
    def patience_s(self) -> float: ...

    def at_once(self, state: ShowState) -> int: ...

    def begin(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame]: ...


@dataclass
class _Turn:
    """What one inference thread has under way; another takes its place where a frame hangs."""

    given_up: threading.Event = field(default_factory=threading.Event)
    begun_s: deque[float] = field(default_factory=deque)
    """When each frame under way was begun, oldest first."""
    patience_s: float = float("inf")

    def hangs(self, now_s: float) -> bool:
        """Whether the oldest frame takes longer than it may."""
        oldest_s = next(iter(self.begun_s.copy()), now_s)
        return now_s - oldest_s > self.patience_s


class Inference:
    """Owns the frame pipeline in a thread named "inference"; publishes to `frames`.

    Where a model's runner gains by it, several frames are sampled at once, each on a thread of its own.
    A failure keeps the last frame where it is and is reported in `trouble`. `step_down(error, steps)` may answer it
    with a cheaper way to run the model, said in one line, which is taken at once; else the pipeline is built anew after
    a pause. A frame that takes longer than the pipeline's `patience_s` hangs: its thread is given up, and what it may
    still say; another goes on as after any failure. `max_fps` caps the rate (0: as fast as the model goes).
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
        self._turn = _Turn()
        self._thread = self._new_thread(None)
        self._watchdog = threading.Thread(target=self._watch, name="inference-watchdog", daemon=True)
        self.trouble: str | None = None
        self.restarts = 0
        self.evaluations = 0
        self.frame_s: deque[float] = deque(maxlen=4096)
        """Seconds each of the newest frames took."""

    def start(self) -> None:
        self._thread.start()
        self._watchdog.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the frame in hand; idempotent."""
        self._stop.set()
        for thread in (self._watchdog, self._thread):
            if thread.is_alive():
                thread.join(timeout_s)

    def _new_thread(self, hung: HungError | None) -> threading.Thread:
        return threading.Thread(target=self._supervise, args=(self._turn, hung), name="inference", daemon=True)

    def _watch(self) -> None:
        """Give a thread up whose frame hangs."""
        while not self._stop.wait(WATCH_S):
            turn = self._turn
            if not turn.hangs(self._clock.now()):
                continue
            turn.given_up.set()
            self._turn = _Turn()
            self._thread = self._new_thread(HungError(f"a frame hangs: no answer in {turn.patience_s:g} s"))
            self._thread.start()

    def _supervise(self, turn: _Turn, hung: HungError | None) -> None:
        step_back()
        failures = 0
        if hung:
            log.error("inference given up, restart %d: %s", self.restarts + 1, hung)
            self._recover(hung)
        while not (self._stop.is_set() or turn.given_up.is_set()):
            shown = self.frames.count
            try:
                self._run(self._build(), turn)
            except Exception as error:
                if turn.given_up.is_set():
                    return
                log.exception("inference failed, restart %d", self.restarts + 1)
                turn.begun_s.clear()
                failures = 0 if self._recover(error) else 1 if self.frames.count > shown else failures + 1
            if failures:
                self._stop.wait(RESTART_S[min(failures, len(RESTART_S)) - 1])

    def _recover(self, error: Exception) -> bool:
        """Report a failure; True where the show goes on with a cheaper model."""
        self.restarts += 1
        if error.__traceback__:
            traceback.clear_frames(error.__traceback__)  # they hold the pipeline, and with it the model's memory
        try:
            stepped = self._step_down(error, self._state().steps)
        except Exception:  # a driver may fail again while it is let go; the show is not to die of it
            log.exception("stepping down failed")
            stepped = ""
        self.trouble = stepped or f"inference stopped: {str(error) or type(error).__name__}"
        return bool(stepped)

    def _run(self, pipeline: Pipeline, turn: _Turn) -> None:
        self._begun_s = -self._period_s
        turn.patience_s = pipeline.patience_s
        workers = InFlightWorkers(
            partial(self._begin, pipeline, turn),
            partial(self._publish, turn),
            lambda: pipeline.at_once(self._state()),
        )
        workers.run(lambda: self._stop.is_set() or turn.given_up.is_set())

    def _begin(self, pipeline: Pipeline, turn: _Turn) -> Callable[[], tuple[Frame, float]] | None:
        """The next frame, with everything known now; None while the show is frozen."""
        early_s = self._begun_s + self._period_s - self._clock.now()
        if early_s > 0 and self._stop.wait(early_s):
            return None
        self._begun_s = self._clock.now()
        state = self._state()
        turn.begun_s.append(self._begun_s)
        pipeline.listen(self._source, state)
        if state.freeze:
            turn.begun_s.pop()
            return None
        return partial(_timed, pipeline.begin(state, self._source.latest()), self._begun_s, self._clock)

    def _publish(self, turn: _Turn, drawn: tuple[Frame, float]) -> None:
        """Hand a frame on, finished at this moment, whichever was drawn first; unless its thread was given up."""
        if turn.given_up.is_set():
            return
        turn.begun_s.popleft()
        frame, took_s = drawn
        self.frames.put(replace(frame, time_s=self._clock.now()))
        self.evaluations += frame.evaluations
        self.trouble = None
        self.frame_s.append(took_s)


def _timed(draw: Callable[[], Frame], begun_s: float, clock: Clock) -> tuple[Frame, float]:
    """A frame, and the seconds since its moment."""
    return draw(), clock.now() - begun_s
