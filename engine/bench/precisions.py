"""A model in every precision it has here, frames a second of each, and which one a show takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.app.options import LookOptions
from engine.bench.running import rates
from tpos_models.contracts import Model
from tpos_models.precision import Precision


@dataclass(frozen=True)
class PrecisionRates:
    """Frames a second by precision, what a live show takes, and why others cannot be had."""

    fps: Mapping[Precision, float]
    taken: Precision
    refused: Mapping[Precision, str]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"precision": self.taken, "precisions_fps": dict(self.fps), "refused": dict(self.refused)}

    def lines(self) -> list[str]:
        """For people."""
        rates = ", ".join(f"{precision} {fps:.1f} frames/s" for precision, fps in self.fps.items())
        return [f"  precision: {rates}; the show takes {self.taken}", *(f"  {why}" for why in self.refused.values())]


def measure_precisions(
    models: Mapping[Precision, Model],
    look: LookOptions,
    seconds: float,
    taken: Precision,
    refused: dict[Precision, str],
) -> PrecisionRates:
    """The running engine on each model in turn, `seconds` for each."""
    fps = rates(list(models.values()), look, seconds)
    return PrecisionRates(dict(zip(models, fps, strict=True)), taken, refused)
