"""Where built networks are kept, and how they get there: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tpos_models.errors import StorageError


def cache_folder() -> Path:
    """Where built networks are kept: $TPOS_CACHE, else $XDG_CACHE_HOME/tpos, else ~/.cache/tpos."""
    if chosen := os.environ.get("TPOS_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tpos"


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """The place to write `path` in: a folder of its own, whose files are moved beside `path` at the end, `path` last.

    Several processes may build the same file at once; each moves a complete one. After an error nothing is moved.
    Raises `StorageError` where the disk is full, read-only or not ours.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-", ignore_cleanup_errors=True) as folder:
            yield Path(folder) / path.name
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name):
                file.replace(path.parent / file.name)
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written ({reason}); set TPOS_CACHE to a folder with space") from error
