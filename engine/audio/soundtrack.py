"""The built-in soundtrack: weather and water, then a beat; 80 s, the same on every machine, and it loops."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import count, islice

import numpy as np

from engine.audio import SAMPLE_RATE
from tpos_models.pocket.synth.sounds import synthesise

_SEED = 7
_FADE_S = 1.5


@dataclass(frozen=True, slots=True)
class Section:
    """What is heard between two times; `name` is a word `tpos_models.pocket.synth.sounds` knows."""

    name: str
    start_s: float
    end_s: float
    strength: float = 1.0


SECTIONS = (
    Section("rain", 0.0, 11.0, 0.8),
    Section("thunder", 11.0, 21.0),
    Section("fire", 21.0, 32.0, 0.9),
    Section("waves", 32.0, 43.0, 0.9),
    Section("wind", 43.0, 52.0, 0.8),
    Section("sunny", 52.0, 61.0, 0.85),  # birds
    Section("beat", 61.0, 80.0),
)
DURATION_S = SECTIONS[-1].end_s


def soundtrack() -> np.ndarray:
    """One pass of the piece: mono float32 at 44.1 kHz, within -1..1."""
    return np.concatenate(list(islice(stream(), len(SECTIONS))))


def stream(loop: bool = True) -> Iterator[np.ndarray]:
    """The piece section by section, each crossfaded over 1.5 s with the one before, the first with the last.

    The next section is synthesised in a thread of its own while the caller plays this one.
    """
    overlap = round(_FADE_S * SAMPLE_RATE)
    before = np.zeros(overlap, np.float32)
    with ThreadPoolExecutor(1, "audio-synth") as pool:
        coming = pool.submit(_section, 0)
        for number in count() if loop else range(len(SECTIONS)):
            sound = coming.result()
            coming = pool.submit(_section, (number + 1) % len(SECTIONS))
            yield np.concatenate([np.clip(sound[:overlap] + before, -1, 1), sound[overlap:-overlap]])
            before = sound[-overlap:]
    yield before


@cache
def _section(number: int) -> np.ndarray:
    """One section with equal-power fades; the fade out lies beyond its own end."""
    section = SECTIONS[number]
    seconds = section.end_s - section.start_s + _FADE_S
    sound = synthesise(section.name, seconds, _SEED + number, SAMPLE_RATE, section.strength)
    fade = np.sin(np.linspace(0, np.pi / 2, round(_FADE_S * SAMPLE_RATE), dtype=np.float32))
    sound[: len(fade)] *= fade
    sound[-len(fade) :] *= fade[::-1]
    return sound
