"""`tpos evaluate`: films and sessions measured, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.app.evaluate import evaluate_film, open_film
from engine.cli import main
from export.media.video import VideoWriter
from tpos_models.errors import InputError, MediaError, MissingFileError

FPS, RATE = 25.0, 44_100
BEATS = [0.2, 0.72, 1.2, 1.72]


def film(path: Path, loud: float = 0.5, frames: int = 50) -> Path:
    """Noise bursts on the beats, and a pattern that jumps with them."""
    rng = np.random.default_rng(0)
    pattern = np.kron(rng.integers(40, 220, (12, 16, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    sound = np.zeros((round(frames / FPS * RATE), 1), np.float32)
    for beat in BEATS:
        at = round(beat * RATE)
        burst = sound[at : at + RATE // 12]  # shorter, or none, at the end
        burst[:, 0] += loud * rng.uniform(-1, 1, len(burst)) * np.exp(-np.linspace(0, 6, len(burst)))
    with VideoWriter(path, (96, 72), FPS, RATE, 1) as video:
        for i in range(frames):
            place = 3 * sum(beat <= i / FPS for beat in BEATS)
            video.write_video(np.roll(pattern, place, 1), i / FPS)
        video.write_audio(sound, 0)
    return path


def ignore(share: float) -> None:
    assert 0 <= share <= 1


def test_a_film_on_the_beat_scores_and_is_drawn(tmp_path, capsys):
    path = film(tmp_path / "film.mp4")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(path), "--json", "--plot", str(tmp_path / "curves.png")])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    measured = json.loads(out)
    assert measured["frames"] == 50
    assert measured["av_align"] > 0.5
    assert abs(measured["lag_s"]) <= 0.08
    assert measured["clip_direction"] is None
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_what_cannot_be_measured_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TPOS_RECORDINGS", str(tmp_path))
    with pytest.raises(MissingFileError, match="no session"):
        open_film("no-such-session")
    with pytest.raises(InputError, match="its sound is silence"):
        evaluate_film(open_film(str(film(tmp_path / "silent.mp4", loud=0.0))), None, None, None, ignore)
    with pytest.raises(InputError, match=r"short\.mp4: 2 frames; a film of at least 4"):
        open_film(str(film(tmp_path / "short.mp4", frames=2)))
    with pytest.raises(MissingFileError, match=r"absent\.mp4: no such file"):
        open_film(str(tmp_path / "absent.mp4"))
    (tmp_path / "text.mp4").write_text("a letter")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        open_film(str(tmp_path / "text.mp4"))
