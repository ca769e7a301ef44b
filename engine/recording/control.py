"""The recording of a live show: what the audience sees and the input's own sound, handed to the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from engine.audio import SAMPLE_RATE
from engine.audio.capture import Capture
from engine.control import presets
from engine.control.show import Show
from engine.core.clock import Clock
from engine.core.messages import Frame, ShowState
from engine.recording.recorder import Recorder
from engine.recording.session import About
from engine.recording.take import RecorderState, RecorderStatus, SessionSummary
from export.media.formats import VideoFormat
from tpos_models.errors import TposError

RETRY_S = 3.0
"""So often a recording that broke off, or could not begin, is tried again while it is wished for."""
TOLD_S = 5.0
"""So long it is told that pictures were left out."""


class RecordingControl:
    """Starts and stops the recorder as the show's state says, and feeds it. Owned by the main thread.

    `size` is the film's, `fps` its rate, `form` what it is written in; `about` is asked what the records say of the
    show, at its start and its end. A recording that breaks off leaves its reason in `trouble` and the show running, and
    goes on as soon as it can. While `session` names one, the next recording is a further take of it, in a folder of the
    same name and a number. Only `close` waits for a disk.
    """

    def __init__(
        self,
        root: Path | None,
        size: tuple[int, int],
        fps: float,
        capture: Capture,
        show: Show,
        clock: Clock,
        about: Callable[[], About],
        form: VideoFormat | None = None,
    ) -> None:
        self._recorder = Recorder(root, size, fps, SAMPLE_RATE, capture.channels, clock, form=form)
        self._capture, self._show, self._clock, self._about = capture, show, clock, about
        self._next_sample = 0
        self._lost, self._lost_s = 0, -TOLD_S
        self._why, self._again_s = "", 0.0
        self._logged: ShowState | None = None
        self._effects: set[str] = set()
        self.running = False
        """Whether there is something to hand in to."""
        self.session = ""
        """The name of the session that is recorded, that of its first take; "" for none."""
        self.sessions: list[SessionSummary] = []

    @property
    def status(self) -> RecorderStatus:
        """What the operator sees."""
        return self._recorder.status

    @property
    def begun(self) -> bool:
        """Whether there is a folder that is recorded into."""
        return self.status.path is not None

    @property
    def finishing(self) -> bool:
        """Whether a session that was ended is still being written."""
        return self._recorder.finishing

    @property
    def trouble(self) -> str:
        """Why nothing is recorded, or not all, in a line; "" where all is well, or nobody wishes for it."""
        if self._why:
            return f"no recording: {self._why}; it is tried again every {RETRY_S:.0f} s"
        if self._recorder.stalled:
            return "a recording waits for its disk, which does not answer"
        if self._clock.now() - self._lost_s < TOLD_S:
            return f"a recording cannot keep up: {self._lost} pictures left out"
        return ""

    def follow(self, state: ShowState) -> None:
        """Begin or end as `state.recording` asks, and log the state when it changed."""
        if not state.recording:
            self.stop()
        elif not self.running and self._clock.now() >= self._again_s:
            self._start()
        if self.running and state is not self._logged:
            self._log_effects(state)
            self._recorder.log_state(self._clock.now(), state)
            self._logged = state

    def due(self, time_s: float) -> bool:
        """Whether a picture shaped by the sound of `time_s` would get a frame of its own in the film."""
        return self.running and self._recorder.due(time_s)

    def picture(self, image: np.ndarray, time_s: float) -> None:
        """Hand in what the sound captured at `time_s` shaped: there it lies in the film, free of the show's delay."""
        self._recorder.offer(image, time_s)

    def frame(self, frame: Frame) -> None:
        """Log a frame the model sampled."""
        self._recorder.log_frame(frame)

    def sound(self) -> None:
        """Hand in all sound that came since the last call, and notice what has become of recordings."""
        self.sessions += self._recorder.ended()
        if not self.running:
            return
        samples, start = self._capture.raw(self._next_sample)
        if len(samples):
            self._next_sample = start + len(samples)
            stems = self._capture.stems(start, len(samples))
            self._recorder.audio(samples, start, self._capture.time_of(self._next_sample), stems)
        status = self._recorder.status
        if status.state is RecorderState.FAILED:
            self._break_off(status.error)
        elif self.begun:
            self._why = ""
        if status.counters.lost > self._lost:
            self._lost, self._lost_s = status.counters.lost, self._clock.now()

    def stop(self) -> None:
        """End the recording in hand, if any; it is finished by itself."""
        self._release()
        self.session, self._why, self._again_s = "", "", 0.0

    def close(self) -> None:
        """End it, and wait until all are finished, though not for a disk that does not answer."""
        self.stop()
        self.sessions += self._recorder.stop()

    def _log_effects(self, state: ShowState) -> None:
        """Keep what users' effects are, once each, so that the recording plays whatever becomes of their files."""
        for file in (layer.file for layer in state.isf):
            known = file.digest in self._effects
            if not known and self._recorder.log(self._clock.now(), "isf", msgspec.to_builtins(file)):
                self._effects.add(file.digest)

    def _start(self) -> None:
        self._effects.clear()
        self._next_sample = self._capture.counters().samples
        self._logged, self._lost, self._lost_s = None, 0, -TOLD_S
        try:
            self.session = self._recorder.start(self.session or None, self._described)
        except TposError as error:
            self._break_off(str(error))
        else:
            self.running = True

    def _described(self) -> About:
        preset = self._show.looks.current
        return replace(self._about(), preset=presets.dump(preset) if preset else "")

    def _release(self) -> None:
        self._recorder.release()
        self.running = False

    def _break_off(self, why: str) -> None:
        self._release()
        self._why, self._again_s = why, self._clock.now() + RETRY_S
