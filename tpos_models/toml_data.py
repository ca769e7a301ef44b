"""Data files that ship with the program, read into typed records."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TypeVar

import msgspec

from tpos_models.errors import MissingFileError, ModelError

T = TypeVar("T")


def read_toml(path: Path, kind: type[T]) -> T:
    """A TOML file as `kind`, every key and value checked; raises `MissingFileError` or `ModelError`."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file; it comes with the program, install that again") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}; the file as it comes with the program would be accepted") from error


def check_names(path: Path, names: Set[str], known: tuple[str, ...], all_of_them: bool = False) -> None:
    """Raise `ModelError` where a file speaks of something that does not exist, or leaves something out."""
    if strange := sorted(names - set(known)):
        raise ModelError(f"{path}: no such name: {strange[0]}; {', '.join(known)} would be accepted")
    if all_of_them and (absent := sorted(set(known) - names)):
        raise ModelError(f"{path}: nothing for {absent[0]}; each of {', '.join(known)} was expected")
