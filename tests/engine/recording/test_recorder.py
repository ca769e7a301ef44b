"""Sessions recorded and read back: alignment, drift, loss, crashes, full disks, and the account of every picture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.core.clock import VirtualClock, WallClock
from engine.core.messages import Frame, Prompt, ShowState
from engine.recording.recorder import Recorder
from engine.recording.session import About, SessionRecord, list_sessions, open_session
from engine.recording.session_writer import SessionWriter
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.errors import InputError, RunError

pytestmark = pytest.mark.realtime

FPS, RATE, CHUNK = 30, 8_000, 512
SIZE = (32, 32)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def flat(level: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


BLACK, WHITE = flat(0), flat(255)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SessionWriter]:
    """A writer whose time 0 is 0 on the show's clock."""
    (tmp_path / "take").mkdir()
    record = SessionRecord("2026-01-02T03:04:05.000+00:00", os.getpid(), SIZE, FPS, RATE, 1)
    writer = SessionWriter(tmp_path / "take", record, "", 0.0, 0)
    yield writer
    writer.abandon()


def play(
    writer: SessionWriter, seconds: float, events_s: list[float], speed: float = 1.0, lost: tuple[float, float] = (0, 0)
) -> None:
    """A show on a card running at `speed`: a click and a flash of 0.1 s at `events_s`; no sound comes during `lost`."""
    rng = np.random.default_rng(0)
    click = np.zeros(round(seconds * RATE * speed) + CHUNK, np.float32)
    for event_s in events_s:
        click[round(event_s * RATE * speed) :][:20] = 0.8
    frame_times_s = np.sort(np.append(np.arange(0.01, seconds, 0.9 / FPS) + rng.uniform(0, 0.01), events_s))
    index, pending = 0, list(frame_times_s)
    for start in range(0, len(click) - CHUNK, CHUNK):
        captured_s = (start + CHUNK) / (RATE * speed)
        if not lost[0] <= captured_s < lost[1]:
            jittered_s = captured_s + rng.uniform(0, 0.008)
            writer.sound(click[start : start + CHUNK], index, jittered_s)
            index += CHUNK
        while pending and pending[0] <= captured_s:
            time_s = pending.pop(0)
            writer.picture(WHITE if any(0 <= time_s - t < 0.1 for t in events_s) else BLACK, time_s)
        writer.keep_up(captured_s)
    writer.finish(seconds)


