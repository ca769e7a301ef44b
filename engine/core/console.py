"""Words for the terminal: progress and news on stderr, results on stdout, JSON alone when asked for."""

from __future__ import annotations

import io
import json
import os
import queue
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from engine.core.own_thread import OwnThread

out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
piped = Console(width=10_000, emoji=False)
"""For tables that no person reads off a screen: nothing wraps."""


class Progress(Protocol):
    """Called with the share done, 0..1."""

    def __call__(self, share: float, /) -> None: ...


MOST_WAITING = 256
"""Lines that wait for a terminal; beyond, they are counted."""
CLOSE_S = 0.5


class _Background(OwnThread):
    """Prints lines on stderr, one after another, from a thread of its own: a terminal may hold that up for ever."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._lost = 0
        super().__init__("tpos-console")

    def put(self, line: str) -> None:
        """Never waits."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Print what waits, for a moment at most."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(CLOSE_S)
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            _print(f"... {lost} lines were not shown" if lost else "", line)


_background: _Background | None = None


def _print(*lines: str) -> None:
    """Lines on stderr; where nobody reads it any more, nowhere."""
    try:
        for line in filter(None, lines):
            err.print(line, markup=False)
    except (OSError, ValueError):
        err.file = io.StringIO()  # the terminal is gone: nothing may fail of it again
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def in_background() -> Iterator[None]:
    """What is notified within is printed by a thread of its own: who notifies never waits for a terminal."""
    global _background
    with _Background() as _background:
        try:
            yield
        finally:
            _background = None


def notify(line: str) -> None:
    """News for a person, on stderr so that stdout stays clean."""
    if _background is not None:
        _background.put(line)
    else:
        _print(line)


def result(values: dict[str, Any] | list[Any], as_json: bool, lines: Iterable[str] = ()) -> None:
    """The outcome of a command: one JSON object, or the lines a person would rather read."""
    if as_json:
        sys.stdout.write(json.dumps(values, ensure_ascii=False, default=float) + "\n")
        return
    for line in lines:
        out.print(line, markup=False)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A plain table on stdout; where that is a file or a pipe, each row is one line."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    if out.is_terminal:
        out.print(grid)
        return
    with piped.capture() as printed:
        piped.print(grid)
    for line in printed.get().splitlines():
        out.print(line.rstrip(), markup=False)


@contextmanager
def progress(title: str, quiet: bool = False, beside: Callable[[], object] = str) -> Iterator[Progress]:
    """A progress bar with the time left, on stderr, and what `beside` gives to say then."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[beside]}"),
    )
    with ProgressBar(*columns, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task(title, total=1.0, beside="")
        yield lambda share: bar.update(task, completed=share, beside=beside())
