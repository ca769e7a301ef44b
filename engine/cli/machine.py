"""Commands that look at this machine: `devices`, `outputs`, `presets`, `doctor`, `bench`, `soak`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import LookOptions, option, parse_size
from engine.cli.app import Json, Model, OscPort, Size, app, positive
from engine.control.osc import PORT
from engine.core import console
from tpos_models.errors import InputError


@app.command()
def devices(json: Json = False) -> None:
    """Sound cards: inputs, with monitors of what an output plays, and outputs that a file is heard through."""
    from dataclasses import asdict

    from engine.audio.portaudio import Direction, list_devices

    found, outputs = list_devices(), list_devices(Direction.OUTPUT)
    if json:
        console.result({"devices": [asdict(device) for device in found], "outputs": [asdict(o) for o in outputs]}, json)
        return
    if not found:
        console.notify("no sound card; files and --input synth still play")
    rows = [(d.index, d.name, d.host_api, d.channels, d.default_rate, "monitor" if d.is_monitor else "") for d in found]
    rows += [(d.index, d.name, d.host_api, d.channels, d.default_rate, "output") for d in outputs]
    console.table(("index", "name", "through", "channels", "rate", ""), rows)


@app.command()
def outputs(json: Json = False) -> None:
    """Outputs: what a show can be sent to from here, and why not."""
    from engine.outputs.registry import OUTPUTS
    from engine.outputs.spec import accepted

    rows = [(name, kind.missing() or "ok", kind.what, accepted(name)) for name, kind in OUTPUTS.items()]
    if json:
        listed = [{"name": n, "state": s, "what": w, "accepts": a.split(", ")} for n, s, w, a in rows]
        console.result({"outputs": listed}, json)
        return
    console.table(("--output", "here", "what", "after a colon"), rows)


@app.command()
def presets(json: Json = False) -> None:
    """Presets: the shipped ones, and your own in the configuration folder."""
    from engine.control.presets import library, user_directory

    found, troubles = library()
    if json:
        listed = [{"name": p.name, "description": p.description, "path": str(p.path)} for p in found.values()]
        console.result({"presets": listed, "troubles": troubles}, json)
        return
    console.table(("name", "description"), [(p.name, p.description) for p in found.values()])
    for trouble in troubles:
        console.notify(trouble)
    console.notify(f"your own go to {user_directory()}")


@app.command()
def doctor(
    show: Annotated[
        list[str] | None, typer.Argument(metavar="[PRESETS...]", help="With --show: presets, set lists or folders.")
    ] = None,
    rehearsed: Annotated[bool, typer.Option("--show", help="Go through these before the doors open, too.")] = False,
    model: Model = "pocket",
    hours: Annotated[float, typer.Option(help="So long there is to be room to record.", callback=positive)] = 12.0,
    record: Annotated[Path | None, typer.Option(help="The recordings' folder.")] = None,
    osc_port: OscPort = PORT,
    json: Json = False,
) -> None:
    """What is present, missing or wrong on this machine, and what to do about it; with --show in a whole set."""
    from engine.app.doctor import WRONG, examine

    if rehearsed != bool(show):
        raise InputError("tpos doctor: --show and presets come together: 'tpos doctor --show club night.toml'")
    findings = examine(osc_port)
    if show:
        from engine.app.rehearsal import rehearse

        findings += rehearse(show, model, hours, record)
    wrong = [finding for finding in findings if finding.state is WRONG]
    if json:
        rows = [{"part": f.part, "state": f.state, "words": f.words} for f in findings]
        console.result({"ok": not wrong, "findings": rows}, json)
    else:
        console.table(("part", "", "what"), [(f.part, f.state, f.words) for f in findings])
    if wrong:
        raise typer.Exit(1)


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(help="Seconds for each measurement.", callback=positive)] = 10.0,
    model: Model = "pocket",
    size: Annotated[str | None, typer.Option(help="Size of the model's pictures, `pocket`'s as a field.")] = None,
    guidance: Annotated[str | None, option("guidance")] = None,
    steps: Annotated[int, option("steps")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Every tier at 1, 2 and 4 steps instead.")] = False,
    compare: Annotated[
        str | None, typer.Option(help="diffusers: its own pipeline on the same weights instead.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a chart of the stages, .png.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, int8 or fp16.")] = None,
    sections: Annotated[
        Path | None, typer.Option(help="Play this folder's music and say which sections are found instead.")
    ] = None,
    beats: Annotated[
        list[Path] | None, typer.Option(help="Play folders of renders or loops and say which beats are found instead.")
    ] = None,
    looks: Annotated[
        Path | None, typer.Option(help="Play this folder's music to the club presets and say what they draw instead.")
    ] = None,
    hands: Annotated[
        bool, typer.Option("--hands", help="Knobs, floods of changes and cues on the bar of a headless show instead.")
    ] = False,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Play to NDI, windows and a recording and say what arrives instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure the running engine on this machine, stage by stage, with the bars it should reach."""
    from engine.bench import BenchOptions, run_bench

    settings = {"steps": steps} | ({"guidance": guidance} if guidance else {})
    options = BenchOptions(
        look=LookOptions(model, size, precision=precision, settings=settings),
        seconds=seconds,
        sweep=sweep,
        compare=compare,
        plot=plot,
        sections=sections,
        beats=tuple(beats or ()),
        looks=looks,
        hands=hands,
        outputs=outputs,
    )
    report, lines = run_bench(options, None if json else console.notify)
    console.result(report, json, lines)


@app.command()
def soak(
    minutes: Annotated[
        float | None,
        typer.Option(callback=positive, help="So long, two faults at once after each was thrown; without: each once."),
    ] = None,
    faults: Annotated[str, typer.Option(help="Names between commas, all or none.")] = "all",
    seed: Annotated[int, typer.Option(help="Of what is thrown at random.")] = 0,
    hours: Annotated[
        float | None,
        typer.Option(callback=positive, help="So many hours of a show on a virtual clock instead, as fast as they go."),
    ] = None,
    model: Model = "pocket",
    size: Size = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, int8 or fp16.")] = None,
    json: Json = False,
) -> None:
    """Play a show, throw faults at it, and say how it bore them: through the night, before the night."""
    from engine.bench.soak import SoakOptions, named, run_soak
    from engine.bench.soak.night import run_night

    notify = None if json else console.notify
    if hours is not None:
        report, lines = run_night(hours, notify)
    else:
        options = SoakOptions(model, precision, parse_size(size or "256x256"), minutes, named(faults), seed)
        report, lines = run_soak(options, notify)
    console.result(report, json, lines)
