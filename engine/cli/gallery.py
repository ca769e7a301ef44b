"""`tpos gallery`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import ModelOptions, option, parse_size, with_options
from engine.cli.app import Fps, Json, Size, app, positive
from engine.core import console


@app.command()
@with_options
def gallery(
    options: ModelOptions,
    out: Annotated[Path, typer.Option(help="The folder it goes to.")] = Path("gallery"),
    only: Annotated[str | None, typer.Option(help="One example by its name.")] = None,
    sounds: Annotated[
        Path | None, typer.Option(help="A folder of your own recordings, each named like its example.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the films that the folder has.")] = False,
    steps: Annotated[int | None, option("steps")] = None,
    size: Size = "320x320",
    fps: Fps = 12.0,
    seconds: Annotated[float, typer.Option(help="Seconds of each film.", callback=positive)] = 8.0,
    json: Json = False,
) -> None:
    """The Power of Sound's page, played: each of its scenes and sounds beside the plain prompt, as films on a page."""
    from engine.app.gallery import GalleryOptions, make_gallery

    asked = GalleryOptions(out, sounds, only, resume, parse_size(size or ""), fps, seconds, steps)
    with console.progress("the gallery", quiet=json) as progress:
        made = make_gallery(asked, options, progress)
    console.result(made, json, [f"{made['page']}: {len(made['made'])} made, {len(made['refused'])} refused"])
