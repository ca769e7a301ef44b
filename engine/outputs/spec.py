"""What `--output` asks for, in a word or a line: ndi, window:1, ndi:name=Wall,size=1920x1080,rate=50,alpha."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine.render.picture import Size
from tpos_models.errors import InputError

LARGEST_PX, FASTEST_HZ = 8192, 240.0
FORM = "KIND or KIND:KEY=VALUE,..., such as ndi, window:1 or ndi:name=Wall,size=1280x720,rate=30,alpha"


@dataclass(frozen=True)
class OutputSpec:
    """One output as it was asked for; None and "" leave a value to the output."""

    kind: str
    called: str = ""
    """The name under which other programs find it."""
    size: Size | None = None
    rate_hz: float | None = None
    display: int | None = None
    """The monitor of a window, from 0."""
    alpha: bool = False
    mute: bool = False
    off: bool = False
    """Opened only when it is switched on."""

    @property
    def name(self) -> str:
        """What the operator calls it: the kind, and what tells it from others of that kind."""
        which = self.called or ("" if self.display is None else str(self.display))
        return f"{self.kind}:{which}" if which else self.kind


def _size(text: str) -> Size:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 16 <= min(size) <= max(size) <= LARGEST_PX:
        raise ValueError(f"WIDTHxHEIGHT, 16 to {LARGEST_PX} pixels a side")
    return size


def _rate(text: str) -> float:
    rate = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
    if not 1.0 <= rate <= FASTEST_HZ:
        raise ValueError(f"1 to {FASTEST_HZ:g} pictures a second")
    return rate


def _display(text: str) -> int:
    if not re.fullmatch(r"\d{1,2}", text):
        raise ValueError("a number from 0")
    return int(text)


def _called(text: str) -> str:
    if not text:
        raise ValueError("a name that is not empty")
    return text


_VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("called", _called),
    "size": ("size", _size),
    "rate": ("rate_hz", _rate),
    "display": ("display", _display),
}
_WORDS = ("alpha", "mute", "off")
_TAKEN: dict[str, tuple[str, ...]] = {
    "window": ("display", "size", "off"),
    "operator": ("display", "size", "off"),
    "ndi": ("name", "size", "rate", "alpha", "mute", "off"),
    "spout": ("name", "size", "rate", "alpha", "off"),
    "syphon": ("name", "size", "rate", "alpha", "off"),
}
"""Every kind that can be asked for, and what can be said of it."""


def accepted(kind: str) -> str:
    """What can be said of a kind, after its colon."""
    return ", ".join(key if key in _WORDS else f"{key}=" for key in _TAKEN[kind])


def parse_output(text: str) -> OutputSpec:
    """Raises `InputError` for a kind, a key or a value that is none."""
    kind, _, rest = text.strip().partition(":")
    if kind not in _TAKEN:
        raise InputError(f"--output {text}: {', '.join(_TAKEN)} would be accepted, as {FORM}")
    spec = OutputSpec(kind)
    for part in filter(None, map(str.strip, rest.split(","))):
        key, _, value = f"display={part}".partition("=") if part.isdecimal() else part.partition("=")
        spec = _with(spec, text, key.strip(), value.strip(), "=" in part or part.isdecimal())
    return spec


def parse_outputs(texts: list[str] | None, operator: bool = False) -> tuple[OutputSpec, ...]:
    """All of them, with the operator's window where it is asked for. Raises `InputError` for two of one name."""
    specs = [*map(parse_output, texts or ())]
    if operator and not any(spec.kind == "operator" for spec in specs):
        specs.append(OutputSpec("operator"))
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--output {name}: given more than once; a name=... of its own would be accepted")
    return tuple(specs)


def _with(spec: OutputSpec, text: str, key: str, value: str, has_value: bool) -> OutputSpec:
    if key not in _TAKEN[spec.kind]:
        raise InputError(f"--output {text}: {spec.kind} takes {accepted(spec.kind)}; not {key!r}")
    if key in _WORDS:
        if has_value:
            raise InputError(f"--output {text}: {key} alone would be accepted")
        given: dict[str, Any] = {key: True}
        return replace(spec, **given)
    field, read = _VALUES[key]
    try:
        given = {field: read(value)}
    except ValueError as error:
        raise InputError(f"--output {text}: {key}: {error} would be accepted") from error
    return replace(spec, **given)
