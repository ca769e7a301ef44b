"""What counts as a frame that hangs, or is late, and what does not."""

from __future__ import annotations

import threading
import time

import pytest
from inference_stages import Ear, Kept, Stage

from engine.core.clock import WallClock
from engine.core.messages import Frame, ShowState
from engine.inference.worker import LATE_S, Inference

pytestmark = pytest.mark.realtime


def test_a_process_that_was_stopped_has_no_hung_frame():
    """Time passes for the clock, as it does where a laptop sleeps, and for no thread."""

    class Jumping(WallClock):
        ahead_s = 0.0

        def now(self) -> float:
            return super().now() + self.ahead_s

    class Slow(Stage):
        patience_s = 5.0

        def draw(self, index: int, revision: int, audio_time_s: float) -> Frame:
            drawing.set()
            time.sleep(1.0)
            return super().draw(index, revision, audio_time_s)

    clock, drawing, frames = Jumping(), threading.Event(), Kept()
    inference = Inference(lambda: Slow([], 1), Ear(), ShowState, frames, clock)
    inference.start()
    try:
        assert drawing.wait(20)
        clock.ahead_s = 60.0
        assert frames.wait_newer(2, 20)
        assert inference.restarts == 0
    finally:
        inference.stop()


def test_one_slow_frame_does_not_make_a_late_one_usual():
    """The first frame of a model takes long, while all is made ready; what stalls later is said as soon as ever."""
    released = threading.Event()

    class Stalling(Stage):
        def draw(self, index: int, revision: int, audio_time_s: float) -> Frame:
            if index == 1:
                time.sleep(2.0)
            if index >= 20:
                released.wait()
            return super().draw(index, revision, audio_time_s)

    frames = Kept()
    inference = Inference(lambda: Stalling([], 1), Ear(), ShowState, frames, WallClock())
    inference.start()
    try:
        assert frames.wait_newer(18, 20)
        until_s = time.monotonic() + 6.0
        while not inference.stall and time.monotonic() < until_s:
            time.sleep(0.02)
        assert inference.stall
    finally:
        released.set()
        inference.stop()


def test_a_first_frame_that_takes_long_is_not_later_than_usual():
    """What is usual is not known yet: it is read and compiled then, and a busy machine takes its time."""
    begun, released = threading.Event(), threading.Event()

    class Waking(Stage):
        def draw(self, index: int, revision: int, audio_time_s: float) -> Frame:
            if index == 1:
                begun.set()
                released.wait(20)
            return super().draw(index, revision, audio_time_s)

    frames = Kept()
    inference = Inference(lambda: Waking([], 1), Ear(), ShowState, frames, WallClock())
    inference.start()
    try:
        assert begun.wait(20)
        time.sleep(1.1 * LATE_S)
        assert not inference.stall
        released.set()
        assert frames.wait_newer(4, 20)
    finally:
        released.set()
        inference.stop()
