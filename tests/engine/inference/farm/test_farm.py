"""A film whose frames are drawn in chunks, by a thread here or by processes on Ray: it is the same file.

What makes it is a session with all that lasts from one frame to the next: fades, slews, a walking noise, a freeze,
feedback, trails and flashes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile as sf
from small_diffusers import LINEAR, TEXT, write_lora

from engine.app.offline import FilmOptions, render_session
from engine.app.options import ModelOptions
from engine.core.effects import EffectAmounts
from engine.core.messages import GuidanceTier, LoraStrength, Prompt, Rule, ShaderAmounts, ShowState
from engine.inference.farm import chunks
from engine.inference.farm.chunks import SUFFIX, Worker, WorkerLost
from engine.inference.farm.drawing import Asked, Drawer, Drawing, digest
from engine.inference.farm.places import Here, open_farm
from engine.recording.session import SessionRecord, open_session, state_to_json, write_record
from export.media.reading import read_frames
from tpos_models.errors import InputError, RunError
from tpos_models.pocket.synth.sounds import synthesise

FPS, RATE, FRAMES, FROZEN = 10, 44_100, 20, 2
LAKE = ShowState(
    prompts=(Prompt("a lake"),),
    rules=(Rule(hear="thunder", show="lightning"),),
    shader=ShaderAmounts(fly=0.5),
    effects=EffectAmounts(trails_s=0.5),
    motion=1.0,
    seed=4,
)
CITY = replace(LAKE, prompts=(Prompt("a city at night"),), fade_s=0.5)
STATES = [
    (0.0, LAKE),
    (0.35, CITY),
    (0.9, replace(CITY, freeze=True)),
    (1.1, replace(CITY, guidance=GuidanceTier.SEMANTIC, shader=ShaderAmounts(fly=0.5, local=0.5))),
    (1.6, replace(CITY, feedback=0.6)),
]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FRAMES", 4)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: thunder, then rain."""
    folder = tmp_path_factory.mktemp("sessions") / "set"
    folder.mkdir()
    started = "2026-01-02T03:04:05+00:00"
    write_record(folder, SessionRecord(started, os.getpid(), (96, 96), FPS, RATE, 1, model="pocket"))
    sound = 0.5 * np.concatenate([synthesise("thunder", 1.0, 1), synthesise("rain", 1.0, 2)])
    sf.write(folder / "audio.flac", sound, RATE, "PCM_24")
    write_log(folder, STATES)
    return folder


def write_log(folder: Path, states: Sequence[tuple[float, ShowState]]) -> None:
    lines = [{"time_s": time_s, "kind": "state", "data": state_to_json(state)} for time_s, state in states]
    (folder / "control.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def exported(
    session: Path,
    path: Path,
    farm: Here | None = None,
    progress: Callable[[float], None] = lambda share: None,
    size: str | None = None,
) -> dict[str, Any]:
    film, options = FilmOptions(path, None, FPS), ModelOptions(model_size=size, precision="fp32")
    return render_session(open_session(session), film, options, progress, farm)


