"""Commands, run: bad input is one line and exit 2, trouble while running exit 1; a traceback only with --debug."""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from typer.exceptions import TyperException

from engine.cli import gallery, listen, machine, models, play, sessions, sync
from engine.cli.app import app
from engine.core import console
from engine.remote.address import HOST, PORT
from tpos_models.errors import TposError

MODULES = [module.__name__ for module in (play, gallery, listen, sync, machine, models, sessions)]
"""Each puts its commands into the tree by being imported; in the order of `tpos --help`."""
app.registered_commands.sort(key=lambda command: MODULES.index(getattr(command.callback, "__module__", "")))


def run(given: list[str]) -> None:
    """Run a command and turn every error of ours into one line and an exit code."""
    debug = "--debug" in given
    if not debug:
        logging.getLogger("engine").addHandler(logging.NullHandler())  # a show tells its own troubles in one line
    try:
        words = _with_place([word for word in given if word != "--debug"])
        code: Any = app(words, prog_name="tpos", standalone_mode=False)
    except TyperException as error:
        _fail_usage(error, debug)
    except TposError as error:
        _fail(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _with_place(words: list[str]) -> list[str]:
    """The same, a `--remote` without a value given its own: typer knows no options whose value may be left out."""
    following = [*words[1:], "-"]
    return [
        f"{word}={HOST}:{PORT}" if word == "--remote" and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _fail_usage(error: TyperException, debug: bool) -> None:
    """A command line that is none: one line, or the help where no command was given."""
    message = error.format_message()
    if message.lstrip().startswith("Usage:"):
        console.notify(message)
        sys.exit(2)
    context = getattr(error, "ctx", None)
    accepted = f"; '{context.command_path} --help' lists what is accepted" if context else ""
    _fail(message.replace("\n", " ").rstrip(".") + accepted, 2, debug)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        raise
    console.notify(f"tpos: {message}")
    sys.exit(code)
