"""Commands that look at a sound or a film: `hear`, `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import parse_channels
from engine.cli.app import Channels, Json, Seconds, app
from engine.core import console
from tpos_models.errors import InputError


@app.command()
def hear(
    source: Annotated[str, typer.Argument(help="A sound file, a device, or synth.")],
    phrases: Annotated[str | None, typer.Option(help="What to listen for, separated by commas.")] = None,
    channels: Channels = None,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """What the encoder hears: phrases and their weights, loudness and attention, segment by segment."""
    from engine.app.hear import describe, hear_source

    chosen = [phrase.strip() for phrase in phrases.split(",") if phrase.strip()] if phrases else None
    if phrases is not None and not chosen:
        raise InputError("--phrases: words separated by commas would be accepted, such as rain,thunder")
    picked = parse_channels(channels) if channels else None
    with console.progress("listening", quiet=json) as progress:
        report = hear_source(source, chosen, picked, seconds, progress)
    console.result(report, json, describe(report))


@app.command()
def evaluate(
    source: Annotated[str, typer.Argument(help="A video with sound, or a recorded session.")],
    plot: Annotated[Path | None, typer.Option(help="Write the curves as a picture, .png.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP; `tpos models fetch clip` gets one.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What was asked for; the session's own otherwise.")] = None,
    heard: Annotated[str | None, typer.Option(help="What is heard; what the encoder hears most of otherwise.")] = None,
    json: Json = False,
) -> None:
    """How well a film follows its sound: AV-Align, lagged correlation, warp error, CLIP direction."""
    from engine.app.evaluate import as_dict, evaluate_film
    from tpos_models.metrics.plot import plot as draw

    if plot is not None and not plot.parent.is_dir():
        raise InputError(f"--plot {plot}: no folder {plot.parent}; the name of a .png in one that is there is accepted")
    with console.progress("watching", quiet=json) as progress:
        measured = evaluate_film(source, clip, prompt, heard, progress)
    if plot is not None:
        draw(measured, plot)
    if json:
        console.result(as_dict(measured), json)
        return
    console.table(("measure", "", "what it says"), [(row.name, row.value, row.meaning) for row in measured.rows()])
