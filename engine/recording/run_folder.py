"""Where a running show keeps what another process needs to go on with it; without torch, as its parent has none."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "TPOS_RUN_FOLDER"
"""The environment variable by which a parent names the folder to its show."""
STATE, PICTURE, DIED = "state.json", "picture.jpg", "died.txt"


def own() -> Path | None:
    """This show's folder; None where it has no parent."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def environment(folder: Path) -> dict[str, str]:
    """What the process of a show that has this folder is started with.

    Of glibc's heaps it has two. By itself each thread gets one, which keeps what its encoder once took: each take that
    broke off would cost 10 MiB.
    """
    return {"MALLOC_ARENA_MAX": "2", **os.environ, FOLDER: str(folder)}


def state_home() -> Path:
    """Where programs keep what outlives them, such as ~/.local/state/tpos."""
    home = os.environ.get("XDG_STATE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return (Path(home) if home else Path.home() / ".local" / "state") / "tpos"


@contextmanager
def new() -> Iterator[Path]:
    """A folder for a show, in memory where the machine has a place for that; gone at the end.

    Where there is no home to write into it lies among temporary files.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    root = Path(runtime) / "tpos" if runtime and os.access(runtime, os.W_OK) else state_home()
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="show-", dir=root))
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="tpos-show-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; OSError."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def kept_by(folder: Path) -> int | None:
    """The process that kept the folder's state; None before the show was up."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((folder / STATE).read_bytes())["pid"])
    return None
