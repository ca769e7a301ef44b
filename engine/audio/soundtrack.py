"""The built-in soundtrack: a morning, a fire, rain, a beat, and on; 80 s, the same on every machine, and it loops."""

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
_FADE_S = 0.7


@dataclass(frozen=True, slots=True)
class Section:
    """What is heard between two times; `name` is a word `tpos_models.pocket.synth.sounds` knows."""

    name: str
    start_s: float
    end_s: float
    strength: float = 1.0


SECTIONS = (
    Section("sunny", 0.0, 3.0, 0.85),  # birds
    Section("fire", 3.0, 7.0, 0.95),
    Section("rain", 7.0, 11.0, 0.9),
    Section("beat", 11.0, 27.0),
    Section("thunder", 27.0, 36.0),
    Section("waves", 36.0, 45.0, 0.9),
    Section("wind", 45.0, 53.0, 0.8),
    Section("night", 53.0, 61.0, 0.8),  # crickets
    Section("beat", 61.0, 80.0),
)
DURATION_S = SECTIONS[-1].end_s


def soundtrack() -> np.ndarray:
    """One pass of the piece: mono float32 at 44.1 kHz, within -1..1."""
    return np.concatenate(list(islice(stream(), len(SECTIONS))))


def stream(loop: bool = True) -> Iterator[np.ndarray]:
    """The piece section by section, each crossfaded with the one before, the first with the last.

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
