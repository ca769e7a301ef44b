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
from engine.recording.recorder import Recorder, RecorderState, RecorderStatus, SessionSummary
from engine.recording.session import About
from export.media.formats import VideoFormat
from tpos_models.errors import TposError


class RecordingControl:
    """Starts and stops the recorder as the show's state says, and feeds it. Owned by the main thread.

    `size` is the film's, `fps` its rate, `form` what it is written in; `about` is asked what the records say of the
    show, at its start and its end. A recording that breaks off leaves its reason in `trouble` and the show running.
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
        self._logged: ShowState | None = None
        self._effects: set[str] = set()
        self.running = False
        self.trouble = ""
        self.sessions: list[SessionSummary] = []

    @property
    def status(self) -> RecorderStatus:
        """What the operator sees."""
        return self._recorder.status

    def follow(self, state: ShowState) -> None:
        """Begin or end as `state.recording` asks, and log the state when it changed."""
        if state.recording and not self.running:
            self._start(state)
        elif self.running and not state.recording:
            self.stop()
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
        """Hand in all sound that came since the last call, and notice a recording that broke off."""
        if not self.running:
            return
        samples, start = self._capture.raw(self._next_sample)
        if len(samples):
            self._next_sample = start + len(samples)
            stems = self._capture.stems(start, len(samples))
            self._recorder.audio(samples, start, self._capture.time_of(self._next_sample), stems)
        if self._recorder.status.state is RecorderState.FAILED:
            self._break_off(self._recorder.status.error)

    def stop(self) -> None:
        """Finish the recording in hand, if any."""
        if not self.running:
            return
        self.running = False
        summary = self._recorder.stop()
        if summary is not None:
            self.sessions.append(summary)
            self.trouble = summary.error or self.trouble

    def _log_effects(self, state: ShowState) -> None:
        """Keep what users' effects are, once each, so that the recording plays whatever becomes of their files."""
        for file in (layer.file for layer in state.isf):
            known = file.digest in self._effects
            if not known and self._recorder.log(self._clock.now(), "isf", msgspec.to_builtins(file)):
                self._effects.add(file.digest)

    def _start(self, state: ShowState) -> None:
        self._effects.clear()
        self._next_sample = self._capture.counters().samples
        self._logged = None
        try:
            self._recorder.start(about=self._described)
        except TposError as error:
            self._break_off(str(error))
            return
        self.running, self.trouble = True, ""

    def _described(self) -> About:
        preset = self._show.looks.current
        return replace(self._about(), preset=presets.dump(preset) if preset else "")

    def _break_off(self, why: str) -> None:
        self.stop()
        self.trouble = why
        self._show.set(recording=False)
