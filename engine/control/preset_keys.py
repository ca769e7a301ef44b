"""What a preset file may say, key by key: the schema it is checked against. Parameters' keys come from their table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from engine.control.isf_files import MOST_LAYERS
from engine.control.parameters import PARAMETERS
from engine.core.beat_grid import MAX_BARS, MAX_FADE_S, Quantise
from engine.core.course import Follow
from engine.core.isf import UNBOUNDED
from engine.core.isf_header import MOST_INPUTS
from engine.core.messages import MAX_LORA
from engine.core.parameters import Kind, Parameter
from engine.core.stems import MAX_CHANNEL, MAX_STEMS

MAX_PROMPTS, MAX_LORAS, MAX_CUES = 16, 16, 99
MAX_RULES, MAX_SET = 32, 999
MAX_FOLLOW_S = 3600.0

Unit = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=64_000)]
Channel = Annotated[int, Meta(ge=1, le=MAX_CHANNEL)]
FadeS = Annotated[float, Meta(ge=0, le=MAX_FADE_S)]
Bars = Annotated[float, Meta(ge=0, le=MAX_BARS)]
FollowS = Annotated[float, Meta(ge=0, le=MAX_FOLLOW_S)]


class PromptLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt with a weight; plain text stands for weight 1."""

    text: Text
    weight: Unit = 1.0


class RuleLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In proportion to how much the sound resembles `hear`, or to what it is to `follow`, `show` joins the picture.

    The sound is that of the `stem`, or the main mix. The names of `SECTIONS` are no phrases, but followed.
    """

    show: Text
    hear: Text | UnsetType = UNSET
    follow: Follow | UnsetType = UNSET
    amount: Unit = 1.0
    stem: Text | UnsetType = UNSET
    beatless: bool = False
    quantise: Literal[tuple(map(str, Quantise))] = "now"  # type: ignore[valid-type]


class StemLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name for channels of the input, from 1."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=MAX_CHANNEL)]


Number = Annotated[float, Meta(ge=-UNBOUNDED, le=UNBOUNDED)]
Inputs = Annotated[
    dict[Text, bool | Number | Text | Annotated[tuple[Number, ...], Meta(min_length=2, max_length=4)]],
    Meta(max_length=MOST_INPUTS),
]


class IsfLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An effect of the user's own, its file beside the preset, how much of it is seen, and its inputs by name."""

    file: Text
    mix: Unit = 1.0
    inputs: Inputs = {}


Prompts = Annotated[tuple[Text | PromptLine, ...], Meta(min_length=1, max_length=MAX_PROMPTS)]
Weights = Annotated[tuple[Unit, ...], Meta(min_length=1, max_length=MAX_PROMPTS)]
Loras = Annotated[dict[Text, Annotated[float, Meta(ge=-MAX_LORA, le=MAX_LORA)]], Meta(max_length=MAX_LORAS)]
Rules = Annotated[tuple[RuleLine, ...], Meta(max_length=MAX_RULES)]


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the look takes to come, and how long it is on before the next cue follows; 0: until somebody asks.

    Where there are bars, they count, at the tempo that leads, and not seconds.
    """

    fade_s: FadeS = 2.0
    fade_bars: Bars = 0.0
    follow_s: FollowS = 0.0
    follow_bars: Bars = 0.0


class CueKeys(Times, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a cue has beside parameters; `weights` reweighs the preset's prompts.

    `lora` are strengths of LoRAs by name, of those the preset itself names; `isf` inputs of its effects, and `mix`.
    """

    name: Text = ""
    prompts: Prompts | UnsetType = UNSET
    weights: Weights | UnsetType = UNSET
    rules: Rules | UnsetType = field(default=UNSET, name="rule")
    lora: Loras | UnsetType = UNSET
    isf: Annotated[dict[Text, Inputs], Meta(max_length=MOST_LAYERS)] = {}


class LookKeys(Times, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a preset file has beside parameters and cues."""

    schema: Literal[1]
    prompts: Prompts
    description: Text = ""
    rules: Rules = field(default=(), name="rule")
    stems: Annotated[tuple[StemLine, ...], Meta(max_length=MAX_STEMS)] = field(default=(), name="stem")
    lora: Loras = {}
    isf: Annotated[tuple[IsfLine, ...], Meta(max_length=MOST_LAYERS)] = ()


def _value_type(parameter: Parameter) -> Any:
    if parameter.choices:
        return Literal[parameter.choices]
    if parameter.kind is Kind.SWITCH:
        return bool
    if parameter.kind is Kind.TEXT:
        return Text
    low, high = parameter.low, parameter.high
    if parameter.kind is Kind.INT:
        return Annotated[int, Meta(ge=int(low), le=int(high))]
    return Annotated[float, Meta(ge=low, le=high)]


def _keys(partial: bool, table: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The parameters of one table of the file as fields of its struct; in a `partial` one none needs to be there."""
    prefix = f"{table}." if table else ""
    for name, parameter in PARAMETERS.items():
        key = name.removeprefix(prefix)
        if not name.startswith(prefix) or "." in key or not (parameter.cue if partial else parameter.preset):
            continue
        kind = _value_type(parameter)
        yield (key, kind | UnsetType, UNSET) if partial else (key, kind, parameter.default)


def _struct(name: str, keys: list[tuple[str, Any, Any]], bases: tuple[type, ...] = ()) -> Any:
    return msgspec.defstruct(name, keys, bases=bases or None, frozen=True, forbid_unknown_fields=True, kw_only=True)


_TABLES = tuple(dict.fromkeys(name.partition(".")[0] for name in PARAMETERS if "." in name))
"""Tables of the file: parameters with a dot in their name."""


def _tables(partial: bool) -> list[tuple[str, Any, Any]]:
    made = {table: _struct(table.title(), list(_keys(partial, table))) for table in _TABLES}
    return [(table, struct, msgspec.field(default_factory=struct)) for table, struct in made.items()]


Cue = _struct("Cue", [*_keys(partial=True), *_tables(partial=True)], (CueKeys,))
"""One cue, key by key."""
_Cues: Any = Annotated[tuple[Cue, ...], Meta(max_length=MAX_CUES)]  # type: ignore[valid-type]
Look = _struct(
    "Look",
    [*_keys(partial=False), *_tables(partial=False), ("cues", _Cues, msgspec.field(default=(), name="cue"))],
    (LookKeys,),
)
"""A preset file, key by key."""
