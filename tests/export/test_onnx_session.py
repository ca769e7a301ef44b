"""Sessions on a CPU: cores shared out between frames, networks and the display; nothing written behind our back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from export import onnx_session


@pytest.mark.parametrize(
    ("cores", "frames", "beside_display", "threads", "alone"),
    [(1, 1, 1, 1, 1), (2, 2, 1, 1, 2), (3, 2, 2, 1, 2), (4, 2, 2, 1, 3), (8, 2, 2, 3, 7), (64, 2, 2, 3, 7)],
)
def test_a_core_is_left_to_the_display(monkeypatch, cores, frames, beside_display, threads, alone):
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    assert onnx_session.frames_at_once(beside_display=False) == frames
    assert onnx_session.frames_at_once(beside_display=True) == beside_display
    assert onnx_session.threads() == threads
    assert onnx_session.threads_alone() == alone


def test_each_core_has_a_films_frame_of_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    onnx_session.draw_films()
    assert (onnx_session.frames_at_once(beside_display=False), onnx_session.threads()) == (8, 1)


def test_a_gpu_samples_one_frame_at_a_time(monkeypatch):
    monkeypatch.setattr(onnx_session, "providers", lambda: [("CUDAExecutionProvider", {}), "CPUExecutionProvider"])
    assert onnx_session.frames_at_once(beside_display=False) == 1


DOCTOR = """
from engine.app.doctor import examine
from export import onnx_runner
from tpos_models.pocket.networks import audio_encoder_networks
examine(9123)
onnx_runner.runner()(audio_encoder_networks()[0])
"""


def test_onnx_runtime_leaves_nothing_in_the_users_folders(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TPOS_", "XDG_", "ORT_"))}
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path / "local")}
    home["PULSE_RUNTIME_PATH"] = str(tmp_path / "pulse")
    caches = {"MPLCONFIGDIR": os.devnull, "MESA_SHADER_CACHE_DISABLE": "true"}
    done = subprocess.run(
        [sys.executable, "-c", DOCTOR], env=environment | home | caches, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert left
    assert all(path.is_relative_to(Path(".cache/tpos/onnx")) for path in left), left


def test_only_the_sessions_file_imports_onnx_runtime():
    root = Path(onnx_session.__file__).parents[1]
    files = [path for room in ("engine", "export", "tpos_models") for path in (root / room).rglob("*.py")]
    importing = {
        path.name
        for path in files
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(encoding="utf-8"), re.M)
    }
    assert importing == {"onnx_session.py"}
