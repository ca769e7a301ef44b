"""The main job on real parts: a virtual sound card, PortAudio, the model, EGL, OSC, a recording that plays."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from pythonosc.udp_client import SimpleUDPClient

from engine.inference.loading import open_model
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.pocket.synth.sounds import synthesise

RATE = 44_100

LIVE = ("live", "--headless", "--size", "160x160", "--fps", "8")

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """The networks are built for this machine before any show starts: that takes longer than a sound lasts."""
    open_model("pocket")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """`tpos live` in a process of its own, recording."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "engine.cli", *LIVE, "--json", "--record", str(folder)),
                *("--osc-port", str(self.port), *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.osc = SimpleUDPClient("127.0.0.1", self.port)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.osc._sock.close()

    def wait_for_film(self, seconds: float = 1.0, frames: int = 1, patience_s: float = 120.0) -> Path:
        """The session's folder, once about `seconds` of film with so many sampled frames are on the disk."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and self.process.poll() is None:
            for log in self.folder.glob("*/control.jsonl"):
                lines = [json.loads(line) for line in log.read_text().splitlines()[:-1]]
                sampled = [line for line in lines if line["kind"] == "frame"]
                if sampled and sampled[-1]["time_s"] > seconds and sampled[-1]["data"]["index"] >= frames:
                    return log.parent
            time.sleep(0.05)
        assert self.process.stderr
        ended = self.process.poll() is not None
        pytest.fail(f"no film came: {self.process.stderr.read() if ended else 'still running'}")

    def end(self) -> dict:
        """Ctrl-C; the closing summary."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=240)
        assert self.process.returncode == 0, err
        return json.loads(out)


def test_sound_through_a_sound_card_becomes_frames_and_a_film(virtual_mixer, tmp_path):
    thunder = np.tile(synthesise("thunder", 4.0, 2), 6)
    playing = virtual_mixer.play(thunder)
    try:
        with Running(tmp_path, "--input", "default", "--prompt", "a lake", env=virtual_mixer.env) as live:
            live.wait_for_film(3.0)
            live.osc.send_message("/tpos/prompt", "a city at night")
            session = live.wait_for_film(5.0, frames=11)
            summary = live.end()
    finally:
        playing.kill()
        playing.wait()
    assert summary["frames"] > 10
    assert summary["audio"]["overruns"] == 0
    assert "thunder" in [heard["phrase"] for heard in summary["heard"]][:3]
    video = session / "video.mp4"
    info = read_video_info(video)
    assert (info.width, info.height) == (160, 160)
    assert abs(info.duration_s - info.audio_duration_s) < 0.2
    sound, _ = read_sound(video)
    assert float(np.sqrt((sound**2).mean())) > 0.003
    frames = [frame.astype(int) for _, frame in read_frames(video)]
    assert np.abs(frames[-1] - frames[len(frames) // 3]).mean() > 5, "the new prompt changed nothing"
    states = [json.loads(line) for line in (session / "control.jsonl").read_text().splitlines()]
    prompts = [state["data"]["prompts"][0]["text"] for state in states if state["kind"] == "state"]
    assert prompts[0] == "a lake"
    assert prompts[-1] == "a city at night"
    counters = summary["recordings"][0]["counters"]
    assert counters["offered"] == counters["written"] + sum(counters["dropped"].values())


def test_a_killed_show_leaves_a_film_that_plays(tmp_path):
    with Running(tmp_path, "--input", "synth") as live:
        session = live.wait_for_film(3.0)
        live.process.kill()
    logged = [json.loads(line) for line in (session / "control.jsonl").read_text().splitlines()[:-1]]
    killed_s = max(line["time_s"] for line in logged)
    assert read_video_info(session / "video.mp4").duration_s > killed_s - 2.0


def test_a_broken_recording_folder_stops_the_recording_not_the_show(tpos, tmp_path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("in the way")
    summary = tpos(*LIVE, "--record", blocked, "--osc-port", 0, "--input", "synth", "--mute", "--seconds", 3)
    assert summary["frames"] > 0
    assert summary["recordings"] == []
    assert any("a file, not a folder" in trouble for trouble in summary["troubles"])


def test_a_film_from_a_file_ends_with_the_file_and_can_be_exported(tpos, tmp_path):
    path, bigger = tmp_path / "waves.wav", tmp_path / "bigger.mp4"
    sf.write(path, synthesise("waves", 3.0, 4), RATE)
    played = tpos(*LIVE, "--record", tmp_path, "--osc-port", 0, "--input", path, "--mute", "--prompt", "a beach")
    recording = played["recordings"][0]
    assert recording["duration_s"] == pytest.approx(3.0, abs=0.8)
    tpos("sessions", "export", recording["path"], "-o", bigger, "--size", "320x240", "--fps", 8)
    info = read_video_info(bigger)
    assert (info.width, info.height) == (320, 240)
    assert info.duration_s == pytest.approx(recording["duration_s"], abs=0.6)


def test_a_still_picture_costs_no_frames_is_no_trouble_and_is_filmed_all_along(tpos, tmp_path):
    still = ("--motion", 0, "--amount", 0)
    summary = tpos(*LIVE, *still, "--record", tmp_path, "--osc-port", 0, "--input", "synth", "--mute", "--seconds", 5)
    assert summary["frames"] <= 2
    assert summary["still_s"] > 3.5
    assert (summary["troubles"], summary["restarts"]) == ([], 0)
    assert summary["heard"], "what sounds is named though no frame is shaped by it"
    film = Path(summary["recordings"][0]["path"]) / "video.mp4"
    times = [time_s for time_s, _ in read_frames(film)]
    assert times[-1] - times[0] > 3.5
    assert np.diff(times).max() < 0.5
