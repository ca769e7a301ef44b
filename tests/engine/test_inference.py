"""The inference thread: newest state in, newest frame out, restarted when it fails."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from engine.clock import WallClock
from engine.inference import Inference
from engine.mailbox import Mailbox
from engine.types import SILENCE, AudioFeatures, Frame, ShowState


class Ear:
    """A microphone in a silent room."""

    def latest(self) -> AudioFeatures:
        return replace(SILENCE, time_s=time.monotonic())

    def window(self, seconds: float) -> tuple[np.ndarray, float]:
        return np.zeros(round(seconds * 44_100), np.float32), time.monotonic()


class Stage:
    """Frames without a model; raises when told to."""

    window_s = 0.1

    def __init__(self, trouble: list[Exception]) -> None:
        self.trouble, self.evaluations, self.heard = trouble, 0, 0

    def hear(self, samples: np.ndarray, time_s: float, state: ShowState) -> None:
        self.heard += 1

    def frame(self, state: ShowState, features: AudioFeatures) -> Frame:
        if self.trouble:
            raise self.trouble.pop()
        time.sleep(0.002)
        self.evaluations += 1
        image = np.zeros((4, 4, 3), np.uint8)
        return Frame(self.evaluations, image, features.time_s, time.monotonic(), state.revision, "", (), 0)


def start(trouble: list[Exception], state: list[ShowState], max_fps: float = 0.0) -> tuple[Inference, Mailbox[Frame]]:
    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(lambda: Stage(trouble), Ear(), lambda: state[0], frames, WallClock(), max_fps)
    inference.start()
    return inference, frames


def test_a_failure_holds_the_last_frame_restarts_and_is_reported(caplog):
    trouble: list[Exception] = []
    inference, frames = start(trouble, [ShowState()])
    try:
        assert frames.wait_newer(3, 10)
        trouble.append(RuntimeError("the kernel failed"))
        deadline = time.monotonic() + 10
        while inference.restarts == 0:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        held = frames.peek()
        assert held is not None
        assert inference.trouble == "inference stopped: the kernel failed"
        assert frames.wait_newer(frames.count, 10)
        assert inference.restarts == 1
        assert frames.wait_newer(frames.count, 10)
        assert inference.trouble is None
    finally:
        inference.stop()
    assert any("the kernel failed" in str(record.exc_info) for record in caplog.records)


def test_a_new_state_is_in_the_next_but_one_frame_at_the_latest():
    state = [ShowState(revision=1)]
    inference, frames = start([], state)
    try:
        assert frames.wait_newer(2, 10)
        state[0] = ShowState(revision=2)
        count = frames.count
        frame = frames.wait_newer(count + 1, 10)
        assert frame is not None
        assert frame.revision == 2
    finally:
        inference.stop()


def test_a_freeze_holds_the_frame_and_thaws():
    state = [ShowState()]
    inference, frames = start([], state)
    try:
        assert frames.wait_newer(2, 10)
        state[0] = ShowState(freeze=True)
        frames.wait_newer(frames.count, 0.2)
        count = frames.count
        assert frames.wait_newer(count, 0.3) is None
        state[0] = ShowState()
        assert frames.wait_newer(count, 10)
    finally:
        inference.stop()


def test_the_mailbox_gives_the_newest_only():
    box: Mailbox[int] = Mailbox()
    assert box.peek() is None
    for number in range(5):
        box.put(number)
    assert box.peek() == 4
    assert box.wait_newer(4, 1.0) == 4
    assert box.wait_newer(5, 0.01) is None
