"""What the command line asks for, declared and checked once for every command that plays.

Every field of `ModelOptions` and `LookOptions` is an option of the commands that take the record (`with_options`).
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from engine.control import isf_files, presets
from engine.control.arguments import natural
from engine.control.changes import parse_prompts
from engine.control.parameters import PARAMETERS
from engine.control.show import Show
from engine.core.messages import LoraStrength, ShowState
from engine.core.parameters import Kind, Parameter
from engine.core.stems import Stem, parse_stem
from tpos_models.errors import InputError
from tpos_models.precision import Precision
from tpos_models.registry import PLAIN, POCKET, Additions, most_steps, own_size

MAX_SIDE_PX = 8192
MAX_REFERENCE_STEPS = 500
DEFAULT_PRESET = "default"
OFF = "off"


class SamplerChoice(StrEnum):
    """Few steps of a latent-consistency model, or the paper's 50 PLMS steps."""

    FEW_STEP = "few-step"
    REFERENCE = "reference"


class FieldChoice(StrEnum):
    """AUTO: the shader where a GPU draws it in time, in half as many pixels a side if need be, else the CPU."""

    AUTO = "auto"
    SHADER = "shader"
    CPU = "cpu"

    @classmethod
    def parse(cls, text: str) -> FieldChoice:
        """Raises `InputError`."""
        if text not in list(cls):
            raise InputError(f"--field {text}: {', '.join(cls)} would be accepted")
        return cls(text)


Preset = Annotated[str, typer.Option(help="A preset by name or path; see `tpos presets`.")]

SETTINGS = object()
"""Marks the field of a record that stands for an option for every parameter."""


@dataclass(frozen=True)
class ModelOptions:
    """Which model plays and what it is given; None: the session's own where one is played again, else the default."""

    model: Annotated[
        str | None, typer.Option(help="pocket (the default), a Stable Diffusion name or folder, or random:ARCH.")
    ] = None
    model_size: Annotated[
        str | None, typer.Option(help="Size the model draws at, WIDTHxHEIGHT; for Stable Diffusion multiples of 8.")
    ] = None
    lora: Annotated[
        list[str] | None, typer.Option(help="A LoRA for it, FILE or FILE:STRENGTH, live from then; may be repeated.")
    ] = None
    ear: Annotated[
        str | None, typer.Option(help="What hears for it: auto, pocket, clap, a folder of CLAP or an imported TPoS.")
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(help="auto, fp32, int8 (pocket) or fp16 (a GPU). A live show's auto takes the fastest."),
    ] = None
    sampler: Annotated[
        str | None,
        typer.Option(help="few-step (the default), or reference: the paper's 50 PLMS steps, 3 evaluations each."),
    ] = None

    def __post_init__(self) -> None:
        if self.model_size is not None:
            parse_size(self.model_size, "model-size")
        if self.precision is not None:
            Precision.parse(self.precision)
        if self.sampler not in (None, *SamplerChoice):
            raise InputError(f"--sampler {self.sampler}: {' or '.join(SamplerChoice)} would be accepted")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model or POCKET

    @property
    def is_reference(self) -> bool:
        """Whether frames are sampled as in the paper."""
        return self.sampler == SamplerChoice.REFERENCE

    @property
    def reference_steps(self) -> int:
        """Steps of the reference sampler."""
        from tpos_models.diffusion import plms

        return plms.STEPS

    @property
    def size_px(self) -> tuple[int, int] | None:
        """(width, height) the model draws at; None is what it is loaded with."""
        return parse_size(self.model_size, "model-size") if self.model_size else own_size(self.name)

    @property
    def additions(self) -> Additions:
        """LoRAs and audio encoder."""
        return Additions(tuple(self.lora or ()), self.ear or PLAIN.audio_encoder)

    def model_record(self) -> dict[str, Any]:
        """These fields for a session's record, files by their whole paths."""
        whole = [str(Path(lora).expanduser().resolve()) for lora in self.lora or ()]
        values = {field.name: getattr(self, field.name) for field in fields(ModelOptions)}
        size = f"{self.size_px[0]}x{self.size_px[1]}" if self.size_px else None
        return values | {"model": self.name, "model_size": size, "lora": whole or None}

    def over(self, record: dict[str, Any]) -> ModelOptions:
        """These options, and those of a session's record where none is given; another model takes none of them."""
        if self.model is not None and self.model != record.get("model"):
            return self
        known = {field.name: record.get(field.name) for field in fields(ModelOptions)}
        return ModelOptions(**{name: getattr(self, name) or value for name, value in known.items()})


