"""Weights on disk: one safetensors file and one JSON record, tied together by SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError

from tpos_models.errors import MissingFileError, ModelError, StorageError

if TYPE_CHECKING:  # takes seconds to import, and what is only listened to needs none of it
    import torch

Record = dict[str, Any]
T = TypeVar("T")


def write_atomically(path: Path, data: bytes) -> None:
    """Write the whole file or nothing: a temporary neighbour, then a rename. Raises `StorageError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from error


def save(folder: Path, name: str, tensors: Mapping[str, torch.Tensor], record: Record) -> None:
    """Write `name`.safetensors, then `name`.json with `record` and the SHA-256 of the tensors."""
    from safetensors.torch import save as dump_safetensors

    data = dump_safetensors({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    write_atomically(folder / f"{name}.safetensors", data)
    text = json.dumps({**record, "sha256": digest}, indent=1, ensure_ascii=False)
    write_atomically(folder / f"{name}.json", text.encode())


def load(folder: Path, name: str) -> tuple[dict[str, torch.Tensor], Record]:
    """Read tensors and record; raises `ModelError` when they are damaged or do not belong together."""
    from safetensors.torch import load as parse

    return _load(folder, name, parse)


def load_arrays(folder: Path, name: str) -> tuple[dict[str, np.ndarray], Record]:
    """As `load`, without torch."""
    from safetensors.numpy import load as parse

    return _load(folder, name, parse)


def _load(folder: Path, name: str, parse: Callable[[bytes], dict[str, T]]) -> tuple[dict[str, T], Record]:
    record = read_record(folder / f"{name}.json")
    path = folder / f"{name}.safetensors"
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != record.get("sha256"):
        raise ModelError(
            f"{path}: SHA-256 is {digest[:12]}..., {name}.json expects {str(record.get('sha256'))[:12]}...; "
            "restore both files from the same release"
        )
    try:
        return parse(data), record
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file ({error})") from error


def read_record(path: Path) -> Record:
    """Read a JSON object; raises `MissingFileError` or `ModelError`."""
    data = _read(path)
    try:
        record = json.loads(data)
    except ValueError as error:
        raise ModelError(f"{path}: not a JSON record ({error})") from error
    if not isinstance(record, dict):
        raise ModelError(f"{path}: a JSON object was expected, not {type(record).__name__}")
    return record


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such weights file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def load_into(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Load a state dict strictly; raises `ModelError` naming what differs."""
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    if expected != found:
        raise ModelError(f"{source}: weights do not fit: {describe_difference(expected, found)}")
    bad = next((key for key, value in tensors.items() if not value.isfinite().all()), None)
    if bad is not None:
        raise ModelError(f"{source}: {bad} holds NaN or infinity")
    module.load_state_dict(dict(tensors))


def describe_difference(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], most: int = 4
) -> str:
    """The first few missing, unexpected and misshapen names, for an error message."""
    lines = [f"missing {key}" for key in expected if key not in found]
    lines += [f"unexpected {key}" for key in found if key not in expected]
    lines += [
        f"{key} is {found[key]}, expected {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more
