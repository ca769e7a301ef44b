"""A user's own effect in ISF, the Interactive Shader Format 2 (https://docs.isf.video), as the state holds it.

The file is a fragment shader that begins with a comment of JSON, read by `engine.core.isf_header`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from engine.core.isf_size import WHOLE_HEIGHT, WHOLE_WIDTH, Size

UNBOUNDED = 1e5
"""Points and longs without a MIN or MAX lie within this, either side of 0."""
Values = tuple[float, ...]
"""An input's: one number, x and y of a point2D, RGBA of a colour; of an event how often it happened."""


class InputKind(StrEnum):
    """What an input is, by its name in the file."""

    EVENT = "event"
    BOOL = "bool"
    LONG = "long"
    FLOAT = "float"
    POINT = "point2D"
    COLOUR = "color"
    IMAGE = "image"
    AUDIO = "audio"
    SPECTRUM = "audioFFT"

    @property
    def is_image(self) -> bool:
        """Whether the shader looks it up as an image."""
        return self in (InputKind.IMAGE, InputKind.AUDIO, InputKind.SPECTRUM)

    @property
    def numbers(self) -> int:
        """How many numbers its value has."""
        return 0 if self.is_image else {InputKind.POINT: 2, InputKind.COLOUR: 4}.get(self, 1)


@dataclass(frozen=True, slots=True)
class Input:
    """One input: numbers lie in `low`..`high`, those of a long with `choices` are among them, `labels` name these."""

    name: str
    kind: InputKind
    default: Values = ()
    low: Values = ()
    high: Values = ()
    choices: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    columns: int = 0
    """Of an image of sound, how wide it is to be; 0 is as wide as there is sound."""

    @property
    def accepted(self) -> str:
        """The values it takes, in words."""
        if self.choices:
            return " | ".join(map(str, self.labels or self.choices))
        if self.kind is InputKind.BOOL:
            return "true or false"
        several = {2: "x and y, each ", 4: "red, green, blue and alpha, each "}.get(self.kind.numbers, "")
        low, high = min(self.low), max(self.high)
        return f"{several}{'whole ' if self.kind is InputKind.LONG else ''}number {low:g}..{high:g}"

    @property
    def ends(self) -> tuple[float, float]:
        """What a fader of its first number runs between: 0 and 1 where the file does not say."""
        low, high = self.low[0], self.high[0]
        return (low, high) if high - low < UNBOUNDED else (0.0, 1.0)

    @property
    def is_button(self) -> bool:
        """Whether it is on or off, or happens, so that no fader has a way to it."""
        return self.kind in (InputKind.BOOL, InputKind.EVENT)

    def take(self, given: Values) -> Values:
        """The nearest value that it takes; an alpha left out is 1. Raises ValueError for another count of numbers."""
        values = (*given, 1.0) if self.kind is InputKind.COLOUR and len(given) == 3 else given
        if len(values) != self.kind.numbers:
            raise ValueError(f"{self.name} has {len(given)} numbers")
        if self.choices:
            return (float(min(self.choices, key=lambda choice: abs(choice - values[0]))),)
        near = tuple(min(max(v, low), high) for v, low, high in zip(values, self.low, self.high, strict=True))
        return near if self.kind in (InputKind.FLOAT, InputKind.POINT, InputKind.COLOUR) else (float(round(near[0])),)


@dataclass(frozen=True, slots=True)
class Pass:
    """One drawing of the shader, into the buffer `target`, or where that is "" into the picture."""

    target: str = ""
    is_floating: bool = False
    width: Size = WHOLE_WIDTH
    height: Size = WHOLE_HEIGHT


@dataclass(frozen=True, slots=True)
class Header:
    """What the JSON of a file says."""

    inputs: tuple[Input, ...] = ()
    passes: tuple[Pass, ...] = (Pass(),)
    imported: tuple[tuple[str, str], ...] = ()
    """Names and paths of pictures."""

    @property
    def values(self) -> dict[str, Input]:
        """The inputs that have a value, by name."""
        return {one.name: one for one in self.inputs if not one.kind.is_image}

    @property
    def is_filter(self) -> bool:
        """Whether it takes the show's picture and gives another; what others draw lies over it."""
        return any(one.kind is InputKind.IMAGE for one in self.inputs)


@dataclass(frozen=True, slots=True)
class IsfFile:
    """A file as it was read; `digest` stands for all of it, and equal digests are equal files."""

    name: str
    """As OSC and presets know it."""
    path: str
    digest: str
    header: Header = Header()
    source: str = ""
    vertex: str = ""
    """Its own vertex shader, "" where it has none."""
    images: tuple[tuple[str, bytes], ...] = ()
    """The files of the imported pictures, by their names in the shader."""

    @property
    def bare(self) -> IsfFile:
        """The same without its contents, which `digest` finds again."""
        return IsfFile(self.name, self.path, self.digest)


@dataclass(frozen=True, slots=True)
class IsfLayer:
    """A user's effect that is on: `mix` 0..1 is how much of it is seen, `values` those of its inputs, by name."""

    file: IsfFile
    mix: float = 1.0
    values: tuple[tuple[str, Values], ...] = ()

    def value(self, one: Input) -> Values:
        """Of an input: its own where none was set."""
        return dict(self.values).get(one.name, one.default)

    def with_value(self, name: str, value: Values) -> IsfLayer:
        """Another value of one input."""
        return replace(self, values=tuple(sorted((dict(self.values) | {name: value}).items())))

    def of(self, file: IsfFile) -> IsfLayer:
        """The same of another version of its file: values that it still takes are kept."""
        known = file.header.values
        kept = {
            n: v for n, v in self.values if n in known and len(v) == known[n].kind.numbers and known[n].take(v) == v
        }
        return replace(self, file=file, values=tuple(sorted(kept.items())))
