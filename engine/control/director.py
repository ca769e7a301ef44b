"""From commands to the show: applies what operators say, and carries out what is an event rather than state."""

from __future__ import annotations

import threading
from collections import deque

from engine.audio.analysis import Analyser
from engine.audio.capture import Capture
from engine.control.queue import CommandQueue
from engine.control.show import Effect, Show, parse
from engine.core.messages import ShowState


class Director:
    """Drains the command queue into the show.

    `state()` may be called by any thread and always reflects every command that has arrived. A tap is
    carried out at once; other effects (snapshot, problem, preset) wait in `effects` for the main thread.
    """

    def __init__(self, show: Show, capture: Capture, queue: CommandQueue | None = None) -> None:
        self.show, self.queue = show, queue or CommandQueue()
        self.effects: deque[Effect] = deque(maxlen=256)
        self._capture = capture
        self._lock = threading.Lock()
        steer(capture.analyser, show.state)

    def state(self) -> ShowState:
        """The newest state, all waiting commands applied first."""
        with self._lock:
            for command in self.queue.take_all():
                for effect in self.show.apply(command):
                    self._note(effect)
        state = self.show.state
        steer(self._capture.analyser, state)
        return state

    def command(self, address: str, args: tuple[object, ...], time_s: float = 0.0) -> None:
        """What a key says; the same path as OSC."""
        self.queue.put(parse(address, args, time_s)[0])

    def _note(self, effect: Effect) -> None:
        if effect.name == "tap":
            self._capture.analyser.tap(effect.time_s)
        else:
            self.effects.append(effect)


def steer(analyser: Analyser, state: ShowState) -> None:
    """Make the analysis follow the operator's gain and tempo; cheap, to be called whenever the state is read."""
    analyser.gain.enabled, analyser.gain.trim_db = state.agc, state.audio_gain_db
    if analyser.asked_bpm != state.tempo_bpm:
        analyser.set_bpm(state.tempo_bpm)
