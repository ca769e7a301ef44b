"""Where recordings lie: the default folder, others that were recorded into, and the names of sessions in them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from engine.recording.run_folder import state_home
from export.media.writing import sync_folder, writing
from tpos_models.errors import InputError, StorageError

_NAME = re.compile(r"[^\W_][\w .+-]{0,79}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names Windows keeps for itself


def default_root() -> Path:
    """Where recordings go: $TPOS_RECORDINGS, else ~/tpos-recordings."""
    chosen = os.environ.get("TPOS_RECORDINGS")
    return Path(chosen).expanduser() if chosen else Path.home() / "tpos-recordings"


def known_roots() -> tuple[Path, ...]:
    """Every folder that sessions are looked for in: the default, then those that were recorded into otherwise."""
    try:
        lines = _roots_file().read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        lines = []
    return tuple(dict.fromkeys((default_root(), *(Path(line) for line in lines if line))))


def remember_root(root: Path) -> None:
    """Find the sessions of this folder from now on; where that cannot be written, they are found by their path."""
    root = root.expanduser().resolve()
    if root in known_roots():
        return
    with suppress(OSError):
        _roots_file().parent.mkdir(parents=True, exist_ok=True)
        with _roots_file().open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{root}\n")


def _roots_file() -> Path:
    return state_home() / "recordings.txt"


def safe_name(name: str) -> str:
    """A session's name from outside, unchanged; InputError for one that could leave the recordings folder."""
    if not _NAME.fullmatch(name) or name[-1] in " ." or ".." in name or _DEVICES.fullmatch(name):
        raise InputError(f"session name {name!r}: up to 80 letters, digits, spaces, '-', '_', '+' and '.' are accepted")
    return name


def session_name(name: str | None = None) -> str:
    """`name` as `safe_name`, or the time now."""
    return safe_name(name) if name is not None else datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def new_folder(root: Path, name: str | None = None) -> Path:
    """Create a session's folder on the disk, `session_name` made unique by a number; InputError, StorageError."""
    name = session_name(name)
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        sync_folder(root.parent)
        for number in range(1, 10_000):
            folder = root / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                sync_folder(root)
                return folder
    raise StorageError(f"cannot name a session in {root}: {name} is taken 9999 times; another name is accepted")


def video_of(folder: Path) -> Path:
    """A session's film, whatever it is written in."""
    edited = folder / "video.mov"
    return edited if edited.is_file() else folder / "video.mp4"
