"""Prompts written by hand, what the text space is judged on: heldout.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tpos_models.pocket.scene import CONDITIONS, PLACES
from tpos_models.toml_data import check_names, read_toml

FILE = Path(__file__).with_name("heldout.toml")


@dataclass(frozen=True)
class HeldOut:
    """One prompt with the places accepted ("" is none), the conditions demanded and those tolerated."""

    prompt: str
    places: tuple[str, ...]
    conditions: frozenset[str]
    tolerated: frozenset[str]


def load_prompts(path: Path = FILE) -> list[HeldOut]:
    """Read the table, in its order; raises `ModelError`."""
    rows = [_parsed(*line) for line in read_toml(path, dict[str, list[tuple[str, str, str]]])["prompts"]]
    check_names(path, {name for row in rows for name in row.places if name}, PLACES)
    check_names(path, {name for row in rows for name in row.conditions | row.tolerated}, CONDITIONS)
    return rows


def _parsed(prompt: str, place: str, conditions: str) -> HeldOut:
    names = conditions.split()
    return HeldOut(
        prompt,
        tuple("" if name == "-" else name for name in place.split("/")),
        frozenset(name for name in names if not name.endswith("?")),
        frozenset(name[:-1] for name in names if name.endswith("?")),
    )


PROMPTS = load_prompts()
