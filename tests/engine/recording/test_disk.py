"""Disks that lose their power, that do not answer, and that are gone for a while."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.capture import Capture
from engine.audio.sources import SynthSource
from engine.control.show import Show
from engine.core.clock import WallClock
from engine.core.messages import ShowState
from engine.recording import control
from engine.recording.control import RecordingControl
from engine.recording.recorder import Recorder
from engine.recording.session import About, list_sessions, open_session
from export.media.reading import read_frames, read_sound, read_video_info
from export.media.video import VideoWriter
from export.media.writing import Sink

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(sys.platform == "win32", reason="FIFOs, and folders that are synced"),
]

FPS, RATE, SIZE = 30, 8_000, (64, 48)
NOISE = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
AT_ONCE_S = 0.5
"""Far below how long the disks here stall; a busy machine may take some of it."""


class Player:
    """Hands pictures and sound to a recorder, as a show does."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.clock = recorder, WallClock()
        self.start_s, self._samples = self.clock.now(), 0

    def until(self, over: Callable[[], bool], most_s: float = 30.0) -> None:
        """Play until `over`."""
        end_s = self.clock.now() + most_s
        while not over():
            now_s = self.clock.now()
            assert now_s < end_s, "it never happened"
            self.recorder.offer(np.roll(NOISE, self._samples, 1), now_s)
            count = max(1, int((now_s - self.start_s) * RATE) - self._samples)
            self.recorder.audio(np.full((count, 1), 0.1, np.float32), self._samples, now_s)
            self._samples += count
            time.sleep(1 / FPS)

    def play(self, seconds: float) -> None:
        end_s = self.clock.now() + seconds
        self.until(lambda: self.clock.now() >= end_s)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "sets", SIZE, FPS, RATE, 1, WallClock(), min_free_mib=1)


def test_what_a_power_cut_leaves_plays_to_within_two_seconds(tmp_path: Path, recorder: Recorder, monkeypatch) -> None:
    """Only what was synced counts: of each file as many bytes as it had when a sync of it began that has ended."""
    synced: dict[int, list[tuple[float, int]]] = defaultdict(list)
    sync, threads = os.fsync, set[str]()

    def noted(descriptor: int) -> None:
        before = os.fstat(descriptor)
        sync(descriptor)
        synced[before.st_ino].append((time.monotonic(), before.st_size))
        threads.add(threading.current_thread().name)

    monkeypatch.setattr(os, "fsync", noted)
    recorder.start("show")
    player = Player(recorder)
    recorder.log_state(player.start_s, ShowState(seed=5))
    player.until(lambda: recorder.status.path is not None)
    begun_s = time.monotonic() - (player.clock.now() - player.start_s)
    folder = tmp_path / "sets" / "show"
    assert {path.stat().st_ino for path in (folder, folder.parent, folder / "session.json")} <= synced.keys()
    player.play(5.0)
    cut_s = time.monotonic()
    left = tmp_path / "left"
    shutil.copytree(folder, left)
    for name in ("video.mp4", "audio.flac", "control.jsonl"):
        moments = synced[(folder / name).stat().st_ino]
        times_s = [begun_s, *(at_s for at_s, _ in moments), cut_s]
        assert np.diff(times_s).max() < 1.0 + AT_ONCE_S, name
        os.truncate(left / name, moments[-1][1])
    recorder.stop()
    assert threads == {"tpos-recorder", "tpos-recorder-disk"}
    least_s = cut_s - begun_s - 2.0
    info = read_video_info(left / "video.mp4")
    assert min(info.duration_s, info.audio_duration_s) >= least_s
    assert sum(1 for _ in read_frames(left / "video.mp4")) >= least_s * FPS
    assert len(read_sound(left / "audio.flac")[0]) >= least_s * RATE
    session = open_session(left)
    assert session.log[-1].time_s >= least_s
    assert session.states[0][1].seed == 5


