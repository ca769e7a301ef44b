"""The styles that `compose` knows, read from styles.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

DRUM_NOTES = {
    "kick": 36, "snare": 38, "rim": 37, "clap": 39, "hat": 42, "pedal": 44, "open": 46, "cymbal": 49, "ride": 51,
    "percussion": 70, "conga": 63, "cowbell": 56,
}  # fmt: skip
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10), "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """One table of styles.toml; `tempo` counts beats a minute, dotted quarters in six eighths."""

    name: str
    tempo: tuple[float, float]
    bass: tuple[str, ...]
    chords: tuple[str, ...]
    scale: str
    progressions: tuple[tuple[int, ...], ...]
    programs: Mapping[str, tuple[int, ...]]
    meter: tuple[int, int] = (4, 4)
    swing: tuple[float, float] = (0.0, 0.0)
    loose_ms: tuple[float, float] = (0.0, 4.0)
    drift: float = 0.0
    """How likely the tempo is to wander."""
    club: bool = False
    drums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def quarters(self) -> float:
        """Quarter notes in a bar."""
        return 4 * self.meter[0] / self.meter[1]

    @property
    def beat(self) -> float:
        """Quarter notes in a beat: a dotted one in six eighths."""
        return 1.5 if self.meter[1] == 8 else 4 / self.meter[1]


@cache
def styles() -> dict[str, Style]:
    """Every style by its name."""
    tables = tomllib.loads((Path(__file__).parent / "styles.toml").read_text(encoding="utf-8"))
    return {name: _style(name, table) for name, table in tables.items()}


def _style(name: str, table: Mapping[str, Any]) -> Style:
    drums = {key: tuple(value) for key, value in table.items() if key in DRUM_NOTES}
    return Style(name=name, drums=drums, **{key: _frozen(value) for key, value in table.items() if key not in drums})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
