"""Built networks arrive in the cache whole, what others wait for last, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.cache import building, cache_folder
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
