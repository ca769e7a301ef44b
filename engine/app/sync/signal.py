"""The test: a flash and a click for one moment, once a second; and those moments found again in what came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tpos_models.errors import InputError

PERIOD_S = 1.0118
"""Against every usual rate of displays and films it is odd: moments fall anywhere between two pictures, on average in
the middle."""
FIRST_S = 1.0
FLASH_S = 0.12
CLICK_S, CLICK_HZ = 0.010, (1000.0, 8000.0)
"""A click is a chirp, found to a fraction of a millisecond in any room (Farina 2000)."""
FEWEST = 5
MOST_APART_S = 0.05
"""Flashes and clicks that lie further from the others than that are something else."""
_SURE, _SHARE = 8.0, 0.3
"""How far a click stands out of the sound's median, and of the strongest click."""
_REFLECTIONS_S, _RISE_S = 0.02, 0.001
_CONTRAST = 12.0
"""Code values between dark and flash."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment of the test: `since_s` seconds from the nearest flash, which is `number` from 0, below 0 before it."""

    number: int
    since_s: float

    @property
    def flash(self) -> bool:
        """Whether the picture is white."""
        return self.number >= 0 and 0.0 <= self.since_s < FLASH_S


def stamp(played_s: float) -> Stamp:
    """Where the test is when it was played for so long."""
    number = round((played_s - FIRST_S) / PERIOD_S)
    return Stamp(number, played_s - moment_s(number))


def moment_s(number: int) -> float:
    """When a flash begins and a click is in its middle."""
    return FIRST_S + number * PERIOD_S


def click(rate: float) -> np.ndarray:
    """Complex (n,), its moment in the middle; what is heard is the imaginary part."""
    t = np.arange(round(CLICK_S * rate)) / rate
    low, high = CLICK_HZ
    return np.hanning(len(t)) * np.exp(2j * np.pi * (low * t + (high - low) * t**2 / (2 * CLICK_S)))


def find_clicks(sound: np.ndarray, rate: float) -> list[float]:
    """Moments, in seconds, of the clicks in a sound (n,), each by its direct way; none in noise or music alone."""
    template = click(rate)
    size = 1 << (len(sound) + len(template)).bit_length()
    strength = np.abs(np.fft.ifft(np.fft.fft(sound, size) * np.conj(np.fft.fft(template, size))))[: len(sound)]
    if not strength.size:
        return []
    border = max(_SURE * float(np.median(strength)), _SHARE * float(strength.max()))
    before, rise, apart = (round(s * rate) for s in (_REFLECTIONS_S, _RISE_S, 0.4 * PERIOD_S))
    found = []
    while (peak := strength.max()) > border:
        at = int(strength.argmax())
        early = max(0, at - before)
        direct = early + int(np.argmax(strength[early : at + 1] >= 0.5 * peak))
        direct += int(strength[direct : direct + rise].argmax())
        found.append((direct + len(template) / 2) / rate)
        strength[max(0, at - apart) : at + apart] = 0.0
    return sorted(found)


def find_flashes(times_s: np.ndarray, light: np.ndarray) -> list[float]:
    """Moments, in seconds, at which the part of a film that flashes turns bright; none where nothing flashes.

    `light` is grey (frames, rows, columns) of any small size. A flash came at any time since the picture before, on
    average in the middle.
    """
    if len(light) < 2:
        return []
    cells = light.reshape(len(light), -1).astype(np.float32)
    varies = cells.std(0)
    level = cells[:, varies >= 0.5 * varies.max()].mean(1)
    dark, bright = np.percentile(level, [25, 98])
    if bright - dark < _CONTRAST:
        return []
    lit = level > (dark + bright) / 2
    rises = np.flatnonzero(lit[1:] & ~lit[:-1])
    return [float(times_s[i] + times_s[i + 1]) / 2 for i in rises]


def period_s(moments: Sequence[float]) -> float:
    """How far they are apart, seldom missed ones apart; 0 where there are too few."""
    return float(np.median(np.diff(moments))) if len(moments) >= FEWEST else 0.0


@dataclass(frozen=True, slots=True)
class Apart:
    """How much later one kind of moments comes than another, over `count` of them, and how far that spreads."""

    late_s: float
    spread_s: float
    count: int


def apart(moments: Sequence[float], others: Sequence[float], what: str) -> Apart:
    """By how much `moments` come later than the nearest of `others`. Raises InputError where they do not agree."""
    theirs = np.array(others)
    late = np.array([one - theirs[np.abs(theirs - one).argmin()] for one in moments])
    kept = late[np.abs(late - np.median(late)) <= MOST_APART_S]
    if len(kept) < max(FEWEST, len(late) / 2):
        raise InputError(f"{what}: only {len(kept)} of {len(late)} agree; {FEWEST} and most of them would be accepted")
    return Apart(float(kept.mean()), float(kept.std()), len(kept))
