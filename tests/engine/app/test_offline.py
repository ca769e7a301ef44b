"""Rendering on the virtual clock: exact repeats, films that read back, sessions re-rendered."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from engine.app.offline import FilmOptions, OfflineShow, play, render_file
from engine.app.options import LookOptions
from engine.core.messages import AudioFeatures, Frame, ShowState
from engine.inference.loading import open_model
from export.media.reading import read_frames, read_sound, read_video_info
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.precision import Precision

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
    torch.backends.cudnn.benchmark = True  # as a GPU's runner leaves it
    once, again = film(tmp_path / "1.mp4", thunder, seed=4), film(tmp_path / "2.mp4", thunder, seed=4)
    assert not torch.backends.cudnn.benchmark, "which convolution is the fastest is not the same on every run"
    assert len(once) == len(again)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    other = film(tmp_path / "3.mp4", thunder, seed=5)
    assert np.abs(other[0].astype(int) - once[0]).mean() > 5


def test_seconds_cut_the_film_short(thunder, tmp_path):
    summary = render_file(
        thunder, FilmOptions(tmp_path / "s.mp4", (64, 64), 10.0, 0.5), LookOptions(), lambda share: None
    )
    assert summary["frames"] == 5


STILL = {f"shader.{name}": 0.0 for name in ("zoom", "warp", "glow", "colour", "grain", "beat_pulse")} | {"motion": 0.0}
"""Nothing moves the picture but what is heard."""


def pictures(folder, sound, fps=10.0, **settings) -> np.ndarray:
    """The film (frames, height, width, 3) of a sound over a beach."""
    sf.write(folder / "sound.wav", sound, RATE, subtype="FLOAT")
    look = LookOptions(prompt="a beach", settings=STILL | settings)
    render_file(folder / "sound.wav", FilmOptions(folder / "film.mp4", (128, 128), fps), look, lambda share: None)
    return np.stack([frame for _, frame in read_frames(folder / "film.mp4")]).astype(float)


class Watching:
    """A screen that keeps what it is shown, and draws nothing."""

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def show(self, frame: Frame) -> None:
        self.shown.append(frame.image)

    def render(self, features: Callable[[], AudioFeatures], state: ShowState, now_s: float) -> np.ndarray:
        return np.zeros((4, 4, 3), np.uint8)


def played(sound, state_at) -> list[tuple[float, AudioFeatures]]:
    """What the reactive layer is told, frame by frame."""
    watching: Any = Watching()
    show = OfflineShow(open_model("pocket", precision=Precision.FP32))
    blocks = iter([sound.astype(np.float32)[:, None]])
    return [(moment.now_s, moment.features) for moment, _ in play(show, blocks, state_at, watching, 25.0)]


def test_what_moves_the_reactive_layer_is_the_moments_own():
    """Though the sound is heard ahead: a click is a hit in its own frame, and so does the operator's trim count."""
    hiss = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    plain = ShowState(agc=False, freeze=True)  # no picture is asked for
    trimmed = replace(plain, audio_gain_db=-24.0)
    told = played(hiss, lambda now_s: plain if now_s < 1.5 else trimmed)
    level = np.array([features.level for _, features in told])
    assert level[30:38].min() > 0.9 * level[30]
    assert level[45] < 0.7 * level[30]
    click = 0.001 * hiss
    click[round(1.0 * RATE) : round(1.01 * RATE)] = 0.9
    hits = [now_s for now_s, features in played(click, lambda now_s: plain) if features.onset > 0.5]
    assert 0.95 <= hits[0] <= 1.1


def test_what_moves_goes_on_after_a_freeze_from_where_it_stood():
    """Ten frames, and the same ten with ten seconds of freeze in their middle."""

    def shown(seconds: float, frozen: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        watching: Any = Watching()
        show = OfflineShow(open_model("pocket", precision=Precision.FP32))
        moving, blocks = ShowState(motion=1.0), iter([np.zeros((round(seconds * RATE), 1), np.float32)])
        states = play(show, blocks, lambda now_s: replace(moving, freeze=frozen[0] < now_s < frozen[1]), watching, 10.0)
        assert len([*states]) == round(10 * seconds)
        return np.stack(watching.shown)

    steady, held = shown(1.0), shown(11.0, frozen=(0.45, 10.45))
    assert len(held) == len(steady) == 10
    assert np.abs(np.diff(steady.astype(int), axis=0)).max((1, 2, 3)).min() > 0, "it moves"
    np.testing.assert_array_equal(held, steady)


def test_a_film_that_is_stopped_ends_with_what_was_drawn(tmp_path):
    """Whatever was heard ahead: as by Ctrl-C, in the middle of a long film."""
    sf.write(tmp_path / "long.wav", np.zeros(20 * RATE, np.float32), RATE)

    def progress(share: float) -> None:
        if share > 0.1:
            signal.raise_signal(signal.SIGINT)

    look = LookOptions(prompt="a beach", settings=STILL | {"slew_s": 10.0})
    summary = render_file(tmp_path / "long.wav", FilmOptions(tmp_path / "f.mp4", (64, 64), 10.0), look, progress)
    assert 20 <= summary["frames"] <= 25
    assert read_video_info(tmp_path / "f.mp4").frames == summary["frames"]


def test_louder_is_stronger_without_any_flag(tmp_path):
    rain = synthesise("rain", 2.0, 3)
    plain = pictures(tmp_path, rain, 4.0, amount=0.0)
    distances = [
        np.sqrt(((pictures(tmp_path, rain * 10 ** (gain_db / 20), 4.0) - plain) ** 2).mean())
        for gain_db in (-24, -12, 0)
    ]
    assert distances[1] >= 1.25 * distances[0]
    assert distances[2] >= 1.25 * distances[1]


def test_a_films_change_lies_around_the_sounds(tmp_path):
    """Rain for 2 s, then fire: no frame takes more than a third of the way, and 2 s later it is all but gone."""
    frames = pictures(tmp_path, np.concatenate([synthesise("rain", 2.0, 3), synthesise("fire", 3.0, 4)]), fps=25.0)
    rain, fire = frames[20:35].mean(0), frames[-10:].mean(0)
    way = np.sqrt(((rain - fire) ** 2).mean())
    steps = np.sqrt((np.diff(frames, axis=0) ** 2).mean((1, 2, 3)))
    assert steps[20:].max() <= way / 3
    gone = ((frames - rain) * (fire - rain)).sum((1, 2, 3)) / ((fire - rain) ** 2).sum()
    half_s, most_s = ((20 + np.argmax(gone[20:] >= share)) / 25 - 2.0 for share in (0.5, 0.9))
    assert most_s <= 2.0
    assert -0.6 <= half_s <= 0.8
