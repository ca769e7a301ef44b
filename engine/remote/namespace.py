"""The show as OSCQuery's tree of nodes, made from the table of addresses and from what the show reports.

https://github.com/Vidvox/OSCQueryProposal. The page's faders come from the same nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from engine.control.addresses import ADDRESSES, MAPPING, Address
from engine.control.arguments import Argument
from engine.control.changes import ISF, Looks, cue_names
from engine.control.osc_status import PREFIX, STATUS, Status, status_values
from engine.control.parameters import PARAMETERS, to_control, value_of
from engine.control.preset_keys import MAX_PROMPTS
from engine.core.isf import Input, InputKind, IsfLayer
from engine.core.isf_header import MIX
from engine.core.messages import ShowState
from engine.core.parameters import Curve, Kind, Parameter

READ, WRITE = 1, 2
"""Bits of OSCQuery's ACCESS."""
UNITS = {"dB": "gain.db", "s": "time.second", "BPM": "time.bpm"}
"""OSCQuery's names of the table's units."""


@dataclass(frozen=True, slots=True)
class View:
    """The show at one moment, as those who look from afar see it."""

    state: ShowState = field(default_factory=ShowState)
    looks: Looks = field(default_factory=Looks)
    status: Status = field(default_factory=Status)
    heartbeat: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One address: its arguments, how its values are read (None where it has none), and what it is."""

    path: str
    doc: str
    arguments: tuple[Argument, ...]
    read: Callable[[View], list[Any]] | None
    writable: bool = True
    unit: str = ""
    group: str = ""
    default: tuple[Any, ...] = ()

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything OSCQuery says of it, but for its value."""
        said = {
            "FULL_PATH": self.path,
            "DESCRIPTION": self.doc,
            "ACCESS": READ * (self.read is not None) + WRITE * self.writable,
            "TYPE": "".join(_TAGS[argument.kind] for argument in self.arguments),
            "RANGE": [_range(argument) for argument in self.arguments],
        }
        if self.writable:
            said["CLIPMODE"] = ["both"] * len(self.arguments)
        extra = {"UNIT": [self.unit], "TAGS": [self.group], "DEFAULT_VALUE": list(self.default)}
        return said | {name: value for name, value in extra.items() if any(v != "" for v in value)}


Nodes = Mapping[str, Node]
_TAGS = {Kind.FLOAT: "f", Kind.INT: "i", Kind.TEXT: "s", Kind.SWITCH: "T"}


def _range(argument: Argument) -> dict[str, Any]:
    if argument.choices:
        return {"VALS": list(argument.choices)}
    if argument.kind in (Kind.FLOAT, Kind.INT) and isfinite(argument.high):
        return {"MIN": argument.low, "MAX": argument.high}
    return {"VALS": [True, False]} if argument.kind is Kind.SWITCH else {}


def nodes(view: View) -> dict[str, Node]:
    """Every address of the show as it stands: the prompts there are and one more, its LoRAs, effects and presets."""
    found = {node.path: node for row in ADDRESSES for node in _of_row(row, view)}
    return found | {node.path: node for node in _reports()}


def values(known: Nodes, view: View) -> dict[str, list[Any]]:
    """What every node that can be read says now, as OSC would carry it."""
    reports = {f"{PREFIX}{name}": said for name, said in status_values(view.status, view.heartbeat).items()}
    own = {path: node.read(view) for path, node in known.items() if node.read is not None and path not in reports}
    return own | reports


def shape(view: View) -> tuple[object, ...]:
    """What decides which nodes there are: equal shapes have equal nodes."""
    state, looks = view.state, view.looks
    effects = tuple(layer.file.digest for layer in state.isf)
    loras = tuple(lora.name for lora in state.loras)
    points = len(view.status.mapping.points) if view.status.mapping else 0
    return len(state.prompts), points, loras, effects, tuple(looks.library), cue_names(looks.current), looks.order


def _of_row(row: Address, view: View) -> Iterator[Node]:
    if parameter := _BY_ADDRESS.get(row.path):
        yield _of_parameter(row, parameter)
    elif row.path.startswith(ISF):
        for layer in view.state.isf:
            yield from _of_effect(row, layer)
    elif row.path.startswith(MAPPING):
        known = len(view.status.mapping.points) if view.status.mapping else 0
        for n in row.numbers[:known] if row.numbers.start else row.numbers:
            yield Node(row.at(n), row.doc, row.arguments, None, group="show")
    elif row.numbers.start:
        what = row.path.split("/")[2]
        known = min(MAX_PROMPTS, len(view.state.prompts) + 1) if what == "prompt" else len(view.state.loras)
        for n in row.numbers[:known]:
            yield Node(row.at(n), row.doc, row.arguments, _numbered(row.path, n), group=what)
    else:
        yield _of_look(row, view)


