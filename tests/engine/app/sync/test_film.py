"""Films of the test as cameras make them, rendered with a known delay between flash and click, read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.app.sync.film import read_film
from engine.app.sync.signal import find_clicks
from engine.cli.main import main
from export.media.video import VideoWriter
from export.media.writing import SoundWriter
from tpos_models.errors import MediaError, MissingFileError

RATE = 48_000
PERIOD_S, FLASH_S, CLICK_S = 1.0118, 0.12, 0.010
"""As `docs/midi.md` describes the test."""
SIZE = (64, 36)


def beep() -> np.ndarray:
    """A chirp of 10 ms from 1 to 8 kHz under a Hann window: its phase is the sum of its frequencies."""
    n = round(CLICK_S * RATE)
    hz = np.linspace(1000, 8000, n)
    return np.hanning(n) * np.sin(2 * np.pi * np.cumsum(hz) / RATE)


def sound(seconds: float, heard_s: list[float], rng: np.random.Generator) -> np.ndarray:
    """A room: clicks, their echo off a wall 20 ms later, and noise 30 dB below."""
    room, one = rng.normal(0, 0.01, round(seconds * RATE)), beep()
    for at_s in heard_s:
        for late_s, gain in ((0.0, 0.4), (0.0213, 0.3)):
            at = round((at_s + late_s - CLICK_S / 2) * RATE)
            room[at : at + len(one)] += gain * one[: len(room) - at]
    return room


def shot(seen: bool, rng: np.random.Generator) -> np.ndarray:
    """A dark room, a lamp in it, and a screen in a third of the picture."""
    picture = rng.normal(30, 4, (SIZE[1], SIZE[0], 3))
    picture[:5, :5] = 220
    picture[10:27, 20:47] += 140 * seen
    return picture.clip(0, 255).astype(np.uint8)


SHOTS = {seen: [shot(seen, np.random.default_rng(n)) for n in range(4)] for seen in (False, True)}


def film(path: Path, fps: float, late_s: float, slowed: float = 1.0, flashes: int = 6) -> Path:
    """What a camera sees of `flashes` seconds where each flash is seen `late_s` after its click is heard."""
    rng = np.random.default_rng(3)
    seconds = (flashes + 0.5) * PERIOD_S
    clicks_s = [0.7 + k * PERIOD_S for k in range(flashes)]
    with VideoWriter(path, SIZE, fps / slowed, RATE, 1) as writer:
        heard = sound(seconds, clicks_s, rng)
        stretched = np.interp(np.arange(round(len(heard) * slowed)) / slowed, np.arange(len(heard)), heard)
        writer.write_audio(stretched[:, None].astype(np.float32), 0)
        for n in range(int(seconds * fps)):
            lit = any(0 <= n / fps - (click_s + late_s) < FLASH_S for click_s in clicks_s)
            writer.write_video(SHOTS[lit][n % 4], n * slowed / fps)
    return path


@pytest.mark.parametrize(
    ("fps", "late_s", "within_s"), [(120.0, 0.0437, 0.002), (120.0, -0.1812, 0.002), (30.0, 0.011, 0.005)]
)
def test_a_known_delay_is_read_back(tmp_path: Path, fps: float, late_s: float, within_s: float) -> None:
    filmed = read_film(film(tmp_path / "film.mp4", fps, late_s))
    assert filmed.picture.late_s == pytest.approx(late_s, abs=within_s)
    assert filmed.picture.count == 6
    assert filmed.slowed == 1.0
    assert filmed.frame_s == pytest.approx(1 / fps, rel=0.01)


def test_slow_motion_is_known_by_its_period(tmp_path: Path) -> None:
    filmed = read_film(film(tmp_path / "slow.mp4", 80.0, 0.0437, slowed=4.0))
    assert filmed.slowed == pytest.approx(4.0, rel=0.01)
    assert filmed.picture.late_s == pytest.approx(0.0437, abs=0.003)
    assert filmed.frame_s == pytest.approx(1 / 80, rel=0.01)


def test_what_it_says_is_kept_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as done:
        main(["sync", str(film(tmp_path / "film.mp4", 60.0, 0.0437))])
    said = capsys.readouterr().out
    kept = (tmp_path / "tpos" / "latencies.toml").read_text()
    assert done.value.code == 0
    assert "later" in said
    ms = float(kept.partition("display_ms = ")[2].split()[0])
    assert ms == pytest.approx(43.7, abs=5)
    assert f"display {ms:g} ms" in said


def test_a_first_way_that_is_weaker_than_an_echo_counts() -> None:
    """Out of the loudspeaker's axis, before a wall: what comes by way of the wall is stronger."""
    heard_s = [0.5 + k * PERIOD_S for k in range(6)]
    rng = np.random.default_rng(6)
    room = sound(7.0, [at_s + 0.0113 for at_s in heard_s], rng) + 0.7 * sound(7.0, heard_s, rng)
    assert find_clicks(room, RATE) == pytest.approx(heard_s, abs=0.0003)


def pictures(path: Path, lit: Callable[[float], bool], heard: np.ndarray | None) -> Path:
    with VideoWriter(path, SIZE, 30.0, None if heard is None else RATE, 1) as writer:
        if heard is not None:
            writer.write_audio(heard[:, None].astype(np.float32), 0)
        for n in range(240):
            writer.write_video(SHOTS[lit(n / 30)][n % 4], n / 30)
    return path


def on_time(at_s: float) -> bool:
    return (at_s - 0.5) % PERIOD_S < FLASH_S


CLICKS = [0.5 + k * PERIOD_S for k in range(7)]


@pytest.mark.parametrize(
    ("lit", "heard", "words"),
    [
        (on_time, None, "no sound"),
        (lambda at_s: False, sound(8, CLICKS, np.random.default_rng(0)), "no flashes in its pictures"),
        (lambda at_s: 1 < at_s < 2, sound(8, CLICKS, np.random.default_rng(0)), "1 flashes in its pictures"),
        (lambda at_s: at_s % 0.5 < FLASH_S, sound(8, CLICKS, np.random.default_rng(0)), r"flashes every 0\.50 s"),
        (on_time, np.random.default_rng(0).normal(0, 0.2, 8 * RATE), "no clicks in its sound"),
        (on_time, np.zeros(8 * RATE), "no clicks in its sound"),
        (on_time, sound(8, [0.5 + 0.8 * k for k in range(9)], np.random.default_rng(0)), "9 clicks in its sound"),
    ],
)
def test_a_film_of_something_else_is_refused_in_a_line(
    tmp_path: Path, lit: Callable[[float], bool], heard: np.ndarray | None, words: str
) -> None:
    with pytest.raises(MediaError, match=words) as refused:
        read_film(pictures(tmp_path / "other.mp4", lit, heard))
    assert "accepted" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_film_that_is_not_there_or_has_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_film(tmp_path / "none.mp4")
    with SoundWriter(tmp_path / "sound.flac", RATE, 1) as writer:
        writer.write(np.zeros((RATE, 1), np.float32), 0)
    with pytest.raises(MediaError, match="no picture"):
        read_film(tmp_path / "sound.flac")
