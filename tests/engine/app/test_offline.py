"""Rendering on the virtual clock: exact repeats, films that read back, sessions re-rendered."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from engine.app.offline import FilmOptions, render_file
from engine.app.options import LookOptions
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.pocket.synth.sounds import synthesise

RATE = 44_100


@pytest.fixture(scope="module")
def thunder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "thunder.wav"
    quiet = np.zeros(RATE // 2, np.float32)
    sf.write(path, np.concatenate([quiet, synthesise("thunder", 1.0, 1)]), RATE)
    return path


def film(path, audio, seed) -> list[np.ndarray]:
    look = LookOptions(prompt="a lake", settings={"seed": seed})
    render_file(audio, FilmOptions(path, (128, 128), 10.0), look, lambda share: None)
    return [frame for _, frame in read_frames(path)]


def test_a_film_has_the_sounds_length_and_its_sound(thunder, tmp_path):
    shares: list[float] = []
    options = FilmOptions(tmp_path / "a.mp4", (160, 96), 10.0)
    summary = render_file(thunder, options, LookOptions(prompt="a lake"), shares.append)
    info = read_video_info(tmp_path / "a.mp4")
    assert (info.width, info.height, info.frames) == (160, 96, summary["frames"])
    assert info.duration_s == pytest.approx(1.5, abs=0.11)
    assert info.audio_duration_s == pytest.approx(1.5, abs=0.06)
    sound, rate = read_sound(tmp_path / "a.mp4")
    loud = np.abs(sound).max(1)
    assert loud[: rate // 3].max() < 0.01 < loud[rate // 2 :].max()
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0


def test_same_sound_same_look_same_film(thunder, tmp_path):
    once, again = film(tmp_path / "1.mp4", thunder, seed=4), film(tmp_path / "2.mp4", thunder, seed=4)
    assert len(once) == len(again)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    other = film(tmp_path / "3.mp4", thunder, seed=5)
    assert np.abs(other[0].astype(int) - once[0]).mean() > 5


def test_seconds_cut_the_film_short(thunder, tmp_path):
    summary = render_file(
        thunder, FilmOptions(tmp_path / "s.mp4", (64, 64), 10.0, 0.5), LookOptions(), lambda share: None
    )
    assert summary["frames"] == 5