def events_of(folder: Path) -> tuple[list[float], list[float]]:
    """Times of flashes and of clicks in the video file."""
    levels = [(time_s, float(image.mean())) for time_s, image in read_frames(folder / "video.mp4")]
    flashes = [t for (t, level), (_, before) in zip(levels[1:], levels, strict=False) if level > 128 >= before]
    samples, rate = read_sound(folder / "video.mp4")
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.2)
    return flashes, [float(i / rate) for i in loud[np.diff(loud, prepend=-rate) > rate // 10]]


def test_minutes_on_a_drifting_card_stay_aligned(writer: SessionWriter) -> None:
    speed = 1.001
    events_s = [0.5, 60.01, 119.77, 179.33]
    play(writer, 180.0, events_s, speed)
    flashes, clicks = events_of(writer.folder)
    assert clicks == pytest.approx([t * speed for t in events_s], abs=0.012)
    assert np.abs(np.subtract(flashes, clicks)).max() <= 0.040
    info = read_video_info(writer.folder / "video.mp4")
    assert info.duration_s == pytest.approx(180.0 * speed, abs=0.1)
    assert info.audio_duration_s == pytest.approx(180.0 * speed, abs=0.15)
    assert writer.counters.silence_s < 0.05


def test_a_lost_device_becomes_silence_of_the_right_length(writer: SessionWriter) -> None:
    events_s = [1.0, 7.5]
    play(writer, 9.0, events_s, lost=(2.0, 6.0))
    flashes, clicks = events_of(writer.folder)
    assert clicks == pytest.approx(events_s, abs=0.02)
    assert np.abs(np.subtract(flashes, clicks)).max() <= 0.040
    assert writer.counters.silence_s == pytest.approx(4.0, abs=0.1)
    raw, rate = read_sound(writer.folder / "audio.flac")
    assert len(raw) / rate == pytest.approx(9.0, abs=0.1)


def test_while_the_device_is_lost_the_files_move_on(writer: SessionWriter) -> None:
    writer.picture(WHITE, 0.0)
    writer.sound(np.zeros(RATE, np.float32), 0, 1.0)
    for tenth in range(10, 61):
        writer.keep_up(tenth / 10)
        assert writer.counters.audio_s >= tenth / 10 - 1.6
        assert writer.seconds >= tenth / 10 - 0.6
    writer.sound(np.full(RATE, 0.5, np.float32), RATE, 7.0)
    writer.finish(7.0)
    sound, _ = read_sound(writer.folder / "audio.flac")
    assert len(sound) == 7 * RATE
    assert np.flatnonzero(sound)[0] == 6 * RATE


def run_show(recorder: Recorder, clock: VirtualClock, seconds: float) -> None:
    """A deterministic show: waits for the recorder's thread before each tenth of a second."""
    for k in range(round(seconds * 10)):
        for j in range(6):
            recorder.offer(flat(10 * j), clock.now() + j / 60)
        samples = np.full((RATE // 10, 2), 0.1, np.float32)
        recorder.audio(samples, k * RATE // 10, clock.now() + 0.1)
        recorder.log(clock.now(), "note", {"k": k})
        while recorder.status.counters.log_lines < k + 1 and recorder.status.state == "recording":
            threading.Event().wait(0.001)
        clock.sleep(0.1)


def test_a_whole_session(tmp_path: Path) -> None:
    clock = VirtualClock(1000.0)
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 2, clock, min_free_mib=1)
    assert recorder.status.state == "idle"
    assert not recorder.offer(flat(0), 1000.0)
    about = About("tpos 0.1", "pocket", {"scale": 8}, preset="schema = 1\n", input="synth")
    assert recorder.start("my set", lambda: about) == "my set"
    assert recorder.log_state(clock.now(), ShowState(seed=11))
    with pytest.raises(RunError, match="already recording my set"):
        recorder.start()
    run_show(recorder, clock, 3.0)
    recorder.log_state(clock.now(), ShowState(seed=12))
    recorder.log_frame(Frame(5, np.zeros((1, 1, 4), np.uint8), 1002.5, 1002.6, 1, "", (), 12, 1))
    assert recorder.status.state == "recording"
    [summary] = recorder.stop()
    assert recorder.stop() == []
    assert (summary.path, summary.error) == (tmp_path / "my set", "")
    folder = summary.path
    info = read_video_info(folder / "video.mp4")
    assert (info.frames, info.sample_rate, info.channels) == (
        summary.counters.written + summary.counters.repeated,
        RATE,
        2,
    )
    assert info.duration_s == pytest.approx(3.0, abs=0.05)
    counters = summary.counters
    assert counters.offered == 180 == counters.written + sum(counters.dropped.values())
    assert counters.audio_s == pytest.approx(3.0, abs=0.01)
    session = open_session("my set", tmp_path)
    assert (session.info.state, session.info.size, session.info.fps) == ("complete", SIZE, FPS)
    assert session.record.counters == counters
    assert (session.record.model, session.record.spec, session.preset) == ("pocket", {"scale": 8}, "schema = 1\n")
    assert [session.state_at(t).seed for t in (0.0, 2.9, 3.1)] == [11, 11, 12]
    frame = next(line for line in session.log if line.kind == "frame")
    assert frame.time_s == pytest.approx(2.5, abs=0.01)
    assert frame.data == {"index": 5, "revision": 1, "seed": 12, "delay_s": 0.1}
    sound = session.sound()
    samples = np.concatenate(list(sound.blocks()))
    assert samples.shape == (3 * RATE, 2)
    assert np.abs(samples - 0.1).max() < 1e-6
    assert (sound.sample_rate, sound.duration_s) == (RATE, 3.0)


def test_a_flood_is_refused_and_counted(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 1, WallClock(), queue_mib=0, min_free_mib=1)
    recorder.start()
    start_s = WallClock().now()
    taken = sum(recorder.offer(flat(k % 256), start_s + k / FPS) for k in range(3000))
    [summary] = recorder.stop()
    counters = summary.counters
    assert counters.offered == 3000
    assert counters.dropped["queue"] == 3000 - taken > 0
    assert counters.written + counters.dropped.get("rate", 0) == taken


def test_due_spares_the_pictures_that_would_not_be_shown(tmp_path: Path) -> None:
    clock = VirtualClock(5.0)
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 1, clock, min_free_mib=1)
    assert not recorder.due(5.0)
    recorder.start()
    for k in range(60):
        time_s = 5.0 + k / 60
        if recorder.due(time_s):
            recorder.offer(flat(k), time_s)
    [summary] = recorder.stop()
    assert summary.counters.offered == pytest.approx(30, abs=1)
    assert not summary.counters.dropped


def test_names_that_are_no_text_are_kept_as_far_as_they_are(tmp_path: Path) -> None:
    """A prompt from a terminal, or a file's name, in Latin-1: Python hands its foreign bytes on as surrogates."""
    latin = b"caf\xe9".decode("utf-8", "surrogateescape")
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 1, WallClock(), min_free_mib=1)
    recorder.start("set", lambda: About(input=f"{latin}.wav", options={"lora": [latin]}))
    recorder.offer(flat(9), WallClock().now())
    assert recorder.log_state(WallClock().now(), ShowState(prompts=(Prompt(latin),), seed=3))
    [summary] = recorder.stop()
    assert not summary.error
    session = open_session("set", tmp_path)
    assert (session.record.input, session.record.options) == ("caf?.wav", {"lora": ["caf?"]})
    assert session.states[0][1] == ShowState(prompts=(Prompt("caf?"),), seed=3)


def test_a_broken_picture_ends_the_recording_not_the_show(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, SIZE, FPS, RATE, 1, WallClock(), min_free_mib=1)
    recorder.start("broken")
    now_s = WallClock().now()
    recorder.offer(flat(9), now_s)
    recorder.offer(np.zeros((4, 4), np.float32), now_s + 1.0)
    recorder.offer(flat(9), now_s + 2.0)
    [summary] = recorder.stop()
    assert "(4, 4) float32" in summary.error
    assert summary.counters.offered == 3 == summary.counters.written + sum(summary.counters.dropped.values())
    assert list_sessions(tmp_path)[0].state == "failed"
    assert read_video_info(tmp_path / "broken" / "video.mp4").frames > 0


def test_where_nothing_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in [tmp_path / "file"] + [Path("/proc/tpos")] * (sys.platform == "linux"):
        assert "cannot write" in refused(Recorder(root, SIZE, FPS, RATE, 1, WallClock()))
    recorder = Recorder(tmp_path / "root", SIZE, FPS, RATE, 1, WallClock(), min_free_mib=2**40)
    with pytest.raises(InputError, match="session name"):
        recorder.start("../../x")
    assert "disk nearly full" in refused(recorder)
    assert "Hz audio in aac" in refused(Recorder(tmp_path / "root", SIZE, FPS, 12_345, 1, WallClock(), min_free_mib=1))
    assert not list((tmp_path / "root").iterdir())
    assert recorder.status.state == "idle"


def refused(recorder: Recorder) -> str:
    """Why a recording cannot begin."""
    recorder.start()
    while not recorder.status.error:
        time.sleep(0.01)
    why = recorder.status.error
    assert recorder.status.path is None
    assert recorder.stop() == []
    return why


SHOW = """
import sys, time
from pathlib import Path
import numpy as np
from engine.core.clock import WallClock
from engine.recording.recorder import Recorder
from engine.core.messages import ShowState
clock = WallClock()
recorder = Recorder(Path(sys.argv[1]), (160, 120), 30, 44_100, 1, clock, min_free_mib=1)
recorder.start("show")
start_s = clock.now()
recorder.log_state(start_s, ShowState(seed=5))
noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
index = k = 0
while (elapsed_s := clock.now() - start_s) < float(sys.argv[2]):
    recorder.offer(np.roll(noise, k, 1), clock.now())
    count = int(elapsed_s * 44_100) - index
    recorder.audio(np.full((count, 1), 0.1, np.float32), index, clock.now())
    index, k = index + count, k + 1
    print(f"{elapsed_s:.3f} {recorder.status.state} {recorder.status.error}", flush=True)
    time.sleep(1 / 60)
[summary] = recorder.stop()
print("ended", summary.error, "|", summary.counters)
c = summary.counters
assert c.offered == c.written + sum(c.dropped.values()), c
"""


@POSIX
def test_kill_9_leaves_a_film_to_within_two_seconds(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SHOW, tmp_path, "60"], stdout=subprocess.PIPE, text=True) as show:
        assert show.stdout is not None
        elapsed_s = 0.0
        for line in show.stdout:
            elapsed_s = float(line.split()[0])
            if elapsed_s > 3.7:
                break
        assert list_sessions(tmp_path)[0].state == "recording"
        show.send_signal(signal.SIGKILL)
    folder = tmp_path / "show"
    info = read_video_info(folder / "video.mp4")
    assert info.duration_s >= elapsed_s - 2.0
    assert info.audio_duration_s >= elapsed_s - 2.0
    assert sum(1 for _ in read_frames(folder / "video.mp4")) >= (elapsed_s - 2.0) * FPS
    session = open_session("show", tmp_path)
    assert session.info.state == "cut short"
    assert session.info.duration_s == pytest.approx(elapsed_s, abs=2.0)
    assert session.state_at(1.0).seed == 5
    sound = session.sound()
    assert sound.duration_s >= elapsed_s - 2.0
    assert np.abs(np.concatenate(list(sound.blocks()))[RATE // 2 :] - 0.1).max() < 1e-6


@POSIX
def test_a_full_disk_stops_the_recording_and_not_the_show(tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n" + SHOW
    run = subprocess.run(
        [sys.executable, "-c", limited, tmp_path, "4"], capture_output=True, text=True, timeout=120, check=True
    )
    lines = run.stdout.splitlines()
    failed = [line for line in lines if " failed cannot write " in line]
    assert 0 < len(failed) < len(lines)
    assert "File too large" in failed[0]
    assert float(lines[-2].split()[0]) > 3.5
    assert lines[-1].startswith("ended cannot write")
    info = list_sessions(tmp_path)[0]
    assert (info.state, "File too large" in info.error) == ("failed", True)
    stopped_s = float(failed[0].split()[0])
    film = read_video_info(tmp_path / "show" / "video.mp4")
    assert stopped_s - 2.0 <= film.duration_s <= stopped_s + 0.1
    assert open_session("show", tmp_path).state_at(0.0).seed == 5
