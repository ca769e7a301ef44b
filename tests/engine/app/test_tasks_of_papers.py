"""The tasks of other papers, by the commands that docs/recording.md gives for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from export.media.reading import read_frames
from export.media.video import VideoWriter
from tpos_models.pocket.synth.sounds import synthesise

RATE = 44_100
PAGE = Path(__file__).parents[3] / "docs" / "recording.md"
COMMANDS = re.findall(r"^tpos (render .*)", PAGE.read_text("utf-8").partition("## The tasks")[2], re.MULTILINE)
LEFT, RIGHT = (20, 40, 110), (250, 215, 120)
"""The colours of the picture's halves: blue and dark, yellow and bright."""


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tpos: Callable[..., dict[str, Any]]):
    """Run the command that writes a film, small and short, where the files that it names are; its frames."""
    monkeypatch.chdir(tmp_path)
    picture = np.full((96, 96, 3), LEFT, np.uint8)
    picture[:, 48:] = RIGHT
    for name in ("frame.png", "photo.png"):
        Image.fromarray(picture).save(name)
    with VideoWriter(tmp_path / "past.mp4", (96, 96), 10.0, RATE, 1) as video:
        for i in range(4):
            video.write_video(picture if i == 3 else picture[:, ::-1], i / 10)
        video.write_audio(np.zeros((RATE * 4 // 10, 1), np.float32), 0)
    for name in ("next", "sound", "music", "fire"):
        sf.write(f"{name}.wav", synthesise("fire", 1.0, 1), RATE)

    def run(film: str, *more: object) -> list[np.ndarray]:
        command = next(line for line in COMMANDS if f"-o {film}" in line)
        tpos(*shlex.split(command, comments=True), "--size", "64x64", "--fps", 6, *more)
        return [frame.astype(float) for _, frame in read_frames(film)]

    return run


def from_left_to_right(frame: np.ndarray) -> float:
    return float(frame[:, 40:].mean() - frame[:, :24].mean())


@pytest.mark.parametrize("film", ["next.mp4", "film.mp4"])
def test_a_film_goes_on_from_a_picture(draw, film):
    frames = draw(film)
    assert len(frames) == 6
    assert from_left_to_right(frames[0]) > 40
    assert np.abs(frames[-1] - frames[0]).mean() > 3


def test_a_picture_is_edited_by_a_sound(draw):
    edited, untouched = draw("edit.mp4")[-1], draw("edit.mp4", "--amount", 0)[-1]
    assert from_left_to_right(edited) > 20  # it is still that picture
    red_over_blue = [float((frame[..., 0] - frame[..., 2]).mean()) for frame in (untouched, edited)]
    assert red_over_blue[1] > red_over_blue[0] + 5  # and burns


def test_music_morphs_without_cuts(draw):
    frames = draw("morph.mp4")
    whole = np.abs(frames[-1] - frames[1]).mean()
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames[1:])]
    assert whole > 10
    assert max(steps) < whole


def test_each_task_has_its_command():
    assert len(COMMANDS) == 4
