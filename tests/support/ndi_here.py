"""NDI for tests: sources of one process at a time, as only those of one are found on a machine without multicast."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from engine.bench.ndi_receiver import look_here


@contextmanager
def ndi_here(folder: Path) -> Iterator[None]:
    """While the body runs no other test process sends; what this one sends is found here. `folder` is the run's own."""
    look_here(folder)
    with FileLock(Path(tempfile.gettempdir()) / f"tpos-ndi-{getpass.getuser()}.lock"):
        yield


def clear_up(called: str) -> None:
    """Remove what NDI's library leaves of a source that was called so."""
    Path(tempfile.gettempdir(), f"NTK_SEND_{called}").unlink(missing_ok=True)
