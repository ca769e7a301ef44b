"""What is known of one setting of the show, declared once, at its field of `engine.core.messages.ShowState`.

Preset keys, OSC addresses, command-line options and the reference page of the docs are generated from it
(`engine.control.parameters`). To add a parameter, add a field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum, StrEnum
from typing import Any, get_type_hints

Value = float | int | bool | str | None


class Kind(StrEnum):
    """What a value is; the letters are OSC's type tags, `b` is a switch."""

    TEXT = "s"
    FLOAT = "f"
    INT = "i"
    SWITCH = "b"


class Curve(Enum):
    """How a control surface's number becomes the value."""

    NATURAL = "natural"
    """It is the value."""
    NORMALISED = "normalised"
    """0..1 spans low..high evenly."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting: what it does, which values it takes, and who may set it.

    Numbers lie in `low`..`high`, in `unit`; those below `off_below` mean 0, off. `group` says what it changes. It is a
    key of preset files where `preset`, of their cues too where `cue`, a command-line option where `option`. `path` is
    its OSC address, by default /tpos/NAME. `words`: its text is some of these, each once, with commas. `name`
    ("motion", "shader.zoom"), `kind`, `default` and `choices` (of text that is one of a few words) are read from its
    field by `walk`.
    """

    doc: str
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    group: str = "picture"
    curve: Curve = Curve.NATURAL
    off_below: float = 0.0
    preset: bool = True
    cue: bool = True
    option: bool = True
    path: str = ""
    words: tuple[str, ...] = ()
    name: str = ""
    kind: Kind = Kind.FLOAT
    default: Value = None
    choices: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Its OSC address."""
        return self.path or f"/tpos/{self.name.replace('.', '/')}"

    @property
    def flag(self) -> str:
        """Its name on the command line, without the dashes."""
        return self.name.replace(".", "-").replace("_", "-")


def walk(state: type, prefix: str = "") -> Iterator[Parameter]:
    """Every parameter of a state's class, its nested classes included, in the order of the fields."""
    hints = get_type_hints(state, include_extras=True)
    plain = get_type_hints(state)
    for field in fields(state):
        kind = plain[field.name]
        if is_dataclass(kind) and isinstance(kind, type):
            yield from walk(kind, f"{prefix}{field.name}.")
        for note in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(note, Parameter):
                yield _completed(note, f"{prefix}{field.name}", kind, field.default)


def _completed(note: Parameter, name: str, kind: Any, default: Any) -> Parameter:
    if issubclass(kind, StrEnum):
        return replace(note, name=name, kind=Kind.TEXT, default=str(default), choices=tuple(map(str, kind)))
    kinds = {float: Kind.FLOAT, int: Kind.INT, bool: Kind.SWITCH, str: Kind.TEXT}
    return replace(note, name=name, kind=kinds[kind], default=default)
