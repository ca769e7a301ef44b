"""The paper's training in two processes on a CPU (gloo): what one process with twice the batch does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import training_program


@pytest.fixture
def sounds(tmp_path):
    """Three labels of three sounds each, the last of each held out, and a file that is none."""
    folder, rng = tmp_path / "sounds", np.random.default_rng(0)
    t = np.arange(10 * 44_100) / 44_100
    for pitch, label in enumerate(("bell", "engine", "wind"), 1):
        (folder / label).mkdir(parents=True)
        for i in range(3):
            swell = 1 + np.sin(2 * np.pi * rng.uniform(0.2, 2) * t)
            wave = swell * np.sin(2 * np.pi * 150 * pitch**3 * t) + rng.normal(0, 0.3, t.size)
            soundfile.write(folder / label / f"{i}.wav", 0.1 * wave, 44_100)
    (folder / "bell" / "00.wav").write_bytes(b"no sound")
    return folder


def train_in_two(sounds: Path, runs: Path, batch: int, workers: int) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--log-dir", str(runs / "log")]
    done = subprocess.run(
        [*launcher, str(training_program.__file__), str(sounds), str(runs), str(batch), str(workers)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_do_what_one_with_twice_the_batch_does(sounds, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    training_program.train(sounds, one, batch=6, workers=0)
    train_in_two(sounds, two, batch=3, workers=1)
    alone, together = (json.loads((runs / "losses.json").read_text()) for runs in (one, two))
    compare_losses(alone["steep"], together["steep"])
    compare_weights(one / "checkpoint.pt", two / "checkpoint.pt")
    compare_scores(one / "scores.jsonl", two / "scores.jsonl")
    for name in ("recall@1", "recall@5", "map_error"):
        assert together["paper"]["scores"][name] == pytest.approx(alone["paper"]["scores"][name], abs=1e-4)
    for result in (alone, together):
        assert [Path(path).name for path in result["paper"]["unreadable"]] == ["00.wav"]
    written = {f"tpos_{part}.{suffix}" for part in ("encoder", "map") for suffix in ("safetensors", "json")}
    assert {path.name for path in (two / "out").iterdir()} == written
    assert (two / "sheet-000002.png").read_bytes().startswith(b"\x89PNG")


def compare_losses(alone, together):
    """The bar is 1e-4; in float64 it is met with room to spare. Steps are long enough to tell gradients apart."""
    assert len(alone) == len(together) == 4
    for step, other in zip(alone, together, strict=True):
        assert other == pytest.approx(step, abs=1e-6)
    assert alone[3]["text"] < alone[0]["text"] - 0.01


def compare_weights(alone: Path, together: Path) -> None:
    """Weights, batch statistics and averages."""
    first, second = (torch.load(path, weights_only=True) for path in (alone, together))
    for part in ("module", "average"):
        for name, value in first[part].items():
            torch.testing.assert_close(second[part][name], value, rtol=1e-6, atol=1e-9, msg=f"{part} {name}")


def compare_scores(alone: Path, together: Path) -> None:
    first, second = ([json.loads(line) for line in path.read_text().splitlines()] for path in (alone, together))
    assert [row["step"] for row in first] == [2, 4]
    for row, other in zip(first, second, strict=True):
        assert other == pytest.approx(row, abs=1e-6)
