"""Commands on recorded sessions: `sessions list|export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import ModelOptions, parse_size, with_options
from engine.cli.app import FilmFormat, Fps, Json, On, Root, Size, Workers, sessions_app
from engine.core import console
from tpos_models.errors import InputError


@sessions_app.command("list")
def list_sessions(root: Root = None, json: Json = False) -> None:
    """Recorded sessions, newest last."""
    from engine.recording.session import list_sessions as find

    found = find(root)
    if json:
        console.result({"sessions": [session.as_dict() for session in found]}, json)
        return
    rows = [(s.name, f"{s.duration_s:.1f}", s.state, str(s.path.parent)) for s in found]
    console.table(("name", "seconds", "state", "in"), rows)


@sessions_app.command("export")
@with_options
def export_session(
    name: Annotated[str, typer.Argument(help="A session's name or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write.")],
    options: ModelOptions,
    root: Root = None,
    size: Size = None,
    fps: Fps = 30.0,
    format: FilmFormat = None,
    on: On = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Re-render a recorded set, bigger or with another model: the same show, better."""
    from engine.app.offline import FilmOptions, render_session
    from engine.inference.farm.places import open_farm
    from engine.recording.folders import video_of
    from engine.recording.session import open_session
    from export.media.formats import choose_format

    form = choose_format(format, "format", output)
    film = FilmOptions(output, parse_size(size) if size else None, fps, form=form)
    session = open_session(name, root)
    if output.exists() and output.resolve() == video_of(session.info.path).resolve():
        raise InputError(f"--output {output}: that is the recording itself; another file would be accepted")
    with (
        open_farm(on, workers) as farm,
        console.progress("rendering", json, lambda: farm.cost if farm else "") as progress,
    ):
        summary = render_session(session, film, options, progress, farm)
    console.result(summary, json, [f"{output}: {summary['frames']} frames, {summary['seconds']:.1f} s"])
