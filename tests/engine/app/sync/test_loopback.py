"""The clicks of the test, played and heard: through a real sound system, and over a wire of known length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from virtual_audio import VirtualMixer

from engine.app.sync.loopback import Clicks, Echo
from engine.audio.sources import PacedSource
from engine.cli.main import main
from engine.core.clock import WallClock

pytestmark = pytest.mark.realtime

RATE = 44_100
LATE_S = 0.0371


class Wire(PacedSource):
    """Hears a metronome of chirps that are late by `LATE_S`, as strong as `gain`, in noise."""

    def __init__(self, clock: WallClock, gain: float) -> None:
        rng = np.random.default_rng(1)
        n = 441
        one = np.hanning(n) * np.sin(2 * np.pi * np.cumsum(np.linspace(1000, 8000, n)) / RATE)
        self.sound = rng.normal(0, 0.01, (round(8.5 * RATE), 1)).astype(np.float32)
        for k in range(7):
            at = round((1.0 + k * 1.0118 + LATE_S) * RATE) - n // 2
            self.sound[at : at + n, 0] += gain * one
        super().__init__("wire", RATE, 1, clock, False)

    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        for start in range(0, len(self.sound), self.block_frames):
            yield self.sound[start : start + self.block_frames]


def heard(source: PacedSource) -> tuple[Echo, float]:
    """Everything that a source gives, at once, and when it began."""
    echo, starts = Echo(source), []
    for n, block in enumerate(source.blocks(False)):
        end_s = 100.0 + (n * source.block_frames + len(block)) / RATE
        starts.append(end_s)
        source.ring.write(block, end_s + 0.0003 * (n % 3), end_s)
        echo.follow()
    return echo, 100.0


def test_a_wire_of_known_length_is_measured() -> None:
    found = Echo.measure(*heard(Wire(WallClock(), 0.1)))
    assert found is not None
    assert found.late_s == pytest.approx(LATE_S, abs=0.0005)
    assert found.count == 7
    assert found.spread_s < 0.0002


def test_noise_alone_is_no_click() -> None:
    assert Echo.measure(*heard(Wire(WallClock(), 0.0))) is None


def test_every_click_is_where_its_moment_is() -> None:
    clicks = Clicks(WallClock())
    blocks, total = clicks.blocks(True), []
    for _ in range(round(6.0 * RATE / clicks.block_frames)):
        total.append(next(blocks))
    sound = np.concatenate(total)[:, 0]
    energy = np.convolve(sound**2, np.ones(441), "same")
    for k in range(4):
        moment = (1.0 + k * 1.0118) * RATE
        near = energy[round(moment) - 2000 : round(moment) + 2000]
        assert near.argmax() == pytest.approx(2000, abs=2)
    assert np.count_nonzero(np.abs(sound) > 0.01) < 5 * 441


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "tpos"


def sync(*words: str) -> object:
    with pytest.raises(SystemExit) as done:
        main(["sync", *words])
    return done.value.code


@pytest.mark.realtime
def test_a_virtual_sound_card_hears_itself(
    virtual_mixer: VirtualMixer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sync("--headless", "--input", "default", "--seconds", "7.5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["flashes"] == 7
    assert report["loopback"]["count"] >= 5
    assert report["loopback"]["spread_s"] < 0.02
    assert -0.02 < report["loopback"]["late_s"] < 0.08  # the sink holds 50 ms, and says so
    assert f"loopback_ms = {report['loopback_ms']}" in (folder / "latencies.toml").read_text()


@pytest.mark.realtime
def test_an_input_that_hears_nothing_is_said(
    virtual_mixer: VirtualMixer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with virtual_mixer.desk(), pytest.MonkeyPatch.context() as patch:  # another sink, whose monitor is listened to
        patch.setenv("PULSE_SINK", "mixer")
        assert sync("--headless", "--input", "default", "--seconds", "2.6") == 1
    said = capsys.readouterr().err
    assert "none of 2 clicks was heard; an input that hears the output would be accepted" in said
    assert not folder.exists()


def test_what_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sync("--headless", "--input", "no such card") == 2
    assert "no such card" in capsys.readouterr().err
    assert sync("--display-ms", "900") == 2
    assert "-510 to 510 would be accepted" in capsys.readouterr().err
    assert sync("film.mp4", "--display-ms", "9") == 2
