"""A film of the test, from a phone or any other camera: how much later the flash is seen than the click is heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.app.sync.signal import FEWEST, PERIOD_S, Apart, apart, find_clicks, find_flashes, period_s
from export.media.reading import read_grey, read_sound
from tpos_models.errors import MediaError

GRID = (64, 36)
LONGEST_S = 300.0
_SAME = 0.02
"""Two periods that differ by less are one."""
_SLOWED = 1.5
"""A film that takes so many times longer than what it shows is in slow motion."""


@dataclass(frozen=True, slots=True)
class Filmed:
    """What a film says. It takes `slowed` times as long as what it shows."""

    picture: Apart
    """How much later the flash is than the click, in real seconds."""
    slowed: float
    frame_s: float
    """Real seconds from picture to picture."""


def read_film(path: Path) -> Filmed:
    """Measure a film's first minutes. Raises MissingFileError, or MediaError for one that does not show the test."""
    times_s, light = _pictures(path)
    sound, rate = read_sound(path)
    flashes = find_flashes(times_s, light)
    if not (between_s := period_s(flashes)):
        seen = f"{len(flashes)} flashes" if flashes else "no flashes"
        raise MediaError(f"{path}: {seen} in its pictures; {_accepted()}")
    slowed = between_s / PERIOD_S
    slowed = 1.0 if abs(slowed - 1) < _SAME else slowed
    if slowed != 1.0 and slowed < _SLOWED:
        raise MediaError(f"{path}: it flashes every {between_s:.2f} s, not every {PERIOD_S:.2f} s; {_accepted()}")
    mono = sound[: round(LONGEST_S * rate)].mean(1)
    clicks = find_clicks(mono, rate * slowed)
    if abs(period_s(clicks) / PERIOD_S - 1) > _SAME:
        heard = f"{len(clicks)} clicks" if clicks else "no clicks"
        pace = f" at the pictures' pace, {slowed:.3g} times slowed" if slowed != 1.0 else ""
        raise MediaError(f"{path}: {heard} in its sound{pace}; {_accepted()}")
    picture = apart([flash / slowed for flash in flashes], clicks, f"{path}: flashes and clicks")
    return Filmed(picture, slowed, float(np.median(np.diff(times_s))) / slowed)


def _pictures(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) in seconds, and small grey pictures."""
    times_s, pictures = [], []
    for time_s, picture in read_grey(path, GRID):
        if time_s > LONGEST_S:
            break
        times_s.append(time_s)
        pictures.append(picture)
    return np.array(times_s), np.array(pictures)


def _accepted() -> str:
    return f"a film of 'tpos sync' with its sound, {FEWEST} flashes or more, would be accepted"
