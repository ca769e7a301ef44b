"""Commands on models: `models list|fetch|import-tpos`, `build`, `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.options import ModelOptions, with_options
from engine.cli.app import Json, app, models_app
from engine.core import console
from tpos_models.errors import InputError

STAGES = "text, corpus, mixtures, hearing, pictures, field, sections, beats, evaluate, or tpos."


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
    gpu: Annotated[str | None, typer.Option(help="Build for another GPU, by its compute capability, as 8.9.")] = None,
    json: Json = False,
) -> None:
    """Build every network of a model: ONNX, checked against torch, or TensorRT engines."""
    from engine.app.build import BuildOptions, build_model, lines

    wanted = BuildOptions(options.name, to, out, options.precision, gpu, options.size_px, options.additions)
    report = build_model(wanted, None if json else console.notify)
    console.result(report, json, lines(report))


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help=STAGES)],
    runs: Annotated[Path, typer.Option(help="Folder for checkpoints, curves and sheets; resumed.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder for the weights; the package's own otherwise.")] = None,
    sounds: Annotated[
        list[Path] | None,
        typer.Option(help="Recordings, a folder for each label, or for tpos VGGSound's, or for beats with known ones."),
    ] = None,
    beatless: Annotated[list[Path] | None, typer.Option(help="For beats: recordings that have none.")] = None,
    steps: Annotated[int | None, typer.Option(help="Fewer or more steps, or mixtures, than the recipe.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="For hearing: what corpus and mixtures wrote.")] = None,
    music: Annotated[Path | None, typer.Option(help="For evaluate: held-out tracks, and renders with labels.")] = None,
    teachers: Annotated[Path | None, typer.Option(help="For corpus, mixtures: a Python file of audio taggers.")] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="For mixtures, hearing and beats: what begins so is not trained on.")
    ] = None,
    model: Annotated[str, typer.Option(help="For tpos: whose text encoder it learns to write for.")] = "lcm-sd15",
    batch: Annotated[int, typer.Option(min=1, help="For tpos: sounds a step on each device.")] = 32,
    workers: Annotated[int | None, typer.Option(min=0, help="For tpos: processes that read sounds, a device.")] = None,
    imagenet: Annotated[Path | None, typer.Option(help="For tpos: ResNet-18's weights; else the hub's.")] = None,
    json: Json = False,
) -> None:
    """Train a part of the built-in model or the paper's encoder for Stable Diffusion, or print the model card's table.

    `accelerate launch -m engine.cli train ...` runs it on many GPUs or machines.
    """
    from accelerate import PartialState

    from tpos_models.pocket.networks import WEIGHTS
    from tpos_models.training import recipes

    if stage == "tpos":
        numbers = recipes.train_for_stable_diffusion(model, runs, out, sounds or [], steps, batch, workers, imagenet)
    elif stage in recipes.BY_TEACHERS:
        numbers = recipes.listen(stage, sounds or [], teachers, out, steps, hold_out or ())
    elif stage == "sections":
        numbers = recipes.train_sections(runs, out, sounds or [], steps)
    elif stage == "beats":
        numbers = recipes.train_beats(runs, out, sounds or [], beatless or [], steps, hold_out or ())
    elif len(sounds or []) > 1:
        several = "corpus, mixtures, sections, beats and tpos take several"
        raise InputError(f"train {stage}: one --sounds FOLDER is accepted; {several}")
    elif stage == "evaluate":
        numbers = recipes.evaluate(out or WEIGHTS, sounds[0] if sounds else None, music)
    else:
        labelled = sounds[0] if sounds else None
        numbers = recipes.train(stage, runs, out or WEIGHTS, labelled, steps, hold_out or (), corpus)
    if PartialState().is_main_process:
        console.result(numbers, json, [f"{name}: {value}" for name, value in numbers.items()])
    PartialState().destroy_process_group()


@app.command()
def music(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for NAME.flac and its labels, NAME.json.")],
    soundfont: Annotated[Path, typer.Option(help="What plays it, .sf2 or .sf3.")],
    pieces: Annotated[int, typer.Option(min=0, help="How many to compose.")] = 350,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first.")] = 0,
    seconds: Annotated[tuple[float, float], typer.Option(help="How long they are, from and to.")] = (30.0, 60.0),
    one_shots: Annotated[
        list[Path] | None, typer.Option(help="Drums by their names, a folder for each kit, at any depth.")
    ] = None,
    midi: Annotated[list[Path] | None, typer.Option(help="Folders of MIDI files and WADs to play beside them.")] = None,
    etudes: Annotated[int, typer.Option(min=0, help="How many of a few instruments or more, any of General MIDI.")] = 0,
) -> None:
    """Render music with exact beats, bars, sections and instruments, to train on; fluidsynth plays it."""
    from tpos_models.training.music.compose import ETUDE_S, etude
    from tpos_models.training.music.dataset import believable, render_files, render_pieces

    kits, notify = one_shots or [], console.notify
    render_pieces(range(first, first + pieces), soundfont, kits, out, seconds, notify)
    render_pieces(range(first, first + etudes), soundfont, kits, out, ETUDE_S, notify, etude)
    render_files(believable(midi or []).items(), soundfont, out, done=console.notify)


@models_app.command("import-tpos")
def import_tpos(
    encoder: Annotated[Path, typer.Argument(help="The released audio encoder, .pth.")],
    mapping: Annotated[Path, typer.Argument(help="The released MAP, .pth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the converted checkpoint.")],
    front_end: Annotated[
        str, typer.Option(help="What it is shown: linear, as the paper's scripts do, or mel, as it may have learned.")
    ] = "linear",
) -> None:
    """Convert the paper's released checkpoints to safetensors."""
    from tpos_models.stable_diffusion.tpos import FrontEnd
    from tpos_models.stable_diffusion.tpos import import_tpos as convert

    if front_end not in list(FrontEnd):
        raise InputError(f"--front-end {front_end}: {' or '.join(FrontEnd)} would be accepted")
    convert(encoder, mapping, out, front_end=FrontEnd(front_end))
    console.notify(f"written to {out}; it is shown {front_end} pictures of sound (--front-end)")


@models_app.command("fetch")
def fetch_model(name: Annotated[str, typer.Argument(help="A known name, a hub id, or clap.")]) -> None:
    """Download a model, or go on where a download broke off."""
    from tpos_models.stable_diffusion import hub

    with console.progress(f"fetching {name}") as progress:
        hub.fetch(name, lambda repo, done, total: progress(done / max(1, total)))
