"""Where built networks are kept, and how they get there: whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tpos_models.errors import StorageError

_HERE = f".building-{socket.gethostname()}-"
"""How folders begin that this machine builds in; a cache may be shared by several."""


def cache_folder() -> Path:
    """Where built networks are kept: $TPOS_CACHE, else $XDG_CACHE_HOME/tpos, else ~/.cache/tpos."""
    if chosen := os.environ.get("TPOS_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tpos"


def intact(path: Path) -> bool:
    """Whether a built file and those beside it are what was `built`, by the SHA-256 sums kept with them.

    What has no sums is not: nobody knows what it is.
    """
    try:
        lines = _sums(path).read_text("utf-8").splitlines()
        sums = {name: known for known, name in (line.split("  ", 1) for line in lines)}
        return path.name in sums and all(_sum(path.with_name(name)) == known for name, known in sums.items())
    except (OSError, ValueError):
        return False


def _sums(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def building(path: Path, summed: bool = False) -> Iterator[Path]:
    """The place to write `path` in: a folder of its own, whose files are moved beside `path` at the end, `path` last.

    Several processes may build the same file at once; each moves a complete one. After an error nothing is moved; what
    killed ones left is cleared. `summed` keeps what `intact` asks for beside it, as sha256sum(1) reads it. Raises
    `StorageError` where the disk is full, read-only or not ours.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path.parent)
        prefix = f"{_HERE}{os.getpid()}-"
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix, ignore_cleanup_errors=True) as folder:
            yield Path(folder) / path.name
            if summed:
                sums = "".join(f"{_sum(file)}  {file.name}\n" for file in sorted(Path(folder).iterdir()))
                _sums(Path(folder) / path.name).write_text(sums, "utf-8", newline="\n")
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name):
                file.replace(path.parent / file.name)
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written ({reason}); set TPOS_CACHE to a folder with space") from error


def _clear(folder: Path) -> None:
    """Remove what builds of this machine left here whose processes are gone."""
    for left in folder.glob(f"{_HERE}*"):
        owner = left.name.removeprefix(_HERE).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
