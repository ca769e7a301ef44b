"""Which precision plays: live may measure, offline never; what was in force is recorded and used again."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from engine.app import offline
from engine.app.builder import OscOptions
from engine.app.live import LiveOptions, open_live
from engine.app.options import LookOptions, ModelOptions
from engine.cli.commands import app
from engine.inference.loading import choose_precision, open_chain, precisions
from engine.recording.session import open_session
from export import int8, onnx_runner
from export.media.reading import read_frames
from tpos_models.errors import InputError
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.precision import Precision


@pytest.fixture(scope="module")
def thunder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "thunder.wav"
    sf.write(path, synthesise("thunder", 1.0, 1), 44_100)
    return path


@pytest.fixture
def unset(monkeypatch):
    monkeypatch.delenv("TPOS_PRECISION", raising=False)


def test_two_renders_are_the_same_bytes_whichever_precision_is_faster(unset, thunder, tmp_path, monkeypatch):
    films: list[list[np.ndarray]] = []
    for name, times, asked in (("plain", 0.1, None), ("int8-wins", 100.0, "auto")):
        monkeypatch.setattr(int8, "speedup", lambda *_, times=times: times)
        monkeypatch.setenv("TPOS_CACHE", str(tmp_path / name))
        look = LookOptions(prompt="a lake", precision=asked, settings={"seed": 4})
        film = offline.FilmOptions(tmp_path / f"{name}.mp4", (128, 128), 10.0, 0.4)
        offline.render_file(thunder, film, look, lambda share: None)
        films.append([picture for _, picture in read_frames(film.output)])
    assert len(films[0]) == 4
    assert np.array_equal(films[0], films[1])


def test_only_auto_measures_and_what_is_in_force_is_said(unset, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(onnx_runner, "fastest", lambda *_, **__: asked.append(1) or Precision.FP32)
    assert open_chain("pocket", precision=None).model.precision is Precision.FP32
    assert not asked
    assert open_chain("pocket", precision=Precision.AUTO).model.precision is Precision.FP32
    assert len(asked) == 1


def test_auto_says_so_where_its_choice_cannot_be_kept(unset, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TPOS_CACHE", str(tmp_path / "file"))
    assert open_chain("pocket", precision=Precision.AUTO).model.precision is Precision.FP32
    said = " ".join(capsys.readouterr().err.split())
    assert "set TPOS_CACHE to a folder with space; playing in fp32" in said


def test_a_show_records_the_precision_in_force_and_its_export_uses_it(unset, monkeypatch, tmp_path, thunder):
    monkeypatch.setattr(int8, "speedup", lambda *_: 2.0)
    options = LiveOptions(
        LookOptions(), str(thunder), headless=True, osc=OscOptions(port=0), record=tmp_path, size=(64, 64)
    )
    with open_live(options) as live:
        summary = live.run(threading.Event())
    folder = summary.recordings[0].path
    assert '"precision":"int8"' in "".join(p.read_text().replace(" ", "") for p in folder.glob("*.json"))
    wanted: list[Precision | None] = []
    real = offline.open_model
    monkeypatch.setattr(offline, "open_model", lambda *given: wanted.append(given[3]) or real(*given))
    for option in (None, "fp32"):
        session = open_session(str(folder), tmp_path)
        film = offline.FilmOptions(tmp_path / "x.mp4", (64, 64), 10.0)
        offline.render_session(session, film, ModelOptions(precision=option), lambda share: None)
    assert wanted == [Precision.INT8, Precision.FP32]


def test_the_environment_says_what_is_taken_where_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv("TPOS_PRECISION", "int8")
    assert choose_precision(None, "pocket") is Precision.INT8
    assert choose_precision("fp32", "pocket") is Precision.FP32
    assert choose_precision(None, "random:tiny-lcm") is None, "which has no int8 and is not refused for it"
    monkeypatch.setenv("TPOS_PRECISION", "int3")
    with pytest.raises(InputError, match="TPOS_PRECISION int3: auto, fp32, int8 or fp16 would be accepted"):
        choose_precision(None, "pocket")
    monkeypatch.delenv("TPOS_PRECISION")
    assert choose_precision(None, "pocket") is None


def test_what_a_machine_does_not_compute_in_is_refused_in_a_line():
    assert precisions("pocket") == (Precision.FP32, Precision.INT8)
    with pytest.raises(InputError, match="--precision fp16: pocket on onnx has auto or fp32 or int8 here"):
        choose_precision("fp16", "pocket")
    with pytest.raises(InputError, match="--precision int3: auto, fp32, int8 or fp16 would be accepted"):
        LookOptions(precision="int3")


@pytest.mark.parametrize("command", [["live"], ["render"], ["sessions", "export"], ["bench"], ["build"]])
def test_every_playing_command_has_the_option(command):
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=200).output
    assert shown.count("--precision") == 1


def test_bench_says_frames_per_second_of_both(unset, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "speedup", lambda *_: 2.0)
    from engine.bench import Bench, BenchOptions, _precisions
    from engine.bench.stages import NetworkProfiler
    from engine.inference.loading import open_model

    model = open_model("pocket", precision=Precision.AUTO)
    bench = Bench(BenchOptions(seconds=0.2), lambda line: None, model, NetworkProfiler())
    _precisions(bench)
    report = json.loads(json.dumps(bench.report["precisions"]))
    assert report["precision"] == "int8"
    assert set(report["precisions_fps"]) == {"fp32", "int8"}
    assert min(report["precisions_fps"].values()) > 0
    assert "fp32" in bench.lines[-1]
    assert bench.lines[-1].endswith("the show takes int8")
