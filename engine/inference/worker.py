"""The inference thread: newest sound and newest show state in, newest frame out, and a supervisor that restarts it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Protocol
from weakref import WeakKeyDictionary

from engine.core.clock import Clock
from engine.core.mailbox import Mailbox
from engine.core.messages import AudioFeatures, Frame, Heard, ShowState
from engine.core.own_thread import Supervised, pause_s
from engine.inference.fallback import HungError
from engine.inference.hearing import HeardSound, SoundSource
from engine.inference.hearing_thread import LATE, LATE_S, Ears, Hearing
from engine.inference.in_flight import InFlightWorkers
from engine.inference.priority import step_back
from tpos_models.contracts import AudioEncoder

log = logging.getLogger(__name__)

HUNG_S, MANY = 20.0, 20.0
USUAL = 3
"""So many pictures say what is usual; the first ones take their time."""
WATCH_S = 0.25
"""How often it is looked whether a frame hangs."""
ASLEEP_S = 2.0
"""If that took so much longer, the whole process was stopped, or its machine asleep."""


class Pipeline(Protocol):
    """What the thread asks of `engine.inference.frame_pipeline.FramePipeline`, which says what each call does."""

    @property
    def listener(self) -> Ears: ...

    @property
    def hears_apart(self) -> bool: ...

    @property
    def patience_s(self) -> float: ...

    @property
    def queued(self) -> bool: ...

    def at_once(self, state: ShowState) -> int: ...

    def follow(self, heard: HeardSound | None) -> None: ...

    def begin_changed(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame] | None: ...

    def hold(self) -> None: ...


@dataclass
class _Turn:
    """What one inference thread has under way; another takes its place where a frame hangs."""

    given_up: threading.Event = field(default_factory=threading.Event)
    begun_s: deque[float] = field(default_factory=deque)
    """When each frame under way was begun, oldest first."""
    patience_s: float = float("inf")
    awake_s: float = float("-inf")
    """Since when the process runs on, where it was stopped."""
    taken_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))
    """How long the newest frames took."""

    def waited_s(self, now_s: float) -> float:
        """How long the oldest frame under way takes so far."""
        return now_s - max(next(iter(self.begun_s.copy()), now_s), self.awake_s)

    @property
    def allowed_s(self) -> float:
        """How long a frame may take."""
        taken_s = self.taken_s.copy()
        known_s = max(HUNG_S, MANY * max(taken_s)) if len(taken_s) == taken_s.maxlen else float("inf")
        return min(self.patience_s, known_s)


class Inference:
    """Owns the frame pipeline in a thread named "inference"; publishes to `frames`.

    Where a model's runner gains by it, several frames are under way at once, each on a thread of its own.
    A failure keeps the last frame where it is and is reported in `trouble`. `step_down(error, steps)` may answer it
    with a cheaper way to run the model, said in one line, which is taken at once; else the pipeline is built anew after
    a pause; from time to time `climb()` may say that a better one is to be tried again. A frame that takes longer than
    the pipeline's `patience_s`, or MANY times the longest of late, hangs: its thread is given up, and what it may still
    say; another goes on as after any failure. `max_fps` caps the rate (0: as fast as the model goes). A
    frame that would be the last one again is not sampled.
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
        climb: Callable[[], str] = lambda: "",
    ) -> None:
        self._build, self._source, self._state, self.frames, self._clock = build, source, state, frames, clock
        self._step_down, self._climb, self._asked_s = step_down, climb, 0.0
        self._period_s = 1 / max_fps if max_fps > 0 else 0.0
        self._begun_s = 0.0
        self._still_since_s: float | None = None
        self._still_s = 0.0
        self._encoding: WeakKeyDictionary[AudioEncoder, threading.Lock] = WeakKeyDictionary()
        """One lock for each encoder (see `Hearing`)."""
        self._stop = threading.Event()
        self._turn = _Turn()
        self._thread = self._new_thread(None)
        self._watchdog = Supervised("inference-watchdog", self._watch, self._stop)
        self.trouble: str | None = None
        self.hearing_trouble = ""
        self.heard: tuple[Heard, ...] = ()
        """What the newest sound resembles."""
        self.restarts = 0
        self.evaluations = 0
        self.frame_s: deque[float] = deque(maxlen=4096)
        """Seconds each of the newest frames took."""

    @property
    def stall(self) -> str:
        """That no picture came for longer than usual, in a line; "" where one did."""
        turn = self._turn
        taken_s = turn.taken_s.copy()
        late = len(taken_s) >= USUAL and turn.waited_s(self._clock.now()) > max(LATE_S, LATE * median(taken_s))
        return "no new picture: the model takes longer than it did" if late else ""

    @property
    def still_s(self) -> float:
        """For how long there was nothing to sample, all in all: nothing changed, or the show was frozen."""
        since_s = self._still_since_s
        return self._still_s + (0.0 if since_s is None else self._clock.now() - since_s)

    def start(self) -> None:
        self._thread.start()
        self._watchdog.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the frame in hand; idempotent."""
        self._stop.set()
        self._watchdog.join()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _new_thread(self, hung: HungError | None) -> threading.Thread:
        return threading.Thread(target=self._supervise, args=(self._turn, hung), name="inference", daemon=True)

    def _watch(self) -> None:
        """Give a thread up whose frame hangs; what stops the whole process is no hang."""
        now_s = self._clock.now()
        while not self._stop.wait(WATCH_S):
            turn, looked_s, now_s = self._turn, now_s, self._clock.now()
            if now_s - looked_s > WATCH_S + ASLEEP_S:
                turn.awake_s = now_s
            if turn.waited_s(now_s) <= turn.allowed_s:
                continue
            turn.given_up.set()
            self._turn = _Turn()
            self._thread = self._new_thread(HungError(f"a frame hangs: no answer in {turn.allowed_s:g} s"))
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
                self._stop.wait(pause_s(failures))

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
        ears = pipeline.listener

        climbed = False

        def over() -> bool:
            nonlocal climbed
            climbed = climbed or self._climbs()
            return climbed or self._stop.is_set() or turn.given_up.is_set()

        encoding = self._encoding.setdefault(ears.encoder, threading.Lock())
        with Hearing(ears, self._source, self._clock, encoding, apart=pipeline.hears_apart, over=over) as hearing:
            workers = InFlightWorkers(
                partial(self._begin, pipeline, hearing, turn),
                partial(self._publish, turn),
                lambda: pipeline.at_once(self._state()),
                pipeline.queued,
            )
            workers.run(over)

    def _climbs(self) -> bool:
        """Whether a better model is to be built now; it is asked once a second."""
        now_s = self._clock.now()
        if now_s - self._asked_s < 1.0:
            return False
        self._asked_s = now_s
        return bool(self._climb())

    def _begin(self, pipeline: Pipeline, hearing: Hearing, turn: _Turn) -> Callable[[], tuple[Frame, float]] | None:
        """The next frame, with everything known now; None while the show is frozen, or nothing has changed."""
        early_s = self._begun_s + self._period_s - self._clock.now()
        if early_s > 0 and self._stop.wait(early_s):
            return None
        now_s, state = self._clock.now(), self._state()
        turn.begun_s.append(now_s)
        heard = hearing.newest(state.rules)
        self.hearing_trouble, self.heard = hearing.trouble, heard.phrases if heard else ()
        pipeline.follow(heard)
        draw = None
        if state.freeze:
            pipeline.hold()
        else:
            draw = pipeline.begin_changed(state, self._source.latest())
        if draw is None:
            turn.begun_s.pop()
            self._still_since_s = now_s if self._still_since_s is None else self._still_since_s
            return None
        self._begun_s = now_s
        return partial(_timed, draw, now_s, self._end_of_stillness(now_s), self._clock)

    def _end_of_stillness(self, now_s: float) -> float:
        """`Frame.still_until_s` of a frame that is begun now."""
        if self._still_since_s is None:
            return 0.0
        self._still_s += now_s - self._still_since_s
        self._still_since_s = None
        return now_s

    def _publish(self, turn: _Turn, drawn: tuple[Frame, float]) -> None:
        """Hand a frame on, finished at this moment, whichever was drawn first; unless its thread was given up."""
        if turn.given_up.is_set():
            return
        turn.begun_s.popleft()
        frame, took_s = drawn
        turn.taken_s.append(took_s)
        self.frames.put(replace(frame, time_s=self._clock.now()))
        self.evaluations += frame.evaluations
        self.trouble = None
        self.frame_s.append(took_s)


def _timed(draw: Callable[[], Frame], begun_s: float, still_until_s: float, clock: Clock) -> tuple[Frame, float]:
    """A frame, and the seconds since its moment."""
    return replace(draw(), still_until_s=still_until_s), clock.now() - begun_s
