"""The command's tree, and the options that several commands share. A command only reads its options and prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import engine
from tpos_models.errors import InputError


def _tree(name: str | None, words: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=words,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _tree("tpos", "Sound becomes picture, live: The Power of Sound on few-step latent-consistent diffusion.")
sessions_app = _tree(None, "Recorded sessions: list them, re-render them.")
models_app = _tree(None, "Models: list, fetch, import.")
app.add_typer(sessions_app, name="sessions")
app.add_typer(models_app, name="models")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tpos {engine.__version__}")
        raise typer.Exit


@app.callback()
def version(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and stop.")
    ] = False,
) -> None:
    """Sound becomes picture, live: The Power of Sound on few-step latent-consistent diffusion."""


def positive(option: typer.CallbackParam, value: float | None) -> float | None:
    """What an option was given, where that is more than 0, or nothing. Raises `InputError`."""
    if value is not None and not value > 0:
        raise InputError(f"{option.opts[0]} {value:g}: more than 0 would be accepted")
    return value


def within(low: float, high: float) -> Callable[[typer.CallbackParam, float], float]:
    """The same, of what lies between two numbers."""

    def check(option: typer.CallbackParam, value: float) -> float:
        if not low <= value <= high:
            raise InputError(f"{option.opts[0]} {value:g}: {low:g} to {high:g} would be accepted")
        return value

    return check


Model = Annotated[str, typer.Option(help="pocket, a Stable Diffusion name or folder, or random:ARCH.")]
Size = Annotated[str | None, typer.Option(help="Size of the output, WIDTHxHEIGHT.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Seconds = Annotated[float | None, typer.Option(help="Stop after this many seconds.", callback=positive)]
InputName = Annotated[
    str, typer.Option("--input", "-i", help="A device (index, part of its name, default), a file, or synth.")
]
Channels = Annotated[str | None, typer.Option(help="Channels of the device from 1, such as 3,4.")]
OscPort = Annotated[int, typer.Option(help="UDP port for OSC.", callback=within(0, 65535))]
Mute = Annotated[bool, typer.Option("--mute", help="Do not play a file or the soundtrack aloud.")]
Monitor = Annotated[
    str | None, typer.Option(help="Output that plays a file or synth aloud: index, or part of its name.")
]
RemotePlace = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]", help="The page and OSCQuery: for here, or with 0.0.0.0:9080 for phones, by QR code."
    ),
]
StreamBatch = Annotated[
    bool, typer.Option("--stream-batch", help="Steps of successive frames in one call: more frames, each later.")
]
FilmFormat = Annotated[
    str | None, typer.Option(help="h264, prores, prores4444 (alpha: black is transparent), av1, nvenc or av1-nvenc.")
]


@dataclass(frozen=True)
class MediaOptions:
    """Pictures that a live show takes in, and films that it writes."""

    video_in: Annotated[
        str | None,
        typer.Option(
            help="A live picture to redraw, as far as --strength says: a film file, camera[:NAME], "
            "screen[:WIDTHxHEIGHT+X+Y], ndi[:NAME], spout[:NAME] or syphon[:NAME]."
        ),
    ] = None
    record: Annotated[Path | None, typer.Option(help="Record from the start, under this folder.")] = None
    record_format: FilmFormat = None

    @property
    def of_show(self) -> dict[str, Any]:
        """Fields of `engine.app.live.LiveOptions`. Raises `InputError` for a format that this machine lacks."""
        from export.media.formats import choose_format

        form = choose_format(self.record_format, "record-format")
        record = self.record.expanduser() if self.record else None  # a shell leaves --record=~/sets as it is
        return {"video_in": self.video_in, "record": record, "form": form}


Headless = Annotated[bool, typer.Option(help="No window.")]
Parent = Annotated[
    bool, typer.Option("--parent/--no-parent", help="Bring the show back should its process die; not on Windows.")
]
Field = Annotated[str, typer.Option(help="Who draws pocket: auto, shader (OpenGL, as finely as the screen) or cpu.")]
Fps = Annotated[float, typer.Option(help="Frames per second of the video.", callback=positive)]
On = Annotated[
    str | None,
    typer.Option(
        help="Draw frames in chunks that are kept until the film is done: here, ray (a cluster of this machine), or "
        "the address of one, such as ray://host:10001."
    ),
]
Workers = Annotated[int | None, typer.Option(help="Workers on Ray; as many as there is room for otherwise.")]
Root = Annotated[Path | None, typer.Option(help="Folder of recordings; every one known otherwise.")]


@dataclass(frozen=True)
class ScreenOptions:
    """Where a show is seen."""

    headless: Headless = False
    fullscreen: Annotated[bool, typer.Option(help="Start fullscreen.")] = False
    display: Annotated[int, typer.Option(help="Which monitor, from 0.")] = 0
    size: Size = None
    output: Annotated[
        list[str] | None,
        typer.Option(
            help="A further output: ndi, window:1, spout, syphon, with KEY=VALUE,... after a colon; may be repeated. "
            "See `tpos outputs`."
        ),
    ] = None
    operator: Annotated[
        bool, typer.Option("--operator", help="A second window for the operator; the first then never has text.")
    ] = False
    venue: Annotated[
        str, typer.Option(help="How outputs are mapped to what they are thrown at: a name, or a .toml; G begins.")
    ] = ""

    @property
    def values(self) -> dict[str, Any]:
        """These for `LiveOptions`. Raises `InputError`."""
        from engine.app.options import parse_size
        from engine.outputs.spec import parse_outputs

        given: dict[str, Any] = {"headless": self.headless, "fullscreen": self.fullscreen, "display": self.display}
        size = parse_size(self.size) if self.size else None
        outputs = parse_outputs(self.output, self.operator)
        return given | {"size": size, "outputs": outputs, "venue": self.venue}
