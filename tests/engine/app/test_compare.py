"""`tpos compare`: films whose truth is known side by side, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.app.compare import compare_films
from engine.cli import main
from export.media.video import VideoWriter
from tpos_models.pocket.synth.sounds import synthesise

RATE = 44_100


def film(path: Path, sound: np.ndarray, colour: tuple[int, ...], size: tuple[int, int], fps: float) -> Path:
    """A picture of one colour that is brighter where the sound is loud; as long as the sound."""
    noise = np.random.default_rng(0).integers(0, 30, (size[1], size[0], 3))
    with VideoWriter(path, size, fps, RATE, 1) as video:
        for i in range(round(len(sound) / RATE * fps)):
            under = sound[round(i / fps * RATE) : round((i + 1) / fps * RATE)]
            light = 0.2 + 0.8 * min(1.0, 4 * float(np.sqrt(np.mean(under**2))))
            video.write_video((noise + light * np.array(colour)).astype(np.uint8), i / fps)
        video.write_audio(sound[:, None].astype(np.float32), 0)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two films that differ in size, rate, length and sound."""
    folder = tmp_path_factory.mktemp("films")
    rain, fire = (synthesise(name, seconds, 1) for name, seconds in (("rain", 4.0), ("fire", 2.0)))
    bursts = np.repeat(np.random.default_rng(2).uniform(0, 1, 16) > 0.5, RATE // 4)
    return [
        film(folder / "rain.mp4", rain * (0.1 + bursts), (40, 80, 220), (96, 64), 25.0),
        film(folder / "fire.mp4", fire * (0.1 + bursts[: len(fire)]), (220, 80, 20), (48, 80), 12.0),
    ]


def test_films_of_any_size_rate_and_length(films: list[Path], tpos: Callable[..., dict[str, Any]], tmp_path: Path):
    compared = tpos("compare", *films, "--out", tmp_path / "compare.png", "--frames", 5)
    rain, fire = compared["films"]
    assert (rain["film"], rain["size"], rain["fps"], rain["frames"]) == ("rain.mp4", [96, 64], 25, 100)
    assert (fire["film"], fire["size"], fire["fps"], fire["frames"]) == ("fire.mp4", [48, 80], 12, 24)
    alone = tpos("evaluate", films[1])
    assert {name: fire[name] for name in alone} == alone
    assert compared["clip_recall"] is None
    assert fire["clip_cmmd"] is None
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_where_nothing_can_be_measured_it_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    still = film(tmp_path / "still.mp4", np.tile([0.5, -0.5], RATE // 2), (0, 0, 0), (48, 48), 10.0)
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(still), f"{tmp_path}/./still.mp4", "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    one, two = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["films"]
    assert one["lag_s"] is one["lag_alias_s"] is one["clip_score"] is None
    assert (one["film"], two["film"]) == (str(still), f"{tmp_path}/./still.mp4")  # their names alone would be one


def test_the_table_has_a_film_a_column(films: list[Path], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, films)])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert lines[0].split() == ["measure", "rain.mp4", "fire.mp4"]
    assert ["size", "96x64", "48x80"] in [line.split() for line in lines]
    assert any(line.startswith("AV-Align") and len(line.split()) == 3 for line in lines)


class RainAndFire:
    """Pictures by how blue and how red they are, words by whether they speak of rain or of fire."""

    def images(self, frames):
        means = [torch.from_numpy(frame.astype(np.float32)).mean((0, 1)) for frame in frames]
        return torch.nn.functional.normalize(torch.stack([mean[[2, 0]] for mean in means]), dim=-1)

    def texts(self, phrases):
        return torch.tensor([[float("rain" in phrase), float("fire" in phrase)] for phrase in phrases])


def test_sounds_find_their_films_by_the_words_heard(films: list[Path]):
    sources = [str(path) for path in films]
    shares: list[float] = []
    compared = compare_films(sources, RainAndFire(), None, None, 4, shares.append)
    rain, fire = compared.films
    assert compared.recall == 1
    assert rain.cmmd is None
    assert fire.cmmd is not None
    assert fire.cmmd > 1
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    for each, seconds in ((rain, 4.0), (fire, 2.0)):  # the middles of four equal parts, within a frame
        middles = [seconds * part for part in (0.125, 0.375, 0.625, 0.875)]
        assert each.strip.at_s == pytest.approx(middles, abs=1 / each.measured.fps)
        assert len(each.strip.frames) == 4
    assert rain.measured.clip is not None
    assert rain.measured.clip.score > 90  # of what is heard: rain
    asked = compare_films(sources, RainAndFire(), "", "a fire", 4, lambda share: None)
    assert asked.films[0].measured.clip is not None
    assert asked.films[0].measured.clip.score < 50


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rain.mp4"], "1 film; two or more to compare"),
        (["rain.mp4", "./absent.mp4"], "absent.mp4: no such file"),
        (["rain.mp4", "fire.mp4", "--out", "absent/a.png"], "--out absent/a.png: no folder absent"),
        (["rain.mp4", "fire.mp4", "--out", "a.jpg"], "--out a.jpg: not the name of a .png"),
        (["rain.mp4", "fire.mp4", "--frames", "0"], "--frames"),
        (["rain.mp4", "fire.mp4", "--clip", "absent"], "absent: no CLIP model"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    arguments: list[str],
    line: str,
    films: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(films[0].parent)
    with pytest.raises(SystemExit) as ended:
        main(["compare", *arguments, "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert line in err
    assert len(err.strip().splitlines()) == 1