def _of_parameter(row: Address, parameter: Parameter) -> Node:
    unit = "" if parameter.curve is Curve.NORMALISED else UNITS.get(parameter.unit, "")
    default = (to_control(parameter, parameter.default),)

    def read(view: View) -> list[Any]:
        return [to_control(parameter, value_of(view.state, parameter.name))]

    return Node(row.path, parameter.doc, row.arguments[:1], read, unit=unit, group=parameter.group, default=default)


def _numbered(path: str, n: int) -> Callable[[View], list[Any]]:
    """Reads prompt N's text or weight, or LoRA N's strength; what is not there yet is empty."""

    def read(view: View) -> list[Any]:
        if path.startswith("/tpos/lora"):
            return [one.strength for one in view.state.loras[n - 1 : n]] or [0.0]
        prompt = next(iter(view.state.prompts[n - 1 : n]), None)
        if path.endswith("text"):
            return [prompt.text if prompt else ""]
        return [prompt.weight if prompt else 0.0]

    return read


def _of_effect(row: Address, layer: IsfLayer) -> Iterator[Node]:
    """How much of a user's effect is seen, and its inputs."""
    name = layer.file.name
    path = row.path.replace("NAME", name)

    def mixed(view: View) -> list[Any]:
        return [one.mix for one in view.state.isf if one.file.name == name] or [0.0]

    group = f"isf {name}"
    mix = (Argument(MIX, Kind.FLOAT),)
    yield Node(path.replace("INPUT", MIX), f"How much of {name} is seen.", mix, mixed, group=group, default=(1.0,))
    for one in layer.file.header.values.values():
        where, doc = path.replace("INPUT", one.name), f"{name}: {one.name}."
        yield Node(where, doc, _inputs(one), _input_value(name, one), group=group, default=_said(one, one.default))


def _inputs(one: Input) -> tuple[Argument, ...]:
    if one.kind in (InputKind.EVENT, InputKind.BOOL):
        return (Argument(one.name, Kind.SWITCH),)
    kind = Kind.INT if one.kind is InputKind.LONG else Kind.FLOAT
    bounds = zip(one.low, one.high, strict=True)
    if one.choices:
        return (Argument(one.name, kind, min(one.choices), max(one.choices)),)
    return tuple(Argument(one.name, kind, low, high) for low, high in bounds)


def _input_value(name: str, one: Input) -> Callable[[View], list[Any]] | None:
    def read(view: View) -> list[Any]:
        found = [layer.value(one) for layer in view.state.isf if layer.file.name == name]
        return list(_said(one, found[0] if found else one.default))

    return None if one.kind is InputKind.EVENT else read


def _said(one: Input, value: tuple[float, ...]) -> tuple[Any, ...]:
    """An input's value in OSC's types; an event has none."""
    if one.kind is InputKind.EVENT:
        return ()
    kind = {InputKind.BOOL: bool, InputKind.LONG: int}.get(one.kind, float)
    return tuple(map(kind, value))


def _of_look(row: Address, view: View) -> Node:
    """Prompts as one line, the preset, the cue; buttons have no value."""
    arguments, read = row.arguments[:1], _LOOKS.get(row.path)
    if row.path == "/tpos/preset":
        arguments = (Argument("name", Kind.TEXT, choices=tuple(view.looks.library)),)
    if row.path == "/tpos/cue":
        cues = len(view.looks.current.cues) if view.looks.current else 0
        arguments = (Argument("cue", Kind.INT, 0, cues),)
    if row.path == "/tpos/cue/name":
        arguments = (Argument("name", Kind.TEXT, choices=cue_names(view.looks.current)),)
    if row.path == "/tpos/set":
        arguments = (Argument("place", Kind.INT, 1, max(1, len(view.looks.order))),)
    return Node(row.path, row.doc, arguments, read, group="show")


def _prompts(view: View) -> list[Any]:
    return [" | ".join(f"{prompt.text}:{prompt.weight:.3g}" for prompt in view.state.prompts)]


_LOOKS: dict[str, Callable[[View], list[Any]]] = {
    "/tpos/prompt": _prompts,
    "/tpos/preset": lambda view: [view.state.preset],
    "/tpos/cue": lambda view: [view.state.cue + 1],
    "/tpos/cue/name": lambda view: [("", *cue_names(view.looks.current))[view.state.cue + 1]],
    "/tpos/set": lambda view: [view.state.place + 1],
}
_BY_ADDRESS = {parameter.address: parameter for parameter in PARAMETERS.values()}
_KINDS = {tag: kind for kind, tag in _TAGS.items()}


def _reports() -> Iterator[Node]:
    """What the show reports; nobody can set it, and numbers have no bounds."""
    for name, tags, doc in STATUS:
        kinds = [_KINDS[tag] for tag in tags.split() if tag in _KINDS]
        arguments = tuple(Argument(name, kind, -inf, inf) for kind in kinds)
        yield Node(f"{PREFIX}{name}", doc, arguments, _report(name), writable=False, group="status")


def _report(name: str) -> Callable[[View], list[Any]]:
    return lambda view: status_values(view.status, view.heartbeat)[name]
