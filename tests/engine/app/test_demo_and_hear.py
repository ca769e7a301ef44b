"""The first two commands a newcomer runs: `tpos demo` without a screen, and `tpos hear` on a sound they know."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from engine.app import demo
from engine.app.builder import OscOptions
from engine.app.live import LiveOptions, run_live
from engine.app.stats import LiveSummary
from engine.audio import soundtrack
from engine.audio.portaudio import Device
from engine.cli import main
from export.media.reading import read_frames, read_sound
from tpos_models.errors import DeviceError, MissingPart
from tpos_models.pocket.synth.sounds import synthesise

pytestmark = pytest.mark.realtime

RATE = 44_100


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo records: a folder of the test's own."""
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path / "recordings"))
    return tmp_path / "recordings"


def inputs(monkeypatch: pytest.MonkeyPatch, devices: list[Device] | Exception) -> None:
    """The inputs that this machine has, or why it cannot say."""

    def listed() -> list[Device]:
        if isinstance(devices, Exception):
            raise devices
        return devices

    monkeypatch.setattr(demo, "list_devices", listed)


def device(channels: int, is_monitor: bool) -> Device:
    return Device(0, "somewhere", "ALSA", channels, RATE, is_monitor=is_monitor)


def test_a_demo_without_screen_and_microphone_plays_and_records(
    recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs(monkeypatch, [])
    next(soundtrack.stream())  # synthesised once in a process: a busy machine takes longer than this demo lasts
    monkeypatch.setattr(
        demo, "run_live", lambda options, quiet: run_live(replace(options, osc=OscOptions(port=0)), quiet)
    )
    summary = demo.run_demo("default", 6.0, headless=True)
    assert "demo: the built-in soundtrack, no screen: 6 s without a window, recording" in capsys.readouterr().err
    assert summary.frames > 3
    (session,) = recordings.iterdir()
    pictures = [image for _, image in read_frames(session / "video.mp4")]
    assert len(pictures) > 30
    assert pictures[-1].mean() > 20
    assert np.abs(pictures[-1].astype(int) - pictures[len(pictures) // 2]).mean() > 0.5, "it moves"
    sound, rate = read_sound(session / "video.mp4")
    assert len(sound) / rate > 1.5
    assert np.sqrt((sound**2).mean()) > 0.01


class Played:
    """Stands in for the show: remembers what was asked for; a window is what this machine lacks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, window: bool) -> None:
        self.asked: list[LiveOptions] = []
        self._window = window
        monkeypatch.setattr(demo, "run_live", self)
        monkeypatch.setattr(demo, "has_screen", lambda: True)

    def __call__(self, options: LiveOptions, quiet: bool) -> LiveSummary | None:
        self.asked.append(options)
        if not (options.headless or self._window):
            raise MissingPart("no OpenGL")
        return None


def test_where_a_window_will_not_open_the_demo_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs(monkeypatch, [])
    played = Played(monkeypatch, window=False)
    demo.run_demo("default", None, headless=False)
    assert [(options.headless, options.seconds) for options in played.asked] == [(False, None), (True, 20.0)]
    assert "no OpenGL; going on without a window" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "source"),
    [
        ([device(2, is_monitor=False)], "default"),
        ([device(2, is_monitor=True)], "synth"),
        ([device(0, is_monitor=False)], "synth"),
        ([], "synth"),
        (MissingPart("no PortAudio"), "synth"),
        (DeviceError("PortAudio broke"), "synth"),
    ],
)
def test_the_demo_listens_to_a_microphone_if_there_is_one(
    found: list[Device] | Exception, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs(monkeypatch, found)
    played = Played(monkeypatch, window=True)
    demo.run_demo("default", None, headless=False, quiet=True)
    (options,) = played.asked
    assert (options.source, options.headless, options.seconds) == (source, False, None)
    assert options.record is not None


@pytest.fixture(scope="module")
def rain_then_thunder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "weather.wav"
    rain, thunder = (synthesise(name, 4.0, 3, RATE) for name in ("rain", "thunder"))
    sf.write(path, np.concatenate([rain, np.zeros(RATE, np.float32), thunder]), RATE)
    return path


def hear(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `tpos hear` prints where it succeeds."""
    with pytest.raises(SystemExit) as ended:
        main(["hear", *arguments])
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


def best(segment: dict[str, Any]) -> str:
    return max(segment["phrases"], key=lambda phrase: phrase["weight"])["phrase"]


def test_hear_names_what_is_heard_when_it_is_heard(rain_then_thunder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(hear(capsys, str(rain_then_thunder), "--json"))
    segments = report["segments"]
    assert segments[0]["start_s"] == 0
    assert all(one["end_s"] == other["start_s"] for one, other in itertools.pairwise(segments))
    assert segments[-1]["end_s"] == pytest.approx(9.0, abs=1.8)
    assert best(segments[1]) == "rain"
    assert best(segments[-1]) == "thunder"
    assert all(-90 <= segment["loudness_db"] <= 0 and 0 <= segment["beta"] <= 1 for segment in segments)
    assert {phrase["phrase"] for phrase in report["overall"][:2]} == {"rain", "thunder"}


def test_hear_listens_for_what_it_is_asked(rain_then_thunder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = hear(capsys, str(rain_then_thunder), "--phrases", "thunder,birds", "--seconds", "4")
    *segments, music, overall = out.splitlines()
    assert music.startswith("tempo: ")
    assert overall.startswith("overall: ")
    assert all(" dB  attention " in line for line in segments)
    assert "birds" in overall
    assert "rain" not in out


@pytest.mark.parametrize(("channels", "loud"), [("1,2", False), ("3", True), ("3,4", True), ("", True)])
def test_hear_listens_to_the_channels_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], channels: str, loud: bool
) -> None:
    """Of four channels rain is on the third."""
    four = np.zeros((2 * RATE, 4), np.float32)
    four[:, 2] = synthesise("rain", 2.0, 3, RATE)
    sf.write(tmp_path / "four.wav", four, RATE)
    asked = ["--channels", channels] if channels else []
    report = json.loads(hear(capsys, str(tmp_path / "four.wav"), "--json", *asked))
    assert (report["segments"][0]["loudness_db"] > -60) == loud


def test_hear_says_tempo_beats_and_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    t = np.arange(RATE // 2) / RATE
    kick = 0.7 * np.sin(2 * np.pi * (50 * t + 3 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.08)
    sf.write(tmp_path / "kicks.wav", np.tile(kick, 32), RATE)
    report = json.loads(hear(capsys, str(tmp_path / "kicks.wav"), "--json"))
    assert report["bpm"] == pytest.approx(120, abs=1)
    beats, bars = np.array(report["beats"]), np.array(report["downbeats"])
    late = beats[beats > 8]
    np.testing.assert_allclose((late + 0.25) % 0.5 - 0.25, 0, atol=0.05)
    np.testing.assert_allclose(np.diff(late), 0.5, atol=0.05)
    assert set(bars) <= set(beats)
    np.testing.assert_allclose(np.diff(bars[bars > 8]), 2.0, atol=0.05)
    assert report["sections"] == []
