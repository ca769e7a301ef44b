"""The `tpos` command. Bad input is one line and exit 2, trouble while running exit 1; a traceback only with --debug."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.app.options import (
    DEFAULT_PRESET,
    LookOptions,
    ModelOptions,
    check_sampler,
    parse_channels,
    parse_size,
    positive,
    with_options,
)
from engine.core import console
from tpos_models.errors import InputError, TposError

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Click's, wherever typer keeps its click."""

NoArguments = next(kind for kind in UsageError.__subclasses__() if kind.__name__ == "NoArgsIsHelpError")

app = typer.Typer(
    name="tpos",
    help="Sound becomes picture, live: The Power of Sound on few-step latent-consistent diffusion.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
sessions_app = typer.Typer(help="Recorded sessions: list them, re-render them.", no_args_is_help=True)
models_app = typer.Typer(help="Models: list, fetch, import.", no_args_is_help=True)
app.add_typer(sessions_app, name="sessions")
app.add_typer(models_app, name="models")

Model = Annotated[str, typer.Option(help="pocket, a Stable Diffusion name or folder, or random:ARCH.")]
Preset = Annotated[str, typer.Option(help="A preset by name or path; see `tpos presets`.")]
Size = Annotated[str | None, typer.Option(help="Size of the output, WIDTHxHEIGHT.")]
Guidance = Annotated[str | None, typer.Option(help="auto, blend, semantic or reference: 1, 2 or 3 evaluations a step.")]
Sampler = Annotated[
    str, typer.Option(help="few-step, or reference: the paper's 50 PLMS steps, three evaluations each.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Seconds = Annotated[float | None, typer.Option(help="Stop after this many seconds.")]
InputName = Annotated[
    str, typer.Option("--input", "-i", help="A device (index, part of its name, default), a file, or synth.")
]
Channels = Annotated[str | None, typer.Option(help="Channels of the device from 1, such as 3,4.")]
OscPort = Annotated[int, typer.Option(help="UDP port for OSC.")]
Headless = Annotated[bool, typer.Option(help="No window.")]


@app.command()
def demo(
    preset: Preset = DEFAULT_PRESET,
    seconds: Seconds = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """See sound move pictures: a microphone if there is one, else the built-in soundtrack; recorded."""
    from engine.app.demo import run_demo

    summary = run_demo(preset, seconds, headless, quiet=json)
    console.result(summary.as_dict(), json, summary.lines())


@app.command()
@with_options
def live(
    look: LookOptions,
    input: InputName = "default",
    channels: Channels = None,
    loop: Annotated[bool, typer.Option(help="Play a file again and again.")] = False,
    headless: Headless = False,
    fullscreen: Annotated[bool, typer.Option(help="Start fullscreen.")] = False,
    display: Annotated[int, typer.Option(help="Which monitor, from 0.")] = 0,
    osc_port: OscPort = 9000,
    osc_address: Annotated[str, typer.Option(help="Address to listen on for OSC.")] = "127.0.0.1",
    osc_target: Annotated[str | None, typer.Option(help="Send status to HOST:PORT instead of the last sender.")] = None,
    record: Annotated[Path | None, typer.Option(help="Record from the start, under this folder.")] = None,
    size: Size = None,
    fps: Annotated[float, typer.Option(help="Cap on sampled frames per second; 0 is none.")] = 0.0,
    seconds: Seconds = None,
    stream_batch: Annotated[
        bool, typer.Option("--stream-batch", help="Steps of successive frames in one call: more frames, each later.")
    ] = False,
    json: Json = False,
) -> None:
    """Play a set: live sound in, pictures out, in a window or headless."""
    from engine.app.live import LiveOptions, run_live

    options = LiveOptions(
        look=look,
        source=input,
        channels=parse_channels(channels) if channels else None,
        loop=loop,
        headless=headless,
        fullscreen=fullscreen,
        display=display,
        osc_host=osc_address,
        osc_port=osc_port,
        osc_target=osc_target,
        record=record,
        size=parse_size(size) if size else None,
        max_fps=fps,
        stream_batch=stream_batch,
        seconds=positive("seconds", seconds) if seconds is not None else None,
    )
    summary = run_live(options, quiet=json)
    console.result(summary.as_dict(), json, summary.lines())


@app.command()
@with_options
def render(
    audio: Annotated[Path, typer.Argument(help="The sound to render.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write, .mp4 or .mkv.")],
    look: LookOptions,
    sampler: Sampler = "few-step",
    size: Size = None,
    fps: Annotated[float, typer.Option(help="Frames per second of the video.")] = 30.0,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Render a sound file to a video: the live show on a virtual clock, the same picture on every run."""
    from engine.app.offline import render_file

    check_sampler(sampler, look.steps)
    with console.progress("rendering", quiet=json) as tick:
        summary = render_file(
            audio, output, look, parse_size(size) if size else None, positive("fps", fps), seconds, tick, sampler
        )
    console.result(summary, json, [f"{output}: {summary['frames']} frames, {summary['seconds']:.1f} s"])


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
    with console.progress("listening", quiet=json) as tick:
        report = hear_source(source, chosen, picked, seconds, tick)
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
    with console.progress("watching", quiet=json) as tick:
        measured = evaluate_film(source, clip, prompt, heard, tick)
    if plot is not None:
        draw(measured, plot)
    if json:
        console.result(as_dict(measured), json)
        return
    console.table(("measure", "", "what it says"), [(row.name, row.value, row.meaning) for row in measured.rows()])


@app.command()
def devices(json: Json = False) -> None:
    """Sound cards and their inputs; monitors are what an output plays."""
    from dataclasses import asdict

    from engine.audio.portaudio import list_devices

    found = list_devices()
    if json:
        console.result({"devices": [asdict(device) for device in found]}, json)
        return
    if not found:
        console.say("no sound card; files and --input synth still play")
    rows = [
        (d.index, d.name, d.host_api, d.channels, int(d.default_rate), "monitor" if d.is_monitor else "") for d in found
    ]
    console.table(("index", "name", "through", "inputs", "rate", ""), rows)


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
        console.say(trouble)
    console.say(f"your own go to {user_directory()}")


@models_app.command("list")
def list_models(json: Json = False) -> None:
    """Models that can be played."""
    from tpos_models.registry import available

    rows = [(model.name, model.where, model.words) for model in available()]
    if json:
        console.result({"models": [dict(zip(("name", "where", "what"), row, strict=True)) for row in rows]}, json)
    else:
        console.table(("name", "where it runs", "what it is"), rows)


@app.command()
@with_options
def build(
    options: ModelOptions,
    to: Annotated[str, typer.Option(help="onnx or tensorrt.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="Folder for the files; the cache otherwise.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or fp16; TensorRT's default is fp16.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Build for another GPU, by its compute capability, as 8.9.")] = None,
    json: Json = False,
) -> None:
    """Build every network of a model: ONNX, checked against torch, or TensorRT engines."""
    from engine.app.build import BuildOptions, build_model, lines

    wanted = BuildOptions(options.name, to, out, precision, gpu, options.size_px, options.additions)
    report = build_model(wanted, None if json else console.say)
    console.result(report, json, lines(report))


@sessions_app.command("list")
def list_sessions(
    root: Annotated[Path | None, typer.Option(help="Folder of recordings.")] = None, json: Json = False
) -> None:
    """Recorded sessions, newest last."""
    from engine.recording.session import default_root
    from engine.recording.session import list_sessions as find

    found = find(root or default_root())
    if json:
        console.result({"sessions": [session.as_dict() for session in found]}, json)
        return
    console.table(("name", "seconds", "state"), [(s.name, f"{s.duration_s:.1f}", s.state) for s in found])


@sessions_app.command("export")
@with_options
def export_session(
    name: Annotated[str, typer.Argument(help="A session's name or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write.")],
    options: ModelOptions,
    root: Annotated[Path | None, typer.Option(help="Folder of recordings.")] = None,
    sampler: Sampler = "few-step",
    size: Size = None,
    fps: Annotated[float, typer.Option(help="Frames per second of the video.")] = 30.0,
    json: Json = False,
) -> None:
    """Re-render a recorded set, bigger or with another model: the same show, better."""
    from engine.app.offline import render_session
    from engine.recording.session import default_root, open_session

    session = open_session(name, root or default_root())
    with console.progress("rendering", quiet=json) as tick:
        wanted = parse_size(size) if size else None
        summary = render_session(session, output, options, wanted, positive("fps", fps), tick, sampler)
    console.result(summary, json, [f"{output}: {summary['frames']} frames, {summary['seconds']:.1f} s"])


@app.command()
def doctor(osc_port: OscPort = 9000, json: Json = False) -> None:
    """What is present, missing or wrong on this machine, and what to do about it."""
    from engine.app.doctor import examine

    findings = examine(osc_port)
    wrong = [finding for finding in findings if finding.state == "wrong"]
    if json:
        rows = [{"part": f.part, "state": f.state, "words": f.words} for f in findings]
        console.result({"ok": not wrong, "findings": rows}, json)
    else:
        console.table(("part", "", "what"), [(f.part, f.state, f.words) for f in findings])
    if wrong:
        raise typer.Exit(1)


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help="text, hearing, pictures, evaluate, or tpos: the paper's encoder.")],
    runs: Annotated[Path, typer.Option(help="Folder for checkpoints, curves and sheets; resumed.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder for the weights; the package's own otherwise.")] = None,
    sounds: Annotated[Path | None, typer.Option(help="Labelled recordings, a folder for each label.")] = None,
    steps: Annotated[int | None, typer.Option(help="Fewer or more steps than the recipe.")] = None,
    hold_out: Annotated[str, typer.Option(help="For hearing: recordings named so are not trained on but named.")] = "",
    model: Annotated[str, typer.Option(help="For tpos: whose text encoder it learns to write for.")] = "lcm-sd15",
    batch: Annotated[int, typer.Option(help="For tpos: sounds a step on each device.")] = 32,
    json: Json = False,
) -> None:
    """Train a part of the built-in model or the paper's encoder for Stable Diffusion, or print the model card's table.

    `accelerate launch -m engine.cli train ...` runs it on many GPUs or machines.
    """
    from tpos_models.pocket.networks import WEIGHTS
    from tpos_models.training import recipes

    if stage == "evaluate":
        numbers = recipes.evaluate(out or WEIGHTS, sounds)
    elif stage == "tpos":
        numbers = recipes.train_for_stable_diffusion(model, runs, out, sounds, steps, batch)
    else:
        numbers = recipes.train(stage, runs, out or WEIGHTS, sounds, steps, hold_out)
    console.result(numbers, json, [f"{name}: {value}" for name, value in numbers.items()])


@models_app.command("import-tpos")
def import_tpos(
    encoder: Annotated[Path, typer.Argument(help="The released audio encoder, .pth.")],
    mapping: Annotated[Path, typer.Argument(help="The released MAP, .pth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the converted checkpoint.")],
) -> None:
    """Convert the paper's released checkpoints to safetensors."""
    from tpos_models.stable_diffusion.tpos import import_tpos as convert

    convert(encoder, mapping, out)
    console.say(f"written to {out}")


@models_app.command("fetch")
def fetch_model(name: Annotated[str, typer.Argument(help="A known name, a hub id, or clap.")]) -> None:
    """Download a model, or go on where a download broke off."""
    from tpos_models.stable_diffusion import hub

    with console.progress(f"fetching {name}") as tick:
        hub.fetch(name, lambda repo, done, total: tick(done / max(1, total)))


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(help="Seconds for each measurement.")] = 10.0,
    model: Model = "pocket",
    size: Annotated[str | None, typer.Option(help="Size of the model's pictures, WIDTHxHEIGHT.")] = None,
    guidance: Guidance = None,
    steps: Annotated[int, typer.Option(help="Sampling steps a frame.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Every tier at 1, 2 and 4 steps instead.")] = False,
    compare: Annotated[
        str | None, typer.Option(help="diffusers: its own pipeline on the same weights instead.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a chart of the stages, .png.")] = None,
    soak: Annotated[float | None, typer.Option(help="Play and record for this many minutes instead.")] = None,
    json: Json = False,
) -> None:
    """Measure the running engine on this machine, stage by stage, with the bars it should reach."""
    from engine.bench import BenchOptions, run_bench

    options = BenchOptions(
        model=model,
        size=parse_size(size) if size else None,
        guidance=guidance,
        steps=steps,
        seconds=positive("seconds", seconds),
        sweep=sweep,
        compare=compare,
        plot=plot,
        soak_minutes=positive("soak", soak) if soak is not None else None,
    )
    report, lines = run_bench(options, None if json else console.say)
    console.result(report, json, lines)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and turns every error of ours into one line and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if not debug:
        logging.getLogger("engine").addHandler(logging.NullHandler())  # a show tells its own troubles in one line
    try:
        code: Any = app([word for word in given if word != "--debug"], prog_name="tpos", standalone_mode=False)
    except NoArguments as error:
        console.say(str(error))
        sys.exit(2)
    except UsageError as error:
        _fail(error.format_message().replace("\n", " "), 2, debug)  # type: ignore[attr-defined]
    except TposError as error:
        _fail(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        raise
    console.say(f"tpos: {message}")
    sys.exit(code)