def test_a_disk_that_does_not_answer_at_the_start_is_told_and_waited_for(tmp_path, recorder, monkeypatch) -> None:
    """The list of folders is a FIFO: to open one waits for somebody at its other end."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    fifo = tmp_path / "tpos" / "recordings.txt"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    player = Player(recorder)
    recorder.start("show")
    assert player.clock.now() - player.start_s < AT_ONCE_S
    player.until(lambda: recorder.stalled, 2.5)
    assert (recorder.status.state, recorder.status.path) == ("recording", None)
    played_s = player.clock.now() - player.start_s
    recorder.release()
    time.sleep(0.5)
    other_end = os.open(fifo, os.O_WRONLY)
    fifo.unlink()
    os.close(other_end)
    [summary] = recorder.stop()
    assert not summary.error
    assert summary.counters.audio_s == pytest.approx(played_s, abs=0.2), "what waited was written, and no more"


def test_a_disk_that_does_not_answer_at_the_end_keeps_nobody_waiting(tmp_path: Path, recorder: Recorder) -> None:
    recorder.start("first")
    player = Player(recorder)
    player.play(1.0)
    fifo = tmp_path / "sets" / "first" / ".session.json.part"
    os.mkfifo(fifo)
    asked_s = player.clock.now()
    recorder.release()
    assert player.clock.now() - asked_s < AT_ONCE_S
    assert recorder.start("second") == "second"
    assert player.clock.now() - asked_s < 2 * AT_ONCE_S
    player = Player(recorder)
    player.until(lambda: recorder.stalled, 4.0)
    assert recorder.finishing
    assert recorder.ended() == []
    asked_s = player.clock.now()
    unfinished, second = recorder.stop(patience_s=1.0)
    assert player.clock.now() - asked_s < 1.0 + 2 * AT_ONCE_S
    assert (unfinished.path.name, "does not answer" in unfinished.error) == ("first", True)
    assert (second.path.name, second.error) == ("second", "")
    assert {info.name: info.state for info in list_sessions(tmp_path / "sets")} == {
        "first": "recording", "second": "complete"}  # fmt: skip
    os.close(os.open(fifo, os.O_RDONLY))


def test_pictures_that_wait_for_the_disk_at_the_end_are_accounted_for(recorder: Recorder, monkeypatch) -> None:
    answers, write = threading.Event(), Sink.write

    def stalled(sink: Sink, data: bytes) -> int:
        answers.wait()
        return write(sink, data)

    recorder.start("show")
    player = Player(recorder)
    player.play(1.0)
    monkeypatch.setattr(Sink, "write", stalled)
    player.play(1.0)
    [summary] = recorder.stop(patience_s=0.5)
    answers.set()
    counters = summary.counters
    assert "does not answer" in summary.error
    assert counters.offered == counters.written + sum(counters.dropped.values())
    assert counters.dropped["failed"] > FPS / 2


def test_whatever_ends_the_thread_that_waits_for_the_disk_ends_the_take(tmp_path, recorder, monkeypatch) -> None:
    def broken(descriptor: int) -> None:
        if threading.current_thread().name == "tpos-recorder-disk":
            raise RuntimeError("nobody thought of this")

    recorder.start("show")
    player = Player(recorder)
    player.until(lambda: recorder.status.path is not None)
    monkeypatch.setattr(os, "fsync", broken)
    player.until(lambda: recorder.status.state == "failed", 10.0)
    assert "nobody thought of this" in recorder.status.error
    recorder.stop()


@pytest.mark.parametrize("thread", ["tpos-recorder", "tpos-recorder-disk"])
def test_a_take_that_breaks_off_leaves_no_encoder_behind(tmp_path, recorder, monkeypatch, thread) -> None:
    """Not even until Python looks for circles of objects, which it seldom does in a process as large as a show."""

    def full(one: Callable[..., Any]) -> Callable[..., Any]:
        def or_full(*given: Any) -> Any:
            if threading.current_thread().name == thread:
                raise OSError(errno.ENOSPC, "No space left")
            return one(*given)

        return or_full

    gc.collect()
    gc.disable()
    try:
        recorder.start("show")
        player = Player(recorder)
        player.until(lambda: recorder.status.seconds > 0.5)
        assert encoders() == 1
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full(os.fsync))
            patch.setattr(Sink, "write", full(Sink.write))
            player.until(lambda: recorder.status.state == "failed", 10.0)
        recorder.stop()
        assert encoders() == 0
    finally:
        gc.enable()


def encoders() -> int:
    return sum(type(one) is VideoWriter for one in gc.get_objects())


def test_no_more_than_a_few_wait_for_a_disk_that_does_not_answer(tmp_path, recorder, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "tpos").mkdir()
    os.mkfifo(tmp_path / "tpos" / "recordings.txt")
    for _ in range(4):
        recorder.start()
        recorder.release()
    with pytest.raises(RuntimeError, match="4 recordings are being finished"):
        recorder.start()
    for _ in range(4):
        os.close(os.open(tmp_path / "tpos" / "recordings.txt", os.O_WRONLY))


def test_a_recording_whose_folder_is_gone_goes_on_when_it_can(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(control, "RETRY_S", 0.3)
    clock, show, sets = WallClock(), Show(), tmp_path / "sets"
    with Capture(SynthSource(clock), clock) as capture:
        recording = RecordingControl(sets, SIZE, FPS, capture, show, clock, About)

        def play(until: Callable[[], bool]) -> None:
            end_s = clock.now() + 20.0
            while not until():
                assert clock.now() < end_s, recording.trouble
                recording.follow(show.state)
                recording.picture(NOISE, clock.now())
                recording.sound()
                time.sleep(1 / FPS)

        show.set(recording=True)
        play(lambda: recording.status.seconds > 0.5)
        name = recording.session
        sets.rename(tmp_path / "away")
        sets.write_text("no folder")
        play(lambda: bool(recording.trouble))
        assert "no recording" in recording.trouble
        assert "tried again" in recording.trouble
        play(lambda: len(recording.sessions) == 1)
        assert recording.sessions[0].error
        assert show.state.recording, "the operator's wish stands"
        sets.unlink()
        (tmp_path / "away").rename(sets)
        play(lambda: recording.begun and not recording.trouble)
        play(lambda: recording.status.seconds > 0.5)
        show.set(recording=False)
        recording.follow(show.state)
        recording.close()
    assert not recording.trouble
    first, second = list_sessions(sets)
    assert (first.name, second.name, second.state) == (name, f"{name}-2", "complete")
    assert [read_video_info(one.path / "video.mp4").duration_s > 0.3 for one in (first, second)] == [True, True]


def test_what_one_recording_left_out_is_not_said_of_the_next(tmp_path: Path) -> None:
    clock, show = WallClock(), Show()
    with Capture(SynthSource(clock), clock) as capture:
        recording = RecordingControl(tmp_path / "sets", SIZE, FPS, capture, show, clock, About)
        show.set(recording=True)
        recording.follow(show.state)
        for number in range(1000):
            recording.picture(NOISE, clock.now() + number)
        recording.sound()
        assert "pictures left out" in recording.trouble
        show.set(recording=False)
        recording.follow(show.state)
        show.set(recording=True)
        recording.follow(show.state)
        recording.sound()
        assert recording.trouble == ""
        recording.close()
