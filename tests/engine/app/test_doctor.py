"""`tpos doctor` finds what torch does not see."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch

from engine.app import doctor


def fake_nvidia_smi(folder: Path, words: str, code: int = 0) -> None:
    """A program of that name, first on the PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{words}'\nexit {code}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)


@pytest.fixture
def cpu_build(monkeypatch, tmp_path):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("a GPU is here that torch can use")
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor, "_driver_files", lambda: iter(()))
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])


@pytest.mark.skipif(sys.platform == "win32", reason="a batch file is no program to subprocess")
def test_a_card_beside_a_torch_without_cuda_is_named_with_the_command_that_helps(cpu_build, tmp_path):
    fake_nvidia_smi(tmp_path, "NVIDIA GeForce RTX 4070")
    (found,) = doctor._gpu()
    version = torch.__version__.partition("+")[0]
    assert found.state == "missing"
    assert "NVIDIA GeForce RTX 4070 is here" in found.words
    assert f"pip install torch=={version}+cu130 --index-url https://download.pytorch.org/whl/cu130" in found.words


@pytest.mark.skipif(sys.platform == "win32", reason="a batch file is no program to subprocess")
def test_a_driver_that_finds_no_card_is_none(cpu_build, tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, "No devices were found", code=6)
    (found,) = doctor._gpu()
    assert "no GPU that torch can use" in found.words
    monkeypatch.setattr(doctor, "_driver_files", lambda: iter([tmp_path]))
    (found,) = doctor._gpu()
    assert "an NVIDIA card is here" in found.words


def test_a_torch_with_cuda_is_not_told_to_get_one(cpu_build, tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, "NVIDIA GeForce RTX 4070")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    (found,) = doctor._gpu()
    assert "pip install" not in found.words


def test_windows_is_looked_at_for_the_drivers_library(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert not list(doctor._driver_files())
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert list(doctor._driver_files()) == [tmp_path / "System32" / "nvcuda.dll"]