@dataclass(frozen=True)
class LookOptions(ModelOptions):
    """The options every playing command shares; `settings` are parameters by name, those left out are the preset's."""

    preset: Preset = DEFAULT_PRESET
    prompt: Annotated[str | None, typer.Option(help="The scene; several with weights: 'a beach:0.7 | fire:0.3'.")] = (
        None
    )
    init_image: Annotated[
        str | None, typer.Option(help="Start from a picture, or from the last frame of a video or a session's folder.")
    ] = None
    stem: Annotated[
        list[str] | None,
        typer.Option(help="Where a preset's stem lies on this input, NAME=CHANNELS: drums=3,4; may be repeated."),
    ] = None
    isf: Annotated[
        list[str] | None,
        typer.Option(help="An effect of your own in ISF, a .fs file, in place of the preset's; may be repeated."),
    ] = None
    settings: Annotated[Mapping[str, Any], SETTINGS] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self.settings.items():
            if not (name == "steps" and self.is_reference):
                _check(PARAMETERS[name], value)
        steps, most = int(self.settings.get("steps", 1)), most_steps(self.name)
        if most and steps > most and not self.is_reference:
            raise InputError(
                f"--steps {steps}: {self.name}'s pictures get worse with more than {most}; {most} would be accepted"
            )
        if self.is_reference and not 2 <= self.reference_steps <= MAX_REFERENCE_STEPS:
            accepted = f"2 to {MAX_REFERENCE_STEPS} would be accepted with --sampler {SamplerChoice.REFERENCE}"
            raise InputError(f"--steps {self.reference_steps}: {accepted}")

    @property
    def reference_steps(self) -> int:
        """Steps of the reference sampler, which has more than a show state may ask for."""
        return int(self.settings.get("steps", super().reference_steps))

    def build_show(self, order: tuple[presets.Preset, ...] = ()) -> tuple[Show, list[str]]:
        """The show with its preset and these settings, and the troubles of presets that do not load.

        `order` is the set list, whose first preset begins where another is not asked for.
        """
        library, troubles = presets.library()
        preset = order[0] if order and self.preset == DEFAULT_PRESET else presets.load(self.preset)
        library |= {one.name: one for one in order}
        patch = self._patch({**library, preset.name: preset})
        base = ShowState(loras=self._strengths(ShowState()), patch=patch)
        show = Show(preset, library, base, tuple(one.name for one in order))
        if absent := presets.not_loaded(preset, show.state):
            troubles.append(absent)
        changes = {name: value for name, value in self.settings.items() if not (name == "steps" and self.is_reference)}
        if self.lora:
            changes["loras"] = self._strengths(show.state)
        if self.prompt is not None:
            changes["prompts"] = parse_prompts(self.prompt)
        if self.isf:
            changes["isf"] = isf_files.layers((isf_files.read(Path(file).expanduser()) for file in self.isf), "--isf")
        show.put(changes)
        return show, troubles

    def _patch(self, library: Mapping[str, presets.Preset]) -> tuple[Stem, ...]:
        """Where stems lie whatever presets say; raises `InputError` for one that no preset has, or that comes twice."""
        patch = tuple(map(parse_stem, self.stem or ()))
        known = {stem.name for preset in library.values() for stem in preset.look.stems}
        names = [stem.name for stem in patch]
        for name in names:
            if name not in known:
                accepted = ", ".join(sorted(known)) or "none: no preset has a [[stem]]"
                raise InputError(f"--stem {name}: no preset has such a stem; accepted: {accepted}")
            if names.count(name) > 1:
                raise InputError(f"--stem {name}: given more than once; once would be accepted")
        return patch

    def _strengths(self, state: ShowState) -> tuple[LoraStrength, ...]:
        """Every LoRA as strong as it is asked to be, else as in the state, else 1."""
        if not self.lora or self.name == POCKET:  # which has none, as loading it will say
            return ()
        from tpos_models.stable_diffusion.live_lora import by_name  # and safetensors with it
        from tpos_models.stable_diffusion.lora import Lora

        known = {lora.name: lora.strength for lora in state.loras}
        loras = by_name([Lora.parse(text, known) for text in self.lora])
        return tuple(LoraStrength(name, lora.strength) for name, lora in loras.items())


