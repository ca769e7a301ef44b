"""The wheel is built, unpacked into a fresh folder, and played from another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile as sf

import engine
from export.media.reading import read_video_info
from tpos_models.pocket.synth.sounds import synthesise

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "export", "tpos_models", "presets")


def run(*command: object, cwd: Path, **env: str) -> str:
    words = [sys.executable, "-m", *map(str, command)]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env={**clean, **env}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what is packed, and of no editor's or system's own files: nothing can come from here."""
    folder, strays = tmp_path_factory.mktemp("source"), shutil.ignore_patterns("__pycache__", ".*", "*~")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=strays)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def unpacked(source, tmp_path_factory) -> Path:
    """The wheel's files, built from there."""
    folder = tmp_path_factory.mktemp("wheel")
    run("pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith(f"tpos_live-{engine.__version__}-py3-none-any")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_everything_that_is_not_code_is_in_it(source, unpacked):
    here = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert sorted(name for name in here if not (unpacked / name).is_file()) == []
    assert {f"{package}/py.typed" for package in PACKAGES} <= here
    assert not (unpacked / "tests").exists()


def test_a_film_is_rendered_with_it_from_another_folder(unpacked, tmp_path):
    sf.write(tmp_path / "rain.wav", synthesise("rain", 1.0, 3), 44_100)
    where = run("engine.cli", "--version", cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert where == f"tpos {engine.__version__}\n"
    render = ("engine.cli", "render", "rain.wav", "-o", "rain.mp4", "--preset", "neon", "--fps", 5, "--size", "64x64")
    run(*render, cwd=tmp_path, PYTHONPATH=str(unpacked))
    info = read_video_info(tmp_path / "rain.mp4")
    assert (info.width, info.height, info.frames) == (64, 64, 5)


def test_it_is_the_wheels_code_that_plays(unpacked, tmp_path):
    say = tmp_path / "say.py"
    say.write_text(
        "import engine, export, presets, tpos_models\nprint(engine.__file__, tpos_models.__file__, sep='\\n')\n"
    )
    for path in run("say", cwd=tmp_path, PYTHONPATH=str(unpacked)).splitlines():
        assert Path(path).is_relative_to(unpacked)
