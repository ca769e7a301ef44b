"""`tpos compare`: films side by side, with their measures and a picture of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from engine.app.evaluate import Source, as_dict, evaluate_film, open_film
from engine.core.console import Progress
from tpos_models.errors import InputError
from tpos_models.metrics.clip import Clip, ClipMeasures, cmmd, recall_at_1
from tpos_models.metrics.film import Evaluation
from tpos_models.metrics.plot import Strip

THUMB_PX = 512
"""Frames are kept for the picture at this longer side."""


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the films: its size (width, height), measures, and frames for the picture.

    `cmmd` is how far its frames are from the first film's, None for that one and without a CLIP.
    """

    name: str
    size: tuple[int, int]
    measured: Evaluation
    strip: Strip
    cmmd: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Films side by side; `recall` is the share whose sound finds its own among all their pictures, with a CLIP."""

    films: tuple[Compared, ...]
    recall: float | None

    def as_dict(self) -> dict[str, Any]:
        """For --json; null where there is nothing to measure."""
        films = [
            {"film": film.name, "size": film.size, **as_dict(film.measured), "clip_cmmd": _known(film.cmmd)}
            for film in self.films
        ]
        return {"films": films, "clip_recall": _known(self.recall), "clip_chance": self.recall and 1 / len(films)}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows: a measure a row, a film a column, and what it says where that is of no one film."""
        rows = [
            ["size", *(f"{film.size[0]}x{film.size[1]}" for film in self.films)],
            ["length", *(f"{film.measured.frames / film.measured.fps:.1f} s" for film in self.films)],
            ["rate", *(f"{film.measured.fps:g} fps" for film in self.films)],
        ]
        values = [{row.name: row.value for row in film.measured.rows()} for film in self.films]
        rows += [
            [name, *(each.get(name, "-") for each in values)] for name in dict.fromkeys(n for v in values for n in v)
        ]
        if _known(self.recall) is not None:
            distances = ["-" if _known(film.cmmd) is None else f"{film.cmmd:.3f}" for film in self.films]
            chance = f"{self.recall:.3f} (chance {1 / len(self.films):.3f})"
            rows += [["CMMD to the first", *distances], ["recall@1 of films", chance]]
        return ["measure", *(film.name for film in self.films)], rows


def compare_films(
    sources: Sequence[str], clip: Clip | None, prompt: str | None, heard: str | None, frames: int, progress: Progress
) -> Comparison:
    """Measure films or sessions, each as `evaluate_film` does, and keep `frames` of each; raises `InputError`.

    Sizes, rates and lengths may differ: every measure is one film's own, in seconds or shares.
    """
    if len(sources) < 2:
        raise InputError(f"{len(sources)} film; two or more to compare would be accepted")
    opened = [open_film(source) for source in sources]  # what cannot be read is said before minutes of measuring
    names = _names(sources)
    films: list[Compared] = []
    for name, film in zip(names, opened, strict=True):
        done, thumbs = len(films), _Thumbs(film, frames)

        def part(share: float, done: int = done) -> None:
            progress((done + share) / len(opened))

        measured = evaluate_film(film, clip, prompt, heard, part, thumbs.watch)
        strip = Strip(name, measured, tuple(thumbs.kept), tuple(thumbs.at_s))
        first = films[0].measured.clip if films else None
        far = cmmd(measured.clip.frames, first.frames) if measured.clip and first else None
        films.append(Compared(name, (film.info.width, film.info.height), measured, strip, far))
    return Comparison(tuple(films), _recall([film.measured.clip for film in films if film.measured.clip]))


class _Thumbs:
    """Keeps the frame in the middle of each of `count` equal parts of a film, small."""

    def __init__(self, film: Source, count: int) -> None:
        self._places = {int((i + 0.5) * film.info.frames / count) for i in range(count)}
        self._fps = film.info.fps
        self.kept: list[np.ndarray] = []
        self.at_s: list[float] = []

    def watch(self, number: int, frame: np.ndarray) -> None:
        """Every frame of the film."""
        if number in self._places:
            image = Image.fromarray(frame)
            image.thumbnail((THUMB_PX, THUMB_PX))
            self.kept.append(np.asarray(image))
            self.at_s.append((number + 0.5) / self._fps)


def _names(sources: Sequence[str]) -> list[str]:
    """What a film is called: its last name, or as it was given where that is another's too."""
    last = [Path(source).name for source in sources]
    return [name if last.count(name) == 1 else source for name, source in zip(last, sources, strict=True)]


def _recall(seen: Sequence[ClipMeasures]) -> float | None:
    """Whether each film's sound, in words, is nearest to its own pictures; None without a CLIP."""
    if not seen:
        return None
    sounds = torch.stack([film.sounds.mean(0) for film in seen])
    return recall_at_1(sounds, torch.stack([film.frames.mean(0) for film in seen]))


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
