"""The inference thread: newest state in, newest frame out, restarted when it fails."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inference_stages import Deaf, Ear, Kept, Stage

from engine.core import own_thread
from engine.core.clock import WallClock
from engine.core.mailbox import Mailbox
from engine.core.messages import AudioFeatures, Frame, Rule, ShowState
from engine.inference import hearing_thread
from engine.inference.fallback import HungError
from engine.inference.hearing import SoundSource
from engine.inference.worker import Inference

pytestmark = pytest.mark.realtime


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

    class Changing(Stage):
        def begin_changed(self, shown: ShowState, features: AudioFeatures) -> Callable[[], Frame] | None:
            draw = super().begin_changed(shown, features)
            if self.begun == 5:
                state[0] = ShowState(revision=2)
            return draw

    frames = Kept()
    inference = Inference(lambda: Changing([], at_once), Ear(), lambda: state[0], frames, WallClock())
    inference.start()
    try:
        assert frames.wait_newer(8, 20)
    finally:
        inference.stop()
    assert [frame.revision for frame in frames.all] == [1] * 5 + [2] * (len(frames.all) - 5)


def test_the_pauses_between_restarts_grow(monkeypatch):
    monkeypatch.setattr(own_thread, "RESTART_S", (0.02, 0.1, 0.2))
    built_s: list[float] = []

    def fail() -> Stage:
        built_s.append(time.monotonic())
        raise RuntimeError("no memory")

    inference = Inference(fail, Ear(), ShowState, Mailbox(), WallClock())
    inference.start()
    deadline = time.monotonic() + 20
    while len(built_s) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    inference.stop()
    pauses = np.diff(built_s[:5])
    assert (pauses >= np.array([0.02, 0.1, 0.2, 0.2]) - 0.001).all(), pauses


@SIDE_BY_SIDE
def test_a_failed_pipeline_is_let_go_before_a_cheaper_one_is_chosen(at_once):
    built: list[weakref.ref[Stage]] = []
    alive: list[bool] = []

    def build() -> Stage:
        stage = Stage([] if built else [RuntimeError("out of memory")], at_once)
        built.append(weakref.ref(stage))
        return stage

    def step_down(error: Exception, steps: int) -> str:
        gc.collect()
        alive.append(built[0]() is not None)
        return "now on fewer steps"

    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(build, Ear(), ShowState, frames, WallClock(), step_down=step_down)
    inference.start()
    assert frames.wait_newer(0, 20)
    inference.stop()
    assert alive == [False], "its memory is needed for the next"


def test_a_driver_that_fails_while_it_is_let_go_does_not_end_the_show():
    def step_down(error: Exception, steps: int) -> str:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    inference = Inference(
        lambda: Stage(trouble, 1), Ear(), ShowState, (frames := Mailbox[Frame]()), WallClock(), step_down=step_down
    )
    trouble: list[Exception] = [RuntimeError("the kernel failed")]
    inference.start()
    assert frames.wait_newer(0, 20)
    inference.stop()
    assert inference.restarts == 1


@SIDE_BY_SIDE
def test_a_frame_that_hangs_is_given_up_with_its_thread_and_never_shown(at_once):
    errors: list[Exception] = []
    released = threading.Event()
    built: list[Stage] = []

    class Hanging(Stage):
        patience_s = 0.5
        queued = at_once > 1

        def draw(self, index: int, revision: int, audio_time_s: float) -> Frame:
            if len(built) == 1 and index >= 3:
                released.wait()
                return replace(super().draw(index, revision, audio_time_s), seed=13)
            return super().draw(index, revision, audio_time_s)

    def build() -> Stage:
        built.append(Hanging([], at_once))
        return built[-1]

    def step_down(error: Exception, steps: int) -> str:
        errors.append(error)
        return "going on with cpu"

    frames = Kept()
    inference = Inference(build, Ear(), ShowState, frames, WallClock(), step_down=step_down)
    inference.start()
    try:
        assert frames.wait_newer(6, 20)
        assert [str(error) for error in errors] == ["a frame hangs: no answer in 0.5 s"]
        assert isinstance(errors[0], HungError)
        assert inference.restarts == 1
        released.set()
        assert frames.wait_newer(frames.count + 5, 20)
    finally:
        released.set()
        inference.stop()
    assert all(frame.seed == 0 for frame in frames.all), "what was given up was shown"
    assert "inference" not in {thread.name.split("-")[0] for thread in threading.enumerate()}


def test_the_rate_can_be_capped():
    begun_s: list[float] = []

    class Timed(Stage):
        def begin_changed(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame] | None:
            begun_s.append(time.monotonic())
            return super().begin_changed(state, features)

    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(lambda: Timed([], 2), Ear(), ShowState, frames, WallClock(), max_fps=25.0)
    inference.start()
    assert frames.wait_newer(5, 20)
    inference.stop()
    assert np.median(np.diff(begun_s)) >= 0.035
    assert begun_s[5] - begun_s[0] >= 5 * 0.04 - 0.02


@SIDE_BY_SIDE
def test_a_freeze_holds_the_frame_and_thaws(at_once):
    held: list[float] = []

    class Holding(Stage):
        def hold(self) -> None:
            held.append(time.monotonic())

    state, frames = [ShowState()], Mailbox[Frame]()
    inference = Inference(lambda: Holding([], at_once), Ear(), lambda: state[0], frames, WallClock())
    inference.start()
    try:
        assert frames.wait_newer(2, 10)
        state[0] = ShowState(freeze=True)
        frames.wait_newer(frames.count, 0.2)
        count = frames.count
        assert frames.wait_newer(count, 0.3) is None
        assert held[-1] - held[0] > 0.2, "all along, so that nothing jumps when it thaws"
        state[0] = ShowState()
        assert frames.wait_newer(count, 10)
    finally:
        inference.stop()


@SIDE_BY_SIDE
def test_nothing_is_sampled_while_nothing_changes_and_that_is_no_trouble(at_once):
    still = threading.Event()

    class Still(Stage):
        def begin_changed(self, state: ShowState, features: AudioFeatures) -> Callable[[], Frame] | None:
            return None if still.is_set() else super().begin_changed(state, features)

    frames = Kept()
    inference = Inference(lambda: Still([], at_once), Ear(), ShowState, frames, WallClock())
    inference.start()
    try:
        assert frames.wait_newer(5, 20)
        still.set()
        time.sleep(0.2)
        count = frames.count
        assert frames.wait_newer(count, 0.5) is None
        assert inference.still_s > 0.4
        moved_s = time.monotonic()
        still.clear()
        assert frames.wait_newer(count + 4, 20)
    finally:
        inference.stop()
    moved = frames.all[count]
    assert moved_s <= moved.still_until_s < moved.time_s < moved_s + 0.5
    assert [frame.still_until_s for frame in (*frames.all[:count], *frames.all[count + 1 :])] == [0.0] * (
        len(frames.all) - 1
    )
    assert 0.5 < inference.still_s < moved.still_until_s - frames.all[count - 1].time_s + 0.1
    assert (inference.restarts, inference.trouble) == (0, None)


class Failing(Deaf):
    """Raises whenever it is asked."""

    def listen(self, source: SoundSource, rules: tuple[Rule, ...]) -> bool:
        raise RuntimeError("the encoder failed")


@pytest.mark.parametrize("apart", [False, True])
def test_a_failing_encoder_never_stops_the_picture(apart, monkeypatch):
    monkeypatch.setattr(hearing_thread, "HOLD_S", 0.1)

    def build() -> Stage:
        stage = Stage([], 1)
        stage.listener, stage.hears_apart = Failing(), apart
        return stage

    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(build, Ear(), ShowState, frames, WallClock())
    inference.start()
    assert frames.wait_newer(20, 20)
    inference.stop()
    assert (inference.restarts, inference.trouble) == (0, None)
    assert inference.hearing_trouble == "hearing stopped: the encoder failed"


def test_a_failed_models_encoder_is_let_go_too_and_the_next_ones_heard(monkeypatch):
    monkeypatch.setattr(hearing_thread, "HOLD_S", 0.5)
    encoders: list[weakref.ref[Any]] = []
    asked: list[set[str]] = []
    alive: list[bool] = []

    class Attentive(Deaf):
        def __init__(self) -> None:
            super().__init__()
            encoders.append(weakref.ref(self.encoder))
            asked.append(set())
            self.asked = asked[-1]

        def listen(self, source: SoundSource, rules: tuple[Rule, ...]) -> bool:
            self.asked.add(threading.current_thread().name)
            return False

    def build() -> Stage:
        stage = Stage([] if encoders else [RuntimeError("out of memory")], 1)
        stage.listener, stage.hears_apart = Attentive(), True
        return stage

    def step_down(error: Exception, steps: int) -> str:
        gc.collect()
        alive.append(encoders[0]() is not None)
        return "now on the CPU"

    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(build, Ear(), ShowState, frames, WallClock(), step_down=step_down)
    inference.start()
    assert frames.wait_newer(5, 20)
    inference.stop()
    assert alive == [False], "its memory is needed for the next"
    assert asked == [{"hearing"}, {"hearing"}]


def test_frames_drawn_side_by_side_come_in_their_order_and_are_all_counted():
    frames = Kept()
    inference = Inference(lambda: Stage([], 2), Ear(), ShowState, frames, WallClock())
    inference.start()
    assert frames.wait_newer(40, 20)
    inference.stop()
    kept = frames.all
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
