"""Stems from a file with four channels to a film: wherever they lie the same, every time, and from its record too."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from engine.app.offline import FilmOptions, render_file, render_session
from engine.app.options import LookOptions, ModelOptions
from engine.recording.session import SessionRecord, open_session, to_log, write_record
from export.media.reading import read_frames, read_video_info
from tpos_models.errors import DeviceError
from tpos_models.pocket.synth.sounds import synthesise

FPS, RATE, SECONDS = 5, 44_100, 3
LOOK = """schema = 1
prompts = ["a wide plain at dusk"]
motion = 0.0
slew_s = 0.1
[shader]
zoom = 0.0
warp = 0.0
glow = 0.0
colour = 0.0
grain = 0.0
beat_pulse = 0.0
[[stem]]
name = "drums"
channels = [1, 2]
[[stem]]
name = "sky"
channels = [3, 4]
[[rule]]
stem = "drums"
follow = "level"
show = "fire and tall flames"
[[rule]]
stem = "sky"
hear = "birds singing"
show = "heavy snow"
"""


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """A beat at first, then birds: two pairs of channels (n, 4), in steps that 16 bits hold halved."""
    beat, birds = synthesise("beat", SECONDS, 1), synthesise("sunny", SECONDS, 2)
    beat[RATE * 3 // 2 :], birds[: RATE * 3 // 2] = 0, 0
    pairs = np.stack([beat, beat, birds, birds], axis=1)
    return (np.round(pairs * 8000) * 4 / 32_768).astype(np.float32)


@pytest.fixture
def look(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(LOOK)
    return path


def film(folder: Path, sound: np.ndarray, look: Path, *stem: str) -> np.ndarray:
    """The pictures (frames, height, width, 3) of `tpos render`."""
    sf.write(folder / "wide.wav", sound, RATE, "PCM_16")
    options = LookOptions(preset=str(look), precision="fp32", stem=list(stem) or None)
    render_file(folder / "wide.wav", FilmOptions(folder / "a.mp4", (96, 96), FPS), options, lambda share: None)
    return np.stack([frame for _, frame in read_frames(folder / "a.mp4")])


def test_a_channel_is_a_channel_wherever_it_lies(tmp_path: Path, look: Path, sound: np.ndarray) -> None:
    once, again = film(tmp_path, sound, look), film(tmp_path, sound, look)
    np.testing.assert_array_equal(once, again)
    assert read_video_info(tmp_path / "a.mp4").channels == 2, "its sound is the main mix"
    crossed = sound[:, [2, 3, 0, 1]]
    np.testing.assert_array_equal(film(tmp_path, crossed, look, "drums=3,4", "sky=1,2"), once)
    swapped = film(tmp_path, crossed, look).astype(int)
    assert np.abs(swapped[:6] - once[:6]).mean() > 4, "no flames without a beat among the drums"


def test_stems_that_no_rule_listens_to_change_nothing(tmp_path: Path, look: Path, sound: np.ndarray) -> None:
    without = tmp_path / "one.toml"
    plain = LOOK.partition("[[stem]]")[0] + '[[rule]]\nhear = "birds singing"\nshow = "heavy snow"\n'
    without.write_text(plain)
    look.write_text(plain + '[[stem]]\nname = "drums"\nchannels = [1, 2]\n')
    np.testing.assert_array_equal(film(tmp_path, sound, look), film(tmp_path, sound, without))


def test_a_session_with_stems_is_the_film_of_its_sound(tmp_path: Path, look: Path, sound: np.ndarray) -> None:
    """As `tpos render` draws it from the channels themselves."""
    folder = tmp_path / "set"
    folder.mkdir()
    write_record(folder, SessionRecord("2026-01-02T03:04:05+00:00", os.getpid(), (96, 96), FPS, RATE, 2))
    sf.write(folder / "audio.flac", (sound[:, :2] + sound[:, 2:]) / 2, RATE, "PCM_24")
    sf.write(folder / "stems.flac", np.stack([sound[:, 0], sound[:, 2]], axis=1), RATE, "PCM_24")
    state = LookOptions(preset=str(look), stem=["sky=4"]).build_show()[0].state
    (folder / "control.jsonl").write_text(json.dumps({"time_s": 0.0, "kind": "state", "data": to_log(state, 0.0)}))
    again = FilmOptions(tmp_path / "again.mp4", (96, 96), FPS)
    render_session(open_session(folder), again, ModelOptions(precision="fp32"), lambda share: None)
    frames = np.stack([frame for _, frame in read_frames(tmp_path / "again.mp4")])
    np.testing.assert_array_equal(frames, film(tmp_path, sound, look))


@pytest.mark.realtime
def test_a_live_show_hears_its_stems_and_records_them_beside_the_main_mix(
    tpos: Callable[..., dict[str, Any]], tmp_path: Path, look: Path, sound: np.ndarray
) -> None:
    sf.write(tmp_path / "wide.wav", np.tile(sound, (2, 1)), RATE)
    summary = tpos(
        *("live", "--headless", "--mute", "--osc-port", 0, "--size", "64x64", "--input", tmp_path / "wide.wav"),
        *("--preset", look, "--record", tmp_path / "sets"),
    )
    assert "sky: birds singing" in [heard["phrase"] for heard in summary["heard"]]
    session = open_session(summary["recordings"][0]["path"])
    left, _, drums, sky, *rest = np.concatenate(list(session.sound().blocks())).T
    assert np.abs(drums).max() > 0.1 < np.abs(sky).max()
    np.testing.assert_allclose((drums + sky) / 2, left, atol=2**-22)
    assert not np.any(rest)
    assert [stem.channels for stem in session.state_at(1.0).stems] == [(1,), (2,)]


def test_a_sound_without_the_channels_is_refused(tmp_path: Path, look: Path, sound: np.ndarray) -> None:
    with pytest.raises(DeviceError, match=r"^stem sky: wide\.wav has channels 1\.\.2, not 3,4; --stem sky=1 would be"):
        film(tmp_path, sound[:, :2], look)
