"""The inference thread: newest state in, newest frame out, restarted when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.core.clock import WallClock
from engine.core.mailbox import Mailbox
from engine.core.messages import SILENCE, AudioFeatures, Frame, ShowState, SoundWindow
from engine.inference.hearing import SoundSource
from engine.inference.worker import Inference


class Ear:
    """A microphone in a silent room."""

    def latest(self) -> AudioFeatures:
        return replace(SILENCE, time_s=time.monotonic())

    def window(self, seconds: float) -> SoundWindow:
        return SoundWindow(np.zeros(round(seconds * 44_100), np.float32), 0, time.monotonic())


class Stage:
    """Frames without a model, every second one of them slow; raises when told to."""

    def __init__(self, trouble: list[Exception], at_once: int) -> None:
        self.trouble, self.side_by_side, self.begun, self.heard = trouble, at_once, 0, 0

    def listen(self, source: SoundSource, state: ShowState) -> bool:
        self.heard += 1
        return True

    def at_once(self, state: ShowState) -> int:
        return self.side_by_side

    def begin(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame]:
        self.begun += 1
        index = self.begun

        def draw() -> Frame:
            if self.trouble:
                raise self.trouble.pop()
            time.sleep(0.002 if index % 2 else 0.006)
            image = np.zeros((4, 4, 3), np.uint8)
            return Frame(index, image, features.time_s, time.monotonic(), state.revision, "", (), 0, 2)

        return draw


SIDE_BY_SIDE = pytest.mark.parametrize("at_once", [1, 2])


def start(trouble: list[Exception], state: list[ShowState], at_once: int) -> tuple[Inference, Mailbox[Frame]]:
    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(lambda: Stage(trouble, at_once), Ear(), lambda: state[0], frames, WallClock())
    inference.start()
    return inference, frames


@SIDE_BY_SIDE
def test_a_failure_holds_the_last_frame_restarts_and_is_reported(caplog, at_once):
    trouble: list[Exception] = []
    inference, frames = start(trouble, [ShowState()], at_once)
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


@SIDE_BY_SIDE
def test_a_new_state_is_in_the_first_frame_begun_after_it(at_once):
    state = [ShowState(revision=1)]
    inference, frames = start([], state, at_once)
    try:
        assert frames.wait_newer(2, 10)
        state[0] = ShowState(revision=2)
        count = frames.count
        frame = frames.wait_newer(count + at_once, 10)
        assert frame is not None
        assert frame.revision == 2
    finally:
        inference.stop()


@SIDE_BY_SIDE
def test_a_freeze_holds_the_frame_and_thaws(at_once):
    state = [ShowState()]
    inference, frames = start([], state, at_once)
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


def test_frames_drawn_side_by_side_come_in_their_order_and_are_all_counted():
    kept: list[Frame] = []

    class Box(Mailbox[Frame]):
        def put(self, item: Frame) -> None:
            kept.append(item)
            super().put(item)

    frames = Box()
    inference = Inference(lambda: Stage([], 2), Ear(), ShowState, frames, WallClock())
    inference.start()
    assert frames.wait_newer(40, 20)
    inference.stop()
    assert [frame.index for frame in kept] == list(range(1, len(kept) + 1))
    times = [frame.time_s for frame in kept]
    assert times == sorted(times)
    assert inference.evaluations == 2 * len(kept)
    assert len(inference.frame_s) == len(kept)


def test_the_mailbox_gives_the_newest_only():
    box: Mailbox[int] = Mailbox()
    assert box.peek() is None
    for number in range(5):
        box.put(number)
    assert box.peek() == 4
    assert box.wait_newer(4, 1.0) == 4
    assert box.wait_newer(5, 0.01) is None
