"""Built networks arrive in the cache whole, what others wait for last, or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from export.cache import building, cache_folder, intact
from tpos_models.errors import StorageError


def test_what_lies_beside_is_there_before_the_file_that_names_it(tmp_path, monkeypatch):
    path, moved = tmp_path / "nets" / "m.onnx", []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda source, target: moved.append(Path(target).name) or replace(source, target)
    )
    with building(path) as temporary:
        for name in ("a.data", "m.onnx", "z.data"):
            (temporary.parent / name).write_text(name)
        assert not path.exists()
    assert moved[-1] == "m.onnx"
    assert sorted(moved) == ["a.data", "m.onnx", "z.data"]
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.data", "m.onnx", "z.data"]


def test_an_error_moves_nothing_and_a_blocked_folder_is_named(tmp_path):
    def build(path: Path) -> None:
        with building(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="TPOS_CACHE"):
        build(tmp_path / "file" / "m.onnx")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("TPOS_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("TPOS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tpos"


def test_a_flipped_bit_in_a_file_or_beside_it_is_seen_and_sha256sum_agrees(tmp_path):
    path = tmp_path / "nets" / "m.onnx"
    with building(path, summed=True) as temporary:
        temporary.write_bytes(bytes(1000))
        (temporary.parent / "m.data").write_bytes(bytes(2000))
    assert intact(path)
    if program := shutil.which("sha256sum"):
        subprocess.run([program, "--check", "--strict", "m.onnx.sha256"], cwd=path.parent, check=True)
    for harmed in (path, path.with_suffix(".data")):
        whole = harmed.read_bytes()
        harmed.write_bytes(whole[:500] + b"\x10" + whole[501:])
        assert not intact(path)
        harmed.write_bytes(whole)
        assert intact(path)
    path.with_name("m.onnx.sha256").write_text("no sums\n")
    assert not intact(path)
    path.with_name("m.onnx.sha256").unlink()
    assert not intact(path)


KILLED = """
import os, sys
from pathlib import Path
from export.cache import building
with building(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(bytes(100))
    os.kill(os.getpid(), 9)
"""


def test_what_killed_builds_left_is_cleared_and_what_others_build_is_not(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "m.onnx"], check=False)
    [left] = tmp_path.iterdir()
    elsewhere = tmp_path / ".building-another machine-1-x"
    elsewhere.mkdir()
    with building(tmp_path / "a.onnx") as first, building(tmp_path / "m.onnx") as second:
        assert not left.exists()
        for temporary in (first, second):
            temporary.write_bytes(b"whole")
    assert sorted(tmp_path.iterdir()) == [elsewhere, tmp_path / "a.onnx", tmp_path / "m.onnx"]
