"""A session rendered again: the film shows what the log says, from the picture it began with, the same every time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from PIL import Image

from engine.app import offline
from engine.app.offline import FilmOptions, OfflineShow, render_file, render_session
from engine.app.options import LookOptions, ModelOptions
from engine.core.messages import AudioFeatures, Frame, Prompt, ShaderAmounts, ShowState
from engine.inference.frame_pipeline import FramePipeline
from engine.recording.session import SessionRecord, open_session, state_to_json, write_record
from engine.render import headless
from export.media.reading import read_frames
from export.media.video import VideoWriter
from tpos_models.errors import MissingPart
from tpos_models.pocket.synth.sounds import synthesise

FPS, RATE = 10, 44_100
STILL = ShaderAmounts(zoom=0, warp=0, glow=0, colour=0, grain=0, beat_pulse=0)
LAKE = ShowState(prompts=(Prompt("a lake"),), shader=STILL, motion=1.0, seed=4)
CITY = (Prompt("a city at night"),)
Film = np.ndarray
"""Pictures (frames, height, width, 3)."""


def session_of(
    folder: Path,
    states: Sequence[tuple[float, ShowState]],
    seconds: float = 1.5,
    sound: np.ndarray | None = None,
    picture: np.ndarray | None = None,
) -> Path:
    """A session's folder, written without the recorder: the states from their times on, over a sound."""
    folder.mkdir()
    write_record(
        folder, SessionRecord("2026-01-02T03:04:05+00:00", os.getpid(), (96, 96), FPS, RATE, 1, model="pocket")
    )
    sf.write(folder / "audio.flac", np.zeros(round(seconds * RATE)) if sound is None else sound, RATE, "PCM_24")
    lines = [{"time_s": time_s, "kind": "state", "data": state_to_json(state)} for time_s, state in states]
    (folder / "control.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if picture is not None:
        Image.fromarray(picture).save(folder / "start.png")
    return folder


def exported(folder: Path, name: str = "again.mp4", size: tuple[int, int] | None = None) -> Film:
    """The session's film, rendered again."""
    path = folder / name
    film = FilmOptions(path, size, FPS)
    render_session(open_session(folder), film, ModelOptions(precision="fp32"), lambda share: None)
    return np.stack([frame for _, frame in read_frames(path)])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over pixels, in levels of 255."""
    return float(np.abs(one.astype(int) - other).mean())


def test_what_the_log_changes_changes_in_the_film_when_it_says_so(tmp_path: Path) -> None:
    states = [(0.0, LAKE), (0.5, replace(LAKE, blackout=True)), (1.0, replace(LAKE, prompts=CITY))]
    film = exported(session_of(tmp_path / "set", states))
    assert len(film) == 15
    brightness = film.mean((1, 2, 3))
    assert brightness[:5].min() > 30
    assert brightness[6:10].max() < 5, "black from 0.5 s to 1.0 s"
    assert brightness[11:].min() > 30
    steady = exported(session_of(tmp_path / "steady", [(0.0, LAKE)]))
    assert difference(film[4], steady[4]) < 4
    assert difference(film[14], steady[14]) > 15, "another place than the lake's"


def no_opengl() -> None:
    """What a machine without OpenGL says: there the model's frames are the film."""
    raise MissingPart("no OpenGL here")


@pytest.mark.parametrize("opengl", [True, False])
def test_a_freeze_holds_the_picture_whatever_else_the_operator_does(
    opengl: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not opengl:
        monkeypatch.setattr(headless, "open_context", no_opengl)
    held = replace(LAKE, freeze=True, prompts=CITY)
    states = [(0.0, LAKE), (0.5, held), (1.2, replace(held, freeze=False))]
    film = exported(session_of(tmp_path / "set", states, seconds=2.0))
    assert max(difference(frame, film[4]) for frame in film[5:12]) < 4, "the lake stays"
    assert min(difference(frame, film[4]) for frame in film[15:]) > 15, "then the city comes"


def test_nothing_is_sampled_while_the_show_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty frames, seven of them from 0.5 s to 1.1 s frozen."""
    sampled: list[bool] = []
    begin = FramePipeline.begin

    def noted(self: FramePipeline, state: ShowState, features: AudioFeatures) -> Callable[[], Frame]:
        sampled.append(state.freeze)
        return begin(self, state, features)

    monkeypatch.setattr(FramePipeline, "begin", noted)
    states = [(0.0, LAKE), (0.5, replace(LAKE, freeze=True)), (1.2, LAKE)]
    exported(session_of(tmp_path / "set", states, seconds=2.0))
    assert sampled == [False] * 13


def test_a_session_starts_from_the_picture_it_started_from(tmp_path: Path) -> None:
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[:, 48:] = (250, 230, 200)
    near = replace(LAKE, strength=0.1)
    film = exported(session_of(tmp_path / "with", [(0.0, near)], seconds=0.3, picture=picture))
    halves = film[:, :, 56:].mean((1, 2, 3)) - film[:, :, :40].mean((1, 2, 3))
    assert halves.min() > 60, "its right half is light and its left half dark"
    without = exported(session_of(tmp_path / "without", [(0.0, near)], seconds=0.3))
    assert difference(film[0], without[0]) > 20


@pytest.fixture(scope="module")
def thunder() -> np.ndarray:
    """Silence and a clap, in 16 bits, so that every kind of file holds the very same samples."""
    clap = np.concatenate([np.zeros(RATE // 4, np.float32), synthesise("thunder", 0.4, 1)])
    return np.round(clap * 32_000).astype(np.int16).astype(np.float32) / 32_768


def test_a_session_is_the_same_film_every_time_and_that_of_its_sound(tmp_path: Path, thunder: np.ndarray) -> None:
    """Bit for bit twice, and as `tpos render` draws that sound with that look."""
    look = LookOptions(precision="fp32", prompt="a lake", settings={"seed": 4})
    folder = session_of(tmp_path / "set", [(0.0, look.build_show()[0].state)], sound=thunder)
    once, again = exported(folder), exported(folder, "twice.mp4")
    np.testing.assert_array_equal(once, again)
    sf.write(tmp_path / "thunder.wav", thunder, RATE, "PCM_24")
    path = tmp_path / "render.mp4"
    render_file(tmp_path / "thunder.wav", FilmOptions(path, (96, 96), FPS), look, lambda share: None)
    np.testing.assert_array_equal(once, np.stack([frame for _, frame in read_frames(path)]))


def test_the_same_pictures_are_the_same_file(tmp_path: Path) -> None:
    """x264 has parts that are not the same at every run on every processor: none of them is used."""
    tiles = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    files = set()
    for number in range(12):
        with VideoWriter(tmp_path / f"{number}.mp4", (64, 64), FPS) as video:
            for slot in range(7):
                video.write_video(np.roll(tiles, slot, 1), slot / FPS)
        files.add((tmp_path / f"{number}.mp4").read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_session_is_fed_block_by_block_with_the_samples_of_the_whole(
    rate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than a fifth of a second of the sound at a time; resampled, bit for bit what the whole at once is."""
    folder = session_of(tmp_path / "set", [(0.0, LAKE)], seconds=0.1)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (10 * rate, 2)).astype(np.float32)
    sf.write(folder / "audio.flac", noise, rate, "PCM_24")
    fed: list[np.ndarray] = []

    def keep(show: OfflineShow, sound: Iterator[np.ndarray], *rest: object) -> dict[str, object]:
        fed.extend(sound)
        return {}

    monkeypatch.setattr(offline, "_to_file", keep)
    render_session(open_session(folder), FilmOptions(folder / "x.mp4"), ModelOptions(precision="fp32"), lambda _: None)
    assert max(len(block) for block in fed) < RATE / 5
    whole, _ = sf.read(folder / "audio.flac", dtype="float32")
    if rate != RATE:
        whole = soxr.resample(whole, rate, RATE, "HQ")
    np.testing.assert_array_equal(np.concatenate(fed), whole)


def test_a_bigger_film_is_the_same_film(tmp_path: Path, thunder: np.ndarray) -> None:
    folder = session_of(tmp_path / "set", [(0.0, LAKE)], sound=thunder)
    small, big = exported(folder), exported(folder, "big.mp4", (192, 192))
    assert big.shape == (len(small), 192, 192, 3)
    shrunk = big.reshape(len(big), 96, 2, 96, 2, 3).mean((2, 4))
    assert difference(shrunk[-1], small[-1]) < 4
