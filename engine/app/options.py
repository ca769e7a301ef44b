"""What the command line asks for, declared and checked once for every command that plays.

Every field of `ModelOptions` and `LookOptions` is an option of the commands that take the record (`with_options`).
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from engine.control import presets
from engine.control.show import Show, parse_prompts
from engine.core.messages import ShowState
from tpos_models.diffusion.guidance import TIERS
from tpos_models.errors import InputError
from tpos_models.registry import PLAIN, POCKET, Additions

MAX_SIDE_PX = 8192
MAX_STEPS = 500
DEFAULT_PRESET = "default"
SAMPLERS = ("few-step", "reference")


@dataclass(frozen=True)
class ModelOptions:
    """Which model plays and what it is given; None: the session's own where one is played again, else the default."""

    model: Annotated[
        str | None, typer.Option(help="pocket (the default), a Stable Diffusion name or folder, or random:ARCH.")
    ] = None
    model_size: Annotated[
        str | None, typer.Option(help="Size Stable Diffusion draws at, WIDTHxHEIGHT; multiples of 8.")
    ] = None
    lora: Annotated[
        list[str] | None, typer.Option(help="A LoRA to fuse into it, FILE or FILE:STRENGTH; may be repeated.")
    ] = None
    ear: Annotated[
        str | None, typer.Option(help="What hears for it: auto, pocket, clap, a folder of CLAP or an imported TPoS.")
    ] = None

    def __post_init__(self) -> None:
        if self.model_size is not None:
            parse_size(self.model_size, "model-size")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model or POCKET

    @property
    def size_px(self) -> tuple[int, int] | None:
        """(width, height) the model draws at; None is its own."""
        return parse_size(self.model_size, "model-size") if self.model_size else None

    @property
    def additions(self) -> Additions:
        """LoRAs and audio encoder."""
        return Additions(tuple(self.lora or ()), self.ear or PLAIN.audio_encoder)

    def model_record(self) -> dict[str, Any]:
        """These fields for a session's record, files by their whole paths."""
        whole = [str(Path(lora).expanduser().resolve()) for lora in self.lora or ()]
        values = {field.name: getattr(self, field.name) for field in fields(ModelOptions)}
        return values | {"model": self.name, "lora": whole or None}

    def over(self, record: dict[str, Any]) -> ModelOptions:
        """These options, and those of a session's record where none is given; another model takes none of them."""
        if self.model is not None and self.model != record.get("model"):
            return self
        known = {field.name: record.get(field.name) for field in fields(ModelOptions)}
        return ModelOptions(**{name: getattr(self, name) or value for name, value in known.items()})


@dataclass(frozen=True)
class LookOptions(ModelOptions):
    """The options every playing command shares; None leaves a setting to the preset."""

    preset: Annotated[str, typer.Option(help="A preset by name or path; see `tpos presets`.")] = DEFAULT_PRESET
    prompt: Annotated[str | None, typer.Option(help="The scene; several with weights: 'a beach:0.7 | fire:0.3'.")] = (
        None
    )
    negative: Annotated[str | None, typer.Option(help="What not to show; heeded in the reference tier.")] = None
    init_image: Annotated[
        str | None, typer.Option(help="Start from a picture, or from the last frame of a video or a session's folder.")
    ] = None
    strength: Annotated[float | None, typer.Option(help="How far frames leave the start picture, 0..1.")] = None
    feedback: Annotated[float | None, typer.Option(help="How much of the last frame stays in the next, 0..1.")] = None
    seed: Annotated[int | None, typer.Option(help="Another composition.")] = None
    guidance: Annotated[
        str | None, typer.Option(help="auto, blend, semantic or reference: 1, 2 or 3 evaluations a step.")
    ] = None
    amount: Annotated[float | None, typer.Option(help="How much the sound steers the picture, 0..1.")] = None
    motion: Annotated[float | None, typer.Option(help="How much the picture moves by itself, 0..1.")] = None
    steps: Annotated[int | None, typer.Option(help="Sampling steps a frame.")] = None
    agc: Annotated[bool, typer.Option("--agc/--no-agc", help="Automatic gain, or the input's level as it is.")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.guidance not in (None, "auto", *TIERS):
            raise InputError(f"--guidance {self.guidance}: auto, {', '.join(TIERS)} would be accepted")
        for name in ("amount", "motion", "strength", "feedback"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"--{name} {value:g}: 0 to 1 would be accepted")
        if self.seed is not None and not 0 <= self.seed <= presets.MAX_SEED:
            raise InputError(f"--seed {self.seed}: 0 to {presets.MAX_SEED} would be accepted")
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise InputError(f"--steps {self.steps}: 1 to {MAX_STEPS} would be accepted")

    def build_show(self, base: ShowState | None = None) -> tuple[Show, list[str]]:
        """The show with its preset and these overrides, and the troubles of presets that do not load."""
        library, troubles = presets.library()
        show = Show(presets.load(self.preset), library, base)
        state = {field.name for field in fields(ShowState)} - {"preset"}
        changes = {f.name: getattr(self, f.name) for f in fields(self) if f.name in state}
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.prompt is not None:
            changes["prompts"] = parse_prompts(self.prompt)
        show.set(**changes)
        return show, troubles


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A typer command in which a parameter that is an option record stands for an option for each of its fields."""
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        own = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += _options(records[name]) if name in records else [own]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for name, record in records.items():
            values[name] = record(**{field.name: values.pop(field.name) for field in fields(record)})
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _options(record: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    for field in fields(record):
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )


def check_sampler(sampler: str, steps: int | None) -> None:
    """Raise `InputError` for a sampler that is none, or for steps it cannot take."""
    if sampler not in SAMPLERS:
        raise InputError(f"--sampler {sampler}: {' or '.join(SAMPLERS)} would be accepted")
    if sampler == "reference" and steps == 1:
        raise InputError(f"--steps 1: 2 to {MAX_STEPS} would be accepted with --sampler reference")


def parse_size(text: str, option: str = "size") -> tuple[int, int]:
    """ "1280x720" -> (1280, 720); raises `InputError`."""
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if not match:
        raise InputError(f"--{option} {text}: WIDTHxHEIGHT in pixels would be accepted, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= MAX_SIDE_PX and 16 <= height <= MAX_SIDE_PX):
        raise InputError(f"--{option} {text}: 16 to {MAX_SIDE_PX} pixels a side would be accepted")
    return width, height


def parse_channels(text: str) -> tuple[int, ...]:
    """ "3,4" -> (3, 4), counted from 1 as on the mixer; raises `InputError`."""
    try:
        channels = tuple(int(part) for part in text.split(","))
    except ValueError:
        channels = ()
    if not channels or min(channels) < 1:
        raise InputError(f"--channels {text}: channel numbers from 1 would be accepted, such as 3,4")
    return channels


def positive(name: str, value: float) -> float:
    """`value` if it is more than 0; raises `InputError`."""
    if not value > 0:
        raise InputError(f"--{name} {value:g}: more than 0 would be accepted")
    return value