@pytest.fixture(scope="module")
def plain(session: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The film as this process makes it without a farm."""
    path = tmp_path_factory.mktemp("plain") / "film.mp4"
    exported(session, path)
    frames = np.stack([frame for _, frame in read_frames(path)]).astype(int)
    assert len(frames) == FRAMES
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert steps[1:8].min() > 0.1, "it moves"
    return path.read_bytes()


class Failing(Here):
    """A farm whose workers are lost at their `lost` first calls."""

    def __init__(self, lost: int, workers: int = 1) -> None:
        super().__init__()
        self._left, self._workers = lost, workers

    def workers(self, drawing: Drawing) -> int:
        return self._workers

    def start(self, drawing: Drawing) -> Worker:
        return Mortal(self, Drawer(drawing))

    def dies(self) -> bool:
        self._left -= 1
        return self._left >= 0


class Mortal:
    """A worker that may be lost in mid-work."""

    def __init__(self, farm: Failing, drawer: Drawer) -> None:
        self._farm, self._drawer = farm, drawer

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        drawn = self._drawer.draw(chunk)
        if self._farm.dies():
            raise WorkerLost("as if it were killed")
        return drawn


def test_in_chunks_it_is_the_same_film(session: Path, plain: bytes, tmp_path: Path) -> None:
    told = exported(session, tmp_path / "film.mp4", Here())
    assert (tmp_path / "film.mp4").read_bytes() == plain
    assert (told["drawn"], told["kept"], told["workers_lost"]) == (FRAMES - FROZEN, 0, 0)
    assert told["worker_s"] > 0
    assert os.listdir(tmp_path) == ["film.mp4"]


class Watched(Here):
    """A farm that remembers what it drew, to the last bit, by what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[str, str] = {}

    def start(self, drawing: Drawing) -> Worker:
        return Remembering(self, super().start(drawing))


class Remembering:
    def __init__(self, farm: Watched, worker: Worker) -> None:
        self._farm, self._worker = farm, worker

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        packed, seconds = self._worker.draw(chunk)
        self._farm.drawn[digest(chunk)] = digest(packed)
        return packed, seconds


@pytest.mark.parametrize("size", [None, "96x48"])
def test_pictures_do_not_depend_on_how_many_cores_there_are(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str | None
) -> None:
    farms = []
    for cores in ("1", "8"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        farms.append(Watched())
        exported(session, tmp_path / "film.mp4", farms[-1], size=size)
    assert farms[0].drawn == farms[1].drawn


def test_with_workers_lost_it_is_the_same_film(session: Path, plain: bytes, tmp_path: Path) -> None:
    told = exported(session, tmp_path / "film.mp4", Failing(3, workers=2))
    assert (tmp_path / "film.mp4").read_bytes() == plain
    assert told["workers_lost"] == 3


def test_a_chunk_that_kills_whoever_draws_it_ends_the_film(session: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="4 workers in a row were lost: as if it were killed"):
        exported(session, tmp_path / "film.mp4", Failing(1000))
    assert not (tmp_path / "film.mp4").exists()


def stop(share: float) -> None:
    """Ctrl-C in the middle of a film."""
    if share > 0.5:
        signal.raise_signal(signal.SIGINT)


def test_a_film_that_was_stopped_goes_on_where_it_was(session: Path, plain: bytes, tmp_path: Path) -> None:
    """Half of it is drawn, and one chunk of that is damaged on the disk: it is drawn again."""
    path, folder = tmp_path / "film.mp4", tmp_path / f"film.mp4{SUFFIX}"
    first = exported(session, path, Here(), stop)
    assert first["frames"] < FRAMES
    oldest = min(folder.iterdir(), key=lambda chunk: chunk.stat().st_mtime)
    oldest.write_bytes(oldest.read_bytes()[:-9])
    again = exported(session, path, Here())
    assert path.read_bytes() == plain
    assert 0 < again["kept"] < first["drawn"]
    assert again["kept"] + again["drawn"] == FRAMES - FROZEN
    assert not folder.exists()


def test_what_is_kept_of_another_film_is_not_taken(session: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    exported(session, path, Here(), stop)
    other = tmp_path / "other"
    other.mkdir()
    for file in session.iterdir():
        (other / file.name).write_bytes(file.read_bytes().replace(b'"seed": 4', b'"seed": 5'))
    assert exported(other, path, Here())["kept"] == 0


def test_loras_move_with_the_frames_that_workers_draw(session: Path, tmp_path: Path) -> None:
    """One that changes words as well as pictures, in mid-chunk, on a Stable Diffusion model."""
    write_lora(tmp_path / "style.safetensors", LINEAR, TEXT)
    played = tmp_path / "set"
    played.mkdir()
    for file in session.iterdir():
        (played / file.name).write_bytes(file.read_bytes())
    states = [(at, replace(LAKE, motion=0.5, loras=(LoraStrength("style", s),))) for at, s in ((0, 1.0), (0.2, -2.0))]
    write_log(played, states)
    options = ModelOptions("random:tiny-turbo", "64x64", [str(tmp_path / "style.safetensors")], "pocket", "fp32")
    for name, farm in (("plain.mp4", None), ("film.mp4", Here())):
        film = FilmOptions(tmp_path / name, None, 5.0)
        render_session(open_session(played), film, options, lambda share: None, farm)
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "plain.mp4").read_bytes()


@pytest.mark.parametrize(("on", "workers"), [(None, 2), ("here", 2), ("ray", 0), (None, 0)])
def test_workers_are_rays(on: str | None, workers: int) -> None:
    with pytest.raises(InputError, match=r"--workers \d: 1 or more, with --on ray"), open_farm(on, workers):
        pass


def test_an_address_where_nobody_answers_is_refused_soon() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    begun_s = time.monotonic()
    with (
        pytest.raises(InputError, match=r"--on 127.*refused.*would be accepted"),
        open_farm("127.0.0.1:1"),
    ):
        pass
    assert time.monotonic() - begun_s < 10


def test_on_ray_with_a_worker_killed_it_is_the_same_film(session: Path, plain: bytes, tmp_path: Path) -> None:
    """The command as if it had eight cores, on a cluster of two workers; one is killed while it draws."""
    pytest.importorskip("ray", reason="Ray is not installed")
    path = tmp_path / "film.mp4"
    words = ["sessions", "export", session, "-o", path, "--fps", FPS, "--precision", "fp32", "--json"]
    program = "from engine.inference.farm import chunks; chunks.CHUNK_FRAMES = 4; from engine.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, words), "--on", "ray", "--workers", "2"]
    # Ray's workers step back else, behind all other tests
    environment = os.environ | {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "8"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as running:
        killed = killed_one(running)
        out, err = running.communicate(timeout=500)
    assert running.returncode == 0, err
    told = json.loads(out)
    assert path.read_bytes() == plain
    assert told["drawn"] == FRAMES - FROZEN
    assert killed
    assert told["workers_lost"] == 1
    assert "a worker was lost" in err


def killed_one(running: subprocess.Popen[str]) -> bool:
    """Kill the first of the command's workers that is seen drawing."""
    while running.poll() is None:
        for process in psutil.Process(running.pid).children(recursive=True):
            try:
                if process.cmdline()[:1] == ["ray::_Actor.draw"]:
                    process.kill()
                    return True
            except psutil.Error:
                continue
        time.sleep(0.002)
    return False
