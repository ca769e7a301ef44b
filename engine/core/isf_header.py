"""The JSON at the beginning of an effect in ISF, read and checked: what is wrong comes with the file and its line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from engine.core.isf import UNBOUNDED, Header, Input, InputKind, Pass, Values
from engine.core.isf_size import Size
from tpos_models.errors import PresetError

MOST_INPUTS, MOST_PASSES, MOST_COLUMNS = 64, 16, 1024
MIX = "mix"
"""What every effect has beside its inputs: how much of it is seen."""
_NAME = re.compile(r"(?!gl_)[A-Za-z_]\w{0,63}")
_COMMENT = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)
_WRONG = (TypeError, ValueError, KeyError, AttributeError)


def read_header(source: str, where: str) -> Header:
    """The header of a file's text. Raises PresetError: `where`, the line, what is wrong, what would be accepted."""
    return _Reader(source, where).header()


class _Reader:
    def __init__(self, source: str, where: str) -> None:
        self._source, self._where = source, where
        self._names: set[str] = set()

    def header(self) -> Header:
        data = self._json()
        if "PERSISTENT_BUFFERS" in data:
            self._refuse("PERSISTENT_BUFFERS is of ISF 1; accepted: PERSISTENT in PASSES", "PERSISTENT_BUFFERS")
        inputs = tuple(map(self._input, self._list(data, "INPUTS", MOST_INPUTS)))
        sizes = {one.name for one in inputs if one.kind.numbers == 1} | {"WIDTH", "HEIGHT"}
        passes = tuple(self._pass(one, sizes) for one in self._list(data, "PASSES", MOST_PASSES))
        for target in dict.fromkeys(one.target for one in passes if one.target):
            self._name(target, "TARGET")
        return Header(inputs, passes or (Pass(),), tuple(self._imported(data)))

    def _json(self) -> dict[str, Any]:
        comment = _COMMENT.match(self._source)
        if not comment:
            self._refuse("no header; accepted: an ISF file begins with /*{ ... }*/")
        try:
            data = json.loads(comment[1])
        except json.JSONDecodeError as error:
            line = self._source.count("\n", 0, comment.start(1)) + error.lineno
            self._refuse(f"not valid JSON: {error.msg}; accepted: /*{{ ... }}*/ of JSON", line=line)
        if not isinstance(data, dict):
            self._refuse("the header is no JSON object; accepted: /*{ ... }*/")
        return data

    def _list(self, data: dict[str, Any], key: str, most: int) -> list[dict[str, Any]]:
        items = data.get(key, [])
        if not isinstance(items, list) or len(items) > most or not all(isinstance(item, dict) for item in items):
            self._refuse(f"{key}; accepted: a list of at most {most} objects", key)
        return items

    def _input(self, data: dict[str, Any]) -> Input:
        name = self._name(data.get("NAME"), "NAME")
        kinds = [str(kind) for kind in InputKind]
        if data.get("TYPE") not in kinds:
            self._refuse(
                f"input {name}, TYPE = {data.get('TYPE')!r:.40}; accepted: {', '.join(kinds)}", data.get("TYPE")
            )
        kind = InputKind(data["TYPE"])
        if kind.is_image:
            columns = self._read(data, name, "MAX", 0, lambda value: min(max(int(value), 0), MOST_COLUMNS))
            return Input(name, kind, columns=0 if kind is InputKind.IMAGE else columns)
        choices, labels = self._choices(data, name) if kind is InputKind.LONG else ((), ())
        low, high = self._range(data, name, kind)
        bare = Input(name, kind, low, high=high, low=low, choices=choices, labels=labels)
        unset = {InputKind.COLOUR: [1.0] * 4, InputKind.LONG: choices[0] if choices else 0}.get(
            kind, [0.0] * kind.numbers
        )
        default = bare.take(
            self._read(data, name, "DEFAULT", _numbers(unset, kind), lambda value: _numbers(value, kind))
        )
        return Input(name, kind, default, low, high, choices, labels)

    def _choices(self, data: dict[str, Any], name: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        choices = self._read(data, name, "VALUES", (), lambda value: tuple(map(int, value)))
        labels = self._read(data, name, "LABELS", (), lambda value: tuple(map(str, value)))
        if len(labels) not in (0, len(choices)):
            self._refuse(f"input {name} has {len(choices)} VALUES and {len(labels)} LABELS; accepted: as many", name)
        return choices, labels

    def _range(self, data: dict[str, Any], name: str, kind: InputKind) -> tuple[Values, Values]:
        widest = {InputKind.LONG: UNBOUNDED, InputKind.POINT: UNBOUNDED, InputKind.EVENT: UNBOUNDED}.get(kind, 1.0)
        lowest = -widest if kind in (InputKind.LONG, InputKind.POINT) else 0.0
        if kind in (InputKind.BOOL, InputKind.EVENT):
            return (lowest,), (widest,)
        low = self._read(data, name, "MIN", (lowest,) * kind.numbers, lambda value: _numbers(value, kind))
        high = self._read(data, name, "MAX", (widest,) * kind.numbers, lambda value: _numbers(value, kind))
        if any(a > b for a, b in zip(low, high, strict=True)):
            self._refuse(f"input {name}: MIN is above MAX; accepted: MIN at most MAX", name)
        return low, high

    def _pass(self, data: dict[str, Any], sizes: set[str]) -> Pass:
        target = data.get("TARGET", "")
        width, height = Size(str(data.get("WIDTH", "$WIDTH"))), Size(str(data.get("HEIGHT", "$HEIGHT")))
        for key, size in (("WIDTH", width), ("HEIGHT", height)):
            try:
                size.check(sizes)
            except ValueError as error:
                self._refuse(f"pass {target}: {key} = {error}", size.text)
        return Pass(target, bool(data.get("FLOAT")), width, height)

    def _imported(self, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
        imported = data.get("IMPORTED", {})
        if not isinstance(imported, dict):
            self._refuse('IMPORTED; accepted: an object such as {"paper": {"PATH": "paper.png"}}', "IMPORTED")
        for name, entry in imported.items():
            path = entry.get("PATH") if isinstance(entry, dict) else None
            if not isinstance(path, str):
                self._refuse(f'IMPORTED {name}; accepted: {{"PATH": "picture.png"}}', name)
            yield self._name(name, "IMPORTED"), path

    def _name(self, name: Any, key: str) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == MIX:
            self._refuse(f"{key} = {name!r:.40}; accepted: a name of letters, digits and _, not gl_... or {MIX}", name)
        if name in self._names:
            self._refuse(f"two things are called {name!r}; accepted: a name of its own for each", name)
        self._names.add(name)
        return name

    def _read(self, data: dict[str, Any], name: str, key: str, unset: Any, read: Callable[[Any], Any]) -> Any:
        """A key of an input, `unset` where it is not there."""
        if key not in data:
            return unset
        try:
            return read(data[key])
        except _WRONG:
            self._refuse(f"input {name}, {key} = {data[key]!r:.40}; accepted: as {data['TYPE']} has it", name)

    def _refuse(self, what: str, near: Any = None, line: int = 1) -> NoReturn:
        """Raise PresetError at a line, or at the one where the JSON has the text `near`."""
        if isinstance(near, str) and (at := self._source.find(json.dumps(near, ensure_ascii=False))) >= 0:
            line = self._source.count("\n", 0, at) + 1
        raise PresetError(f"{self._where}, line {line}: {what}")


def _numbers(value: Any, kind: InputKind) -> Values:
    """JSON's value as that of an input. Raises TypeError, ValueError."""
    values = tuple(map(float, value if isinstance(value, list) else [value]))
    if len(values) == 3 and kind is InputKind.COLOUR:
        values = (*values, 1.0)
    if len(values) != kind.numbers or not all(map(math.isfinite, values)):
        raise ValueError(value)
    return values