@dataclass(frozen=True)
class HandsOptions:
    """Controllers and clocks beside keys and OSC."""

    midi: Annotated[str, typer.Option(help="MIDI ports by a part of their name; auto takes all, off none.")] = OFF
    midi_map: Annotated[str, typer.Option(help="A MIDI map by name or path, in place of that of each device.")] = ""
    link: Annotated[bool, typer.Option("--link", help="Follow Ableton Link (the extra `link`, GPL).")] = False
    set_list: Annotated[
        str, typer.Option("--set", help="A set list: a TOML file that names presets, or a folder of them in order.")
    ] = ""


def _check(parameter: Parameter, value: Any) -> None:
    """Raise `InputError` for a value that a parameter does not take."""
    argument = natural(parameter)
    try:
        argument.take(value)
        refused = argument.clamps(value)
    except ValueError:
        refused = True
    if refused:
        words = ", ".join(parameter.choices) or ",".join(parameter.words)
        accepted = words or f"{parameter.low:g} to {parameter.high:.12g}"
        shown = f"{value:g}" if isinstance(value, float) else value
        raise InputError(f"--{parameter.flag} {shown}: {accepted} would be accepted")


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
            values[name] = record(**{field.name: _taken(record, field.name, values) for field in fields(record)})
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _options(record: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    for field_ in fields(record):
        if _is_settings(record, field_.name):
            yield from map(_option, _settable())
        else:
            yield _keyword(field_.name, hints[field_.name], field_.default)


def _taken(record: Any, name: str, values: dict[str, Any]) -> Any:
    """A field's value from those of all options, which it takes out."""
    if not _is_settings(record, name):
        return values.pop(name)
    given = {parameter.name: values.pop(_variable(parameter)) for parameter in _settable()}
    return {key: value for key, value in given.items() if value is not None}


def _is_settings(record: Any, name: str) -> bool:
    return SETTINGS in getattr(get_type_hints(record, include_extras=True)[name], "__metadata__", ())


def _settable() -> list[Parameter]:
    return [parameter for parameter in PARAMETERS.values() if parameter.option]


def _option(parameter: Parameter) -> inspect.Parameter:
    kind: Any = {Kind.FLOAT: float, Kind.INT: int, Kind.SWITCH: bool, Kind.TEXT: str}[parameter.kind]
    return _keyword(_variable(parameter), Annotated[kind | None, option(parameter.name)], None)


def option(name: str) -> Any:
    """The typer option of a parameter of the table, for a command that has only some of them."""
    parameter = PARAMETERS[name]
    names = [f"--{parameter.flag}/--no-{parameter.flag}" if parameter.kind is Kind.SWITCH else f"--{parameter.flag}"]
    values = ", ".join(parameter.choices) or ",".join(parameter.words)
    if parameter.kind in (Kind.FLOAT, Kind.INT):
        values = f"{parameter.low:g}..{parameter.high:.12g} {parameter.unit}".rstrip()
    words = f"{parameter.doc} [{values}]" if values else parameter.doc
    return typer.Option(*names, help=words)


def _variable(parameter: Parameter) -> str:
    return parameter.flag.replace("-", "_")


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def parse_size(text: str, option: str = "size") -> tuple[int, int]:
    """ "1280x720" -> (1280, 720); raises `InputError`."""
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if not match:
        raise InputError(f"--{option} {text}: WIDTHxHEIGHT in pixels would be accepted, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= MAX_SIDE_PX and 16 <= height <= MAX_SIDE_PX):
        raise InputError(f"--{option} {text}: 16 to {MAX_SIDE_PX} pixels a side would be accepted")
    return width, height
