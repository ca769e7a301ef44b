"""Weights on disk: what is damaged, swapped or misshapen is named, never loaded."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch

from tpos_models import weights
from tpos_models.errors import MissingFileError, ModelError, StorageError


@pytest.fixture
def folder(tmp_path):
    weights.save(tmp_path, "net", {"weight": torch.randn(3, 2), "bias": torch.zeros(3)}, {"what": "a test"})
    return tmp_path


def test_what_was_saved_comes_back(folder):
    tensors, record = weights.load(folder, "net")
    assert set(tensors) == {"weight", "bias"}
    assert record["what"] == "a test"
    assert sorted(path.name for path in folder.iterdir()) == ["net.json", "net.safetensors"]


def test_one_flipped_bit_is_noticed(folder):
    data = bytearray((folder / "net.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "net.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        weights.load(folder, "net")


def test_swapped_files_are_noticed(folder):
    weights.save(folder, "other", {"weight": torch.randn(3, 2)}, {})
    shutil.copy(folder / "other.safetensors", folder / "net.safetensors")
    with pytest.raises(ModelError, match="same release"):
        weights.load(folder, "net")


def test_missing_and_unreadable_records(folder):
    with pytest.raises(MissingFileError, match=r"nothing\.json"):
        weights.load(folder, "nothing")
    (folder / "net.json").write_text("[1, 2]")
    with pytest.raises(ModelError, match="JSON object"):
        weights.load(folder, "net")
    (folder / "net.json").write_text("{")
    with pytest.raises(ModelError, match="JSON"):
        weights.load(folder, "net")


def test_a_file_that_is_no_safetensors_with_the_right_sum(folder):
    import hashlib

    (folder / "net.safetensors").write_bytes(b"junk")
    (folder / "net.json").write_text(json.dumps({"sha256": hashlib.sha256(b"junk").hexdigest()}))
    with pytest.raises(ModelError, match="not a safetensors file"):
        weights.load(folder, "net")


def test_differences_are_listed(folder):
    module = torch.nn.Linear(2, 4)
    with pytest.raises(ModelError, match=r"weight is \(3, 2\), expected \(4, 2\)"):
        weights.load_into(module, weights.load(folder, "net")[0], "net")
    with pytest.raises(ModelError, match="missing bias; unexpected bios"):
        weights.load_into(torch.nn.Linear(2, 3), {"weight": torch.zeros(3, 2), "bios": torch.zeros(3)}, "net")
    with pytest.raises(ModelError, match="NaN"):
        weights.load_into(
            torch.nn.Linear(2, 3), {"weight": torch.zeros(3, 2), "bias": torch.full((3,), torch.nan)}, "n"
        )


def test_a_disk_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        weights.save(tmp_path / "file", "net", {}, {})


def test_a_write_that_breaks_off_leaves_the_old_file_whole(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = Path.write_bytes

    def half(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(StorageError, match="No space left"):
        weights.save(folder, "net", {"weight": torch.zeros(3, 2)}, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
