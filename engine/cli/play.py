"""Commands that play: `demo`, `live`, `render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import (
    DEFAULT_PRESET,
    FieldChoice,
    HandsOptions,
    LookOptions,
    Preset,
    parse_size,
    with_options,
)
from engine.cli.app import (
    Channels,
    Field,
    FilmFormat,
    Fps,
    Headless,
    InputName,
    Json,
    MediaOptions,
    Monitor,
    Mute,
    On,
    OscPort,
    Parent,
    RemotePlace,
    ScreenOptions,
    Seconds,
    Size,
    StreamBatch,
    Workers,
    app,
    within,
)
from engine.control.osc import HOST, PORT
from engine.core import console
from engine.core.stems import parse_channels
from tpos_models.errors import InputError


@app.command()
def demo(
    preset: Preset = DEFAULT_PRESET,
    seconds: Seconds = None,
    headless: Headless = False,
    mute: Mute = False,
    json: Json = False,
) -> None:
    """See sound move pictures: a microphone if there is one, else the built-in soundtrack; recorded."""
    from engine.app.demo import run_demo

    summary = run_demo(preset, seconds, headless, mute, quiet=json)
    console.result(summary.as_dict(), json, summary.lines())


@app.command()
@with_options
def live(
    look: LookOptions,
    input: InputName = "default",
    channels: Channels = None,
    loop: Annotated[bool, typer.Option(help="Play a file again and again.")] = False,
    mute: Mute = False,
    monitor: Monitor = None,
    screen: ScreenOptions = ScreenOptions(),
    osc_port: OscPort = PORT,
    osc_address: Annotated[str, typer.Option(help="Address to listen on for OSC.")] = HOST,
    osc_target: Annotated[str | None, typer.Option(help="Send status to HOST:PORT, not the last sender.")] = None,
    hands: HandsOptions = HandsOptions(),
    remote: RemotePlace = None,
    media: MediaOptions = MediaOptions(),
    fps: Annotated[
        float, typer.Option(help="Cap on sampled frames per second; 0 is none.", callback=within(0, 1000))
    ] = 0.0,
    field: Field = "auto",
    seconds: Seconds = None,
    stream_batch: StreamBatch = False,
    parent: Parent = True,
    json: Json = False,
) -> None:
    """Play a set: live sound in, pictures out, in a window or headless."""
    from engine.app.builder import OscOptions
    from engine.app.live import LiveOptions, run_live
    from engine.remote.address import parse_place

    options = LiveOptions(
        look=look,
        **screen.values,
        source=input,
        channels=parse_channels(channels) if channels else None,
        loop=loop,
        mute=mute,
        monitor=monitor,
        osc=OscOptions(osc_address, osc_port, osc_target),
        hands=hands,
        remote=parse_place(remote) if remote is not None else None,
        **media.of_show,
        max_fps=fps,
        field=FieldChoice.parse(field),
        stream_batch=stream_batch,
        seconds=seconds,
    )
    summary = run_live(options, quiet=json)
    console.result(summary.as_dict(), json, summary.lines())


@app.command()
@with_options
def render(
    audio: Annotated[Path, typer.Argument(help="The sound to render.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write, .mp4, or .mov in ProRes.")],
    look: LookOptions,
    size: Size = None,
    fps: Fps = 30.0,
    seconds: Seconds = None,
    format: FilmFormat = None,
    loop_bars: Annotated[
        int | None, typer.Option(help="So many bars of the sound as a loop: a film that ends where it begins.")
    ] = None,
    on: On = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Render a sound file to a video: the live show on a virtual clock, the same picture on every run."""
    from engine.app.loop.loop import render_loop
    from engine.app.offline import FilmOptions, render_file
    from engine.inference.farm.places import open_farm
    from export.media.formats import choose_format

    if loop_bars is not None and on is not None:
        raise InputError(f"--on {on} with --loop-bars: one of them would be accepted; a loop is drawn here")
    if output.exists() and audio.exists() and output.samefile(audio):
        raise InputError(f"--output {output}: that is the sound itself; another file would be accepted")
    form = choose_format(format, "format", output)
    film = FilmOptions(output, parse_size(size) if size else None, fps, seconds, form)
    with (
        open_farm(on, workers) as farm,
        console.progress("rendering", json, lambda: farm.cost if farm else "") as progress,
    ):
        if loop_bars is None:
            summary = render_file(audio, film, look, progress, farm)
        else:
            summary = render_loop(audio, film, look, loop_bars, progress)
    console.result(summary, json, [f"{output}: {summary['frames']} frames, {summary['seconds']:.1f} s"])
