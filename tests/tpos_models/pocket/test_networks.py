"""What `pocket`'s compiled networks are known by: whatever shapes them, and nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import FrameType

import pytest
import torch

from tpos_models.network import Network
from tpos_models.pocket import networks as pocket
from tpos_models.pocket.denoiser import load_denoiser

LOADING = {"weights.py"}
"""Runs while a network is built, but only carries the numbers, whose checksum counts by itself."""

BY_NAME = {network.name: network for network in pocket.networks()}


def files_that_run(network: Network) -> set[str]:
    """The package's files with a function that runs while a network is built and evaluated, as the profiler sees it."""
    names = set[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_name != "<module>":
            names.add(frame.f_code.co_filename)

    inputs = network.example(1)
    sys.setprofile(note)
    try:
        with torch.inference_mode():
            network.build()(*inputs)
    finally:
        sys.setprofile(None)
    ours = (Path(name) for name in names)
    return {path.relative_to(pocket.PACKAGE).as_posix() for path in ours if path.is_relative_to(pocket.PACKAGE)}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_runs_in_a_network_is_what_counts(name: str) -> None:
    assert callable(load_denoiser)  # imports happen before anything is watched
    assert files_that_run(BY_NAME[name]) - LOADING == set(pocket.SHAPED_BY[name])


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's sources, which the fingerprints then read."""
    root = tmp_path / "tpos_models"
    shutil.copytree(pocket.PACKAGE, root, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    monkeypatch.setattr(pocket, "PACKAGE", root)
    return root


def changed_by(addition: str, *paths: Path) -> set[str]:
    """The networks whose fingerprint differs once `addition` stands at the end of these files."""
    pocket._code.cache_clear()
    before = {network.name: network.fingerprint for network in pocket.networks()}
    for path in paths:
        with path.open("a", encoding="utf-8") as file:
            file.write(addition)
    pocket._code.cache_clear()
    after = {network.name: network.fingerprint for network in pocket.networks()}
    pocket._code.cache_clear()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("file", sorted({file for files in pocket.SHAPED_BY.values() for file in files}))
def test_other_code_makes_other_networks_of_those_it_shapes(file: str, copied: Path) -> None:
    assert changed_by('\n"""A note."""\n# and another\n\n', copied / file) == set()
    assert changed_by("\nOTHER = 1\n", copied / file) == {name for name in BY_NAME if file in pocket.SHAPED_BY[name]}


@pytest.mark.parametrize("folder", ["pocket/captions", "pocket/world", "pocket/synth", "training", "stable_diffusion"])
def test_words_worlds_and_training_leave_compiled_networks_alone(folder: str, copied: Path) -> None:
    files = [path for path in (copied / folder).rglob("*") if path.suffix in (".py", ".toml")]
    assert len(files) > 1
    assert changed_by("\nother = 1\n", *files) == set()


def test_a_fingerprint_outlives_the_process() -> None:
    again = {network.name: network.fingerprint for network in pocket.networks()}
    assert again == {network.name: network.fingerprint for network in BY_NAME.values()}
    assert len(set(again.values())) == len(again)
