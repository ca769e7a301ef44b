"""Commands that look at a sound or a film: `hear`, `evaluate`, `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import Channels, Json, Seconds, app
from engine.core import console
from engine.core.stems import parse_channels
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


Clip = Annotated[Path | None, typer.Option(help="Folder of a CLIP; `tpos models fetch clip` gets one.")]
Prompt = Annotated[str | None, typer.Option(help="What was asked for; the session's own otherwise.")]
Heard = Annotated[str | None, typer.Option(help="What is heard; what the encoder hears most of otherwise.")]


@app.command()
def evaluate(
    source: Annotated[str, typer.Argument(help="A video with sound, or a recorded session.")],
    plot: Annotated[Path | None, typer.Option(help="Write the curves as a picture, .png.")] = None,
    clip: Clip = None,
    prompt: Prompt = None,
    heard: Heard = None,
    json: Json = False,
) -> None:
    """How well a film follows its sound: AV-Align, lagged correlation, warp error, and what a CLIP sees."""
    from engine.app.evaluate import as_dict, evaluate_film, open_clip, open_film
    from export.media.writing import writing
    from tpos_models.metrics.plot import plot as draw

    _check_picture("--plot", plot)
    with console.progress("watching", quiet=json) as progress:
        measured = evaluate_film(open_film(source), open_clip(clip), prompt, heard, progress)
    if plot is not None:
        with writing(plot):
            draw(measured, plot)
    if json:
        console.result(as_dict(measured), json)
        return
    console.table(("measure", "", "what it says"), [(row.name, row.value, row.meaning) for row in measured.rows()])


@app.command()
def compare(
    sources: Annotated[list[str], typer.Argument(help="Two or more videos with sound, or recorded sessions.")],
    out: Annotated[Path | None, typer.Option(help="Write them side by side as a picture, .png.")] = None,
    frames: Annotated[int, typer.Option(min=1, max=24, help="Frames of each film in the picture.")] = 8,
    clip: Clip = None,
    prompt: Prompt = None,
    heard: Heard = None,
    json: Json = False,
) -> None:
    """Films side by side: the measures of `tpos evaluate`, and one picture of frames and curves."""
    from engine.app.compare import compare_films
    from engine.app.evaluate import open_clip
    from export.media.writing import writing
    from tpos_models.metrics.plot import plot_side_by_side

    _check_picture("--out", out)
    with console.progress("watching", quiet=json) as progress:
        compared = compare_films(sources, open_clip(clip), prompt, heard, frames, progress)
    if out is not None:
        with writing(out):
            plot_side_by_side([film.strip for film in compared.films], out)
    if json:
        console.result(compared.as_dict(), json)
        return
    console.table(*compared.table())


def _check_picture(option: str, path: Path | None) -> None:
    """Before minutes of work: whether a .png can be written there."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: no folder {path.parent}; a .png in one that is there would be accepted")
    if path.is_dir() or path.suffix.lower() != ".png":
        raise InputError(f"{option} {path}: not the name of a .png, which would be accepted")
