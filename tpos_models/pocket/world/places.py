"""The places, a palette and a composition each, and the calm one behind the empty scene: places.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import torch

from tpos_models.pocket.scene import PLACES
from tpos_models.pocket.world.canvas import rgb
from tpos_models.toml_data import check_names, read_toml

FILE = Path(__file__).with_name("places.toml")
CALM = "calm"
"""What the empty scene shows: hills at dusk."""
COLOURS = ("sky", "sky_low", "far", "middle", "ground", "ground_low", "near", "accent", "dark")

Colour = Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$")]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One paper-cut composition: the COLOURS, and amounts by name (heights as fractions of the picture, or 0..1).

    `far_rise` is how high the far ridge stands above the horizon, below 0 it is hidden; `sharp` is 0 for rolling hills,
    1 for alpine ones.
    """

    colours: Annotated[list[Colour], msgspec.Meta(min_length=len(COLOURS), max_length=len(COLOURS))]
    amounts: dict[str, float]


def load_places(path: Path = FILE) -> dict[str, Place]:
    """Every place by name, `CALM` first; raises `ModelError`."""
    places = read_toml(path, dict[str, Place])
    check_names(path, places.keys(), (CALM, *PLACES), all_of_them=True)
    calm = places[CALM].amounts
    check_names(path, {name for place in places.values() for name in place.amounts}, tuple(calm))
    return {name: Place(places[name].colours, {**calm, **places[name].amounts}) for name in (CALM, *PLACES)}


_RECORDS = load_places()
AMOUNTS = tuple(_RECORDS[CALM].amounts)


def colour_table() -> torch.Tensor:
    """(1 + places, colours, 3); row 0 is the calm place."""
    return torch.stack([torch.stack([rgb(code) for code in place.colours]) for place in _RECORDS.values()])


def amount_table() -> torch.Tensor:
    """(1 + places, amounts)."""
    return torch.tensor([list(place.amounts.values()) for place in _RECORDS.values()])
