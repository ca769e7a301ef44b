"""`tpos sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import Channels, Headless, Json, Monitor, Seconds, app
from engine.core import console
from engine.core.stems import parse_channels
from tpos_models.errors import InputError


@app.command()
def sync(
    film: Annotated[Path | None, typer.Argument(help="A film of the test, with its sound.")] = None,
    input: Annotated[str | None, typer.Option("--input", "-i", help="A device that hears the clicks.")] = None,
    channels: Channels = None,
    monitor: Monitor = None,
    headless: Headless = False,
    fullscreen: Annotated[bool, typer.Option(help="Start fullscreen.")] = False,
    display: Annotated[int, typer.Option(help="Which monitor, from 0.")] = 0,
    display_ms: Annotated[
        float | None, typer.Option(help="Keep this as the display's latency: read off a film by eye.")
    ] = None,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Flash and click for a phone's camera, listen for the clicks; with FILM, read off how late the display is."""
    from engine.app.sync.latencies import LARGEST_MS
    from engine.app.sync.run import Report, SyncOptions, measure_film, play_test

    if film is not None and display_ms is not None:
        raise InputError("--display-ms: a film says it itself; one of the two would be accepted")
    if display_ms is not None:
        if not abs(display_ms) <= LARGEST_MS:
            raise InputError(f"--display-ms {display_ms:g}: {-LARGEST_MS:g} to {LARGEST_MS:g} would be accepted")
        report = Report()
        report.keep(display_ms=display_ms)
    elif film is not None:
        report = measure_film(film)
    else:
        picked = parse_channels(channels) if channels else ()
        options = SyncOptions(input, picked, monitor, headless, fullscreen, display, seconds)
        report = play_test(options, (lambda line: None) if json else console.notify)
    console.result(report.values, json, report.lines)
