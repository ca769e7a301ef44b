"""A set list: the presets of an evening in their order, from a TOML file that names them, or a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.control import presets
from engine.control.preset_keys import MAX_SET, Text
from engine.control.presets import MAX_FILE_BYTES, Preset
from engine.control.schema import decode_toml, read_bounded
from tpos_models.errors import MissingFileError, PresetError


class SetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A set list's file; `presets` are names, or paths from its folder on, and may come more than once."""

    schema: Literal[1]
    presets: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_SET)]


def read(path: str) -> tuple[Preset, ...]:
    """The presets of a set list in order, those of a folder by their names; none for "".

    Raises PresetError, MissingFileError.
    """
    if not path:
        return ()
    place = Path(path).expanduser()
    found = _of_folder(place) if place.is_dir() else _of_file(place)
    files: dict[str, Path | None] = {}
    for one in found:
        if files.setdefault(one.name, one.path) != one.path:
            raise PresetError(f"set list {path}: two presets are called {one.name!r:.60}; accepted: a name for each")
    return found


def _of_folder(folder: Path) -> tuple[Preset, ...]:
    paths = sorted(folder.glob("*.toml"))[: MAX_SET + 1]
    if not 1 <= len(paths) <= MAX_SET:
        raise PresetError(f"set list {folder}: {len(paths)} presets (.toml) in it; accepted: 1..{MAX_SET}")
    return tuple(map(presets.read, paths))


def _of_file(path: Path) -> tuple[Preset, ...]:
    names = decode_toml(read_bounded(path, MAX_FILE_BYTES, "set list"), SetFile, str(path)).presets
    made: dict[str, Preset] = {}
    for number, name in enumerate(names, 1):
        try:
            made[name] = made.get(name) or presets.load(path.parent / name if name.endswith(".toml") else name)
        except (PresetError, MissingFileError) as error:
            raise type(error)(f"{path}: preset {number}: {error}") from error
    return tuple(made[name] for name in names)
