"""Sounds by name: the shipped bank of phrases, and how far one stands out from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from tpos_models.toml_data import read_toml

FILE = Path(__file__).with_name("phrases.toml")


@dataclass(frozen=True)
class Phrase:
    """A sound by name, and the picture worth drawing for it."""

    hear: str
    show: str


@cache
def bank() -> tuple[Phrase, ...]:
    """The shipped bank of sounds and music."""
    groups = read_toml(FILE, dict[str, dict[str, str]])
    return tuple(Phrase(hear, show) for group in groups.values() for hear, show in group.items())


BORDER, WIDTH = 2.0, 0.4
"""A phrase stands out by half at so many deviations, and goes from little to much within so many."""


def stand_out(likeness: torch.Tensor, background: torch.Tensor) -> np.ndarray:
    """Likeness (n,) of phrases to a sound as weights 0..1: a half at `BORDER` deviations above the bank's mean.

    A contrastive model's likeness has no absolute scale; the bank's spread for the same sound is its yardstick.
    """
    z = (likeness - background.mean()) / background.std().clamp_min(1e-6)
    return ((z - BORDER) / WIDTH).sigmoid().numpy()
