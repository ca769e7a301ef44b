"""Entry point: a live show under its parent, any other command here."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from engine.cli import parent


def main(arguments: list[str] | None = None) -> None:
    """Run a command, and exit as it says; what computes is loaded only where it runs.

    A program's `arguments` are run in its own process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and parent.is_asked_for(given):
        sys.exit(parent.keep(given))
    parent.await_turn()

    from engine.cli.commands import run

    try:
        run(given)
    except SystemExit as ended:
        if arguments is None and threading.active_count() > 1:
            _leave(ended.code)
        raise


def _leave(code: object) -> None:
    """End now, whatever other threads do, as one that builds a network or hangs in one.

    Python would wait for some of them, and abort where it takes others out of the middle of a call.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)
