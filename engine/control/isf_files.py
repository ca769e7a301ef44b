"""Users' effects in ISF: read from the disk, as layers of the state, and with what is set of them."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from engine.control.schema import near, read_bounded
from engine.core.isf import Input, IsfFile, IsfLayer, Values
from engine.core.isf_header import MIX, read_header
from engine.core.messages import ShowState
from tpos_models.errors import PresetError

MOST_LAYERS = 8
MOST_BYTES = 16_000_000
"""Of one file: a shader, or a picture that it imports."""
Given = bool | float | str | Sequence[float]
"""An input's value as a preset says it; of a long its label too."""


def read(path: Path) -> IsfFile:
    """An effect with all that belongs to it. Raises PresetError, MissingFileError: one line with the file's line."""
    source = _text(path)
    header = read_header(source, str(path))
    beside = path.with_suffix(".vs")
    vertex = _text(beside) if beside.is_file() else ""
    images = tuple((name, _picture(path, name, path.parent / file)) for name, file in header.imported)
    digest = hashlib.sha256(repr((source, vertex, images)).encode()).hexdigest()[:16]
    name = re.sub(r"[^\w.-]+", "_", path.stem, flags=re.ASCII)
    return IsfFile(name, str(path), digest, header, source, vertex, images)


def parts(file: IsfFile) -> tuple[Path, ...]:
    """Every file that it was read from, or would be."""
    path = Path(file.path)
    return (path, path.with_suffix(".vs"), *(path.parent / image for _, image in file.header.imported))


def layers(files: Iterable[IsfFile], where: str) -> tuple[IsfLayer, ...]:
    """Each as it is by itself; PresetError, beginning with `where`, for too many or two of one name."""
    made = tuple(map(IsfLayer, files))
    names = [layer.file.name for layer in made]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PresetError(f"{where}: two effects are called {twice[0]!r}; accepted: a name of its own for each")
    if len(made) > MOST_LAYERS:
        raise PresetError(f"{where}: {len(made)} effects in ISF; accepted: at most {MOST_LAYERS}")
    return made


def taken(file: IsfFile, given: Mapping[str, Given], where: str) -> dict[str, Values]:
    """What a preset says of the inputs, and of `mix`, as values; PresetError for what one does not take."""
    known = file.header.values
    values: dict[str, Values] = {}
    for name, value in given.items():
        if name == MIX and isinstance(value, float | int) and 0 <= value <= 1:
            values[name] = (float(value),)
            continue
        if name not in known:
            guesses = near(name, known)
            hint = f"did you mean {guesses[0]}? " if guesses else ""
            raise PresetError(
                f"{where}, inputs.{name}: {file.name} has none; {hint}accepted: {', '.join(known) or 'none'}"
            )
        try:
            values[name] = _exactly(known[name], value)
        except (ValueError, TypeError) as error:
            shown = f"{value:g}" if isinstance(value, float) else f"{value!r:.40}"
            wrong = f"{where}, inputs.{name} = {shown}; accepted: {known[name].accepted}"
            raise PresetError(wrong) from error
    return values


def _exactly(one: Input, value: Given) -> Values:
    """A value that needs no clamping. Raises ValueError, TypeError."""
    if isinstance(value, str):
        return (float(one.choices[one.labels.index(value)]),)
    numbers = tuple(map(float, value if isinstance(value, Sequence) else [value]))
    if one.take(numbers) not in (numbers, (*numbers, 1.0)):
        raise ValueError(value)
    return one.take(numbers)


def with_inputs(state: ShowState, values: Mapping[str, Values]) -> ShowState:
    """The state with other values, by NAME.INPUT or NAME.mix, of those of its layers that have them."""

    def changed(layer: IsfLayer) -> IsfLayer:
        own = {key.removeprefix(f"{layer.file.name}."): v for key, v in values.items()}
        known = layer.file.header.values
        for name in known.keys() & own.keys():
            layer = layer.with_value(name, own[name])
        return replace(layer, mix=own[MIX][0]) if MIX in own else layer

    return replace(state, isf=tuple(map(changed, state.isf)))


def reloaded(layers: tuple[IsfLayer, ...], file: IsfFile) -> tuple[IsfLayer, ...]:
    """The layers with the newest version of a file."""
    return tuple(layer.of(file) if layer.file.path == file.path else layer for layer in layers)


def _picture(effect: Path, name: str, path: Path) -> bytes:
    """A picture's file; nothing else is read, since a session's log keeps it."""
    content = _bytes(path)
    try:
        Image.open(io.BytesIO(content)).verify()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PresetError(f"{effect}: IMPORTED {name}, {path}: no picture; accepted: PNG, JPEG and the like") from error
    return content


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise PresetError(f"{path}: not text; accepted: an ISF file in UTF-8") from error


def _bytes(path: Path) -> bytes:
    return read_bounded(path, MOST_BYTES, "file for an effect in ISF")
