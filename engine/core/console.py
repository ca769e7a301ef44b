"""Words for the terminal: progress and news on stderr, results on stdout, JSON alone when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
piped = Console(width=10_000)
"""For tables that no person reads off a screen: nothing wraps."""


class Progress(Protocol):
    """Called with the share done, 0..1."""

    def __call__(self, share: float, /) -> None: ...


def notify(line: str) -> None:
    """News for a person, on stderr so that stdout stays clean."""
    err.print(line, markup=False)


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
    (out if out.is_terminal else piped).print(grid)


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Progress]:
    """A progress bar with the time left, on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)
