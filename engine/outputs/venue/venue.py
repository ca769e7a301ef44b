"""A venue's file: how each output is mapped there, in TOML in the user's folder, checked as presets are."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from PIL import Image

from engine.control.presets import MAX_FILE_BYTES, user_directory
from engine.control.schema import checked, decode_toml, read_bounded, write_toml
from engine.render.mapping.mapping import PLAIN, Mapped, Mapping, fault
from tpos_models.errors import InputError, PresetError

FIRST = "first"
"""The output that the show is drawn with, whichever it is."""
MAPPED = (FIRST, "window", "ndi", "spout", "syphon")
"""Kinds of output that are mapped; the operator's window is not."""
MOST_OUTPUTS, MOST_MASK_PX = 32, 8192


class VenueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A venue's file; outputs by the names that the show has for them: first, window:1, ndi:Left."""

    schema: Literal[1] = 1
    outputs: Annotated[dict[str, Any], Meta(max_length=MOST_OUTPUTS)] = {}
    """Each a `Mapping`."""


@dataclass(frozen=True, slots=True)
class Venue:
    """Every output's mapping, ready to be drawn, and the files that it came from."""

    path: Path
    outputs: Table[str, Mapped] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is asked for."""
        return self.path.stem

    @property
    def files(self) -> tuple[Path, ...]:
        """Its own, and its masks'."""
        masks = [one.mapping.mask for one in self.outputs.values() if one.mapping.mask]
        return self.path, *(self.path.parent / mask for mask in masks)

    @property
    def mappings(self) -> dict[str, Mapping]:
        """Those that change anything."""
        return {name: one.mapping for name, one in self.outputs.items() if one.mapping != PLAIN}

    def masked(self, masks: Table[str, np.ndarray | None]) -> Venue:
        """With other masks where there are any."""
        return Venue(
            self.path, {name: replace(one, mask=masks.get(name, one.mask)) for name, one in self.outputs.items()}
        )

    def moved(self, name: str, mapping: Mapping) -> Venue:
        """With one output mapped otherwise."""
        mask = self.outputs[name].mask if name in self.outputs else None
        return Venue(self.path, {**self.outputs, name: Mapped(mapping, mask)})


def find(name: str) -> Path:
    """The file of a venue: in the user's folder by its name, or a path that ends in .toml. Raises InputError."""
    if name.endswith(".toml"):
        return Path(name).expanduser()
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise InputError(f"--venue {name}: a name, or the path of a .toml file would be accepted")
    return user_directory().parent / "venues" / f"{name}.toml"


def read(path: Path) -> Venue:
    """The venue in a file. Raises PresetError, MissingFileError."""
    mappings = parse(read_bounded(path, MAX_FILE_BYTES, "venue file"), str(path))
    return Venue(path, {name: Mapped(one, _mask(path, one.mask)) for name, one in mappings.items() if one != PLAIN})


def parse(source: str | bytes, where: str) -> dict[str, Mapping]:
    """Every output's mapping from TOML text, masks unread. Raises PresetError."""
    said = decode_toml(source, VenueFile, where).outputs
    return {name: _mapping(data, name, f"{where}: outputs.{name:.60}") for name, data in said.items()}


def _mapping(data: object, name: str, where: str) -> Mapping:
    if name.partition(":")[0] not in MAPPED:
        raise PresetError(f"{where} is none; accepted: {', '.join(MAPPED)}, as window:1")
    mapping = checked(data, Mapping, where)
    if wrong := fault(mapping):
        raise PresetError(f"{where}: {wrong}")
    return mapping


def save(venue: Venue) -> None:
    """Write a venue into its file. Raises StorageError."""
    write_toml(venue.path, VenueFile(outputs=venue.mappings))


def _mask(venue: Path, name: str) -> np.ndarray | None:
    """A PNG as grey, transparent being dark, uint8 (height, width)."""
    if not name:
        return None
    path = venue.parent / name
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if max(image.size) > MOST_MASK_PX:
                raise PresetError(f"{path}: {image.width}x{image.height}; accepted: {MOST_MASK_PX} pixels a side")
            grey = np.asarray(image.convert("LA"), np.float32)
    except FileNotFoundError as error:
        raise PresetError(f"{venue}: mask = {name!r}: {path} is not there; accepted: a PNG") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PresetError(f"{venue}: mask = {name!r}: {path} is no PNG that can be read") from error
    return np.round(grey[..., 0] * grey[..., 1] / 255).astype(np.uint8)
