"""Checked TOML: msgspec's verdicts turned into one line that names the file, the key and what would be accepted."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from tpos_models.errors import MissingFileError, PresetError, StorageError

T = TypeVar("T")
Step = str | int


def read_bounded(path: Path, most_bytes: int, what: str) -> bytes:
    """A file that a person names, `what` it is for the messages. Raises MissingFileError, PresetError."""
    try:
        if path.exists() and not path.is_file():
            raise PresetError(f"{path}: cannot be read: a folder or a device; accepted: a {what}")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such {what}; accepted: the path of one") from error
    except OSError as error:
        raise PresetError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise PresetError(f"{path}: larger than {most_bytes} bytes, which no {what} is")
    return content


def decode_toml(source: str | bytes, model: type[T], where: str) -> T:
    """TOML text to a `model` struct.

    Raises PresetError, starting with `where`, for broken TOML, an unknown key, a wrong type or a value out of range.
    """
    try:
        data = msgspec.toml.decode(source)
    except (ValueError, RecursionError, OverflowError) as error:
        raise PresetError(f"{where}: not valid TOML: {str(error).splitlines()[0]:.160}") from error
    return checked(data, model, where)


def checked(data: object, model: type[T], where: str) -> T:
    """Plain data to a `model` struct; raises PresetError as `decode_toml`."""
    try:
        return msgspec.convert(data, model)
    except msgspec.ValidationError as error:
        raise PresetError(f"{where}: {_explain(str(error), data, model)}") from error


def write_toml(path: Path, record: msgspec.Struct) -> None:
    """Write a file anew, whole or not at all. Raises StorageError."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.toml.encode(record))
        os.replace(part, path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error


def near(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names in `known` that `word` may have been meant to be, best first."""
    return difflib.get_close_matches(word, list(known), n=count, cutoff=0.6)


def _explain(message: str, data: object, model: type) -> str:
    verdict, _, place = message.partition(" - at `$")
    path = _steps(place)
    kind = _kind_at(model, path)
    field = re.search(r"field `(.*)`$", verdict)
    if field and "unknown" in verdict:
        return _unknown_key([*path, field[1]], _keys(kind))
    if field:
        path = [*path, field[1]]
        return f"{spell(path)} is missing; accepted: {describe(_kind_at(model, path))}"
    return f"{spell(path)} = {_value_at(data, path)!r:.60}; accepted: {describe(kind)}"


def _unknown_key(path: list[Step], keys: list[str]) -> str:
    guesses = near(str(path[-1]), keys, 1)
    hint = f"did you mean {guesses[0]}? " if guesses else ""
    return f"{spell(path):.80} is not a known key; {hint}accepted: {', '.join(keys)}"


def _steps(place: str) -> list[Step]:
    named = place.replace("[...]", "")  # msgspec does not say which of a table's free names
    return [int(i) if i else name for name, i in re.findall(r"\.([^.\[`]+)|\[(\d+)\]", named)]


def spell(path: list[Step]) -> str:
    """A key path as a human counts: `cue 2, shader.zoom`."""
    text = ""
    for step in path:
        text += f" {step + 1}," if isinstance(step, int) else f"{_joint(text)}{step}"
    return text.rstrip(",") or "the file"


def _joint(text: str) -> str:
    return "" if not text else " " if text.endswith(",") else "."


def _kind_at(model: type, path: list[Step]) -> inspect.Type:
    kind: inspect.Type = inspect.type_info(model)
    for step in path:
        kind = next((k for option in _options(kind) if (k := _child(option, step))), inspect.AnyType())
    return kind


def _options(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _child(kind: inspect.Type, step: Step) -> inspect.Type | None:
    if isinstance(kind, inspect.VarTupleType) and isinstance(step, int):
        return kind.item_type
    if isinstance(kind, inspect.StructType):
        return next((f.type for f in kind.fields if f.encode_name == step), None)
    return None


def _keys(kind: inspect.Type) -> list[str]:
    return [f.encode_name for option in _options(kind) if isinstance(option, inspect.StructType) for f in option.fields]


def _value_at(data: Any, path: list[Step]) -> object:
    for step in path:
        data = data[step]
    return data


def describe(kind: inspect.Type) -> str:
    """What values a type takes, in words."""
    match kind:
        case inspect.UnionType():
            return " or ".join(describe(k) for k in kind.types)
        case inspect.LiteralType():
            return " | ".join(repr(v) for v in kind.values)
        case inspect.EnumType():
            return " | ".join(repr(member.value) for member in kind.cls)
        case inspect.FloatType():
            return f"a number {kind.ge:g}..{kind.le:g}"
        case inspect.IntType():
            return f"a whole number {kind.ge}..{kind.le}"
        case inspect.StrType():
            return f"text of at most {kind.max_length} characters"
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType():
            return f"a list of {kind.min_length or 0}..{kind.max_length} items, each {describe(kind.item_type)}"
        case inspect.DictType():
            return f"a table of at most {kind.max_length} names, each {describe(kind.value_type)}"
        case inspect.StructType():
            return f"a table with the keys {', '.join(f.encode_name for f in kind.fields)}"
    return "a value"
