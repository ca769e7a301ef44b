"""Entry point: a live show under its parent, any other command here."""

from __future__ import annotations

import sys

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

    run(given)
