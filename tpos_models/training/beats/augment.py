"""Excerpts as a room, a mixer and a crowd would change them, in band powers: cheap enough to be new at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tpos_models.beats.bands import BANDS, HOP_S, log_powers
from tpos_models.beats.network import DELAY_HOPS, TEMPI, tempo_class
from tpos_models.training.beats.data import Excerpt, hop_of

HOPS = 1720
"""20 s: longer than the network looks back."""
_BEATLESS, _OVERLAID, _GAP, _LATE = 0.2, 0.4, 0.12, 0.3
_LEAST_BEATS = 3


@dataclass(frozen=True)
class Batch:
    """Features (B, FEATURES, T); targets of beat, downbeat, rhythm (B, 3, T), weights; tempo classes (B, T) or -1."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    tempo: np.ndarray


class Augmenter:
    """Draws batches from groups of excerpts; `beatless` ones are learned alone and laid over the others.

    A group is drawn as often as the root of its length says: few loops would else hardly be heard among many renders.
    """

    def __init__(self, music: Sequence[Sequence[Excerpt]], beatless: Sequence[Excerpt]) -> None:
        self._music, self._beatless = music, beatless
        roots = np.sqrt([sum(len(excerpt.amplitudes) for excerpt in group) for group in music])
        self._shares = roots / roots.sum()

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """`size` excerpts of HOPS hops, each changed in its own way."""
        powers = np.empty((size, HOPS, BANDS), np.float32)
        targets, weights = np.zeros((2, size, 3, HOPS), np.float32)
        tempo = np.full((size, HOPS), -1)
        for i in range(size):
            if rng.uniform() < _BEATLESS:
                powers[i], weights[i] = self._nothing(rng), 1
                continue
            group = self._music[int(rng.choice(len(self._music), p=self._shares))]
            excerpt = group[int(rng.integers(len(group)))]
            start = _start(rng, excerpt)
            powers[i] = _cut(excerpt, start)
            targets[i], weights[i], tempo[i] = truth(excerpt, start)
            if rng.uniform() < _GAP:
                _mute(rng, powers[i], weights[i], tempo[i])
            if rng.uniform() < _OVERLAID:
                over = self._nothing(rng)
                ratio = powers[i].mean() / max(over.mean(), 1e-12) * 10 ** (-rng.uniform(-4, 20) / 10)
                powers[i] += ratio * over
        powers *= equalised(rng, size)[:, None]
        powers = pumped(rng, reverberated(rng, powers))
        powers *= (10 ** rng.uniform(-1.1, 0.7, size) * 0.002 / np.maximum(powers.mean((1, 2)), 1e-9))[:, None, None]
        powers += (10 ** rng.uniform(-11, -6.5, size))[:, None, None]
        return Batch(features(powers), targets, weights, tempo)

    def _nothing(self, rng: np.random.Generator) -> np.ndarray:
        """Something without a beat, from anywhere in it; short ones again and again, now and then silence."""
        excerpt = self._beatless[int(rng.integers(len(self._beatless)))]
        length = len(excerpt.amplitudes)
        if length < HOPS:  # not from one end to the other, which would repeat regularly
            pieces = [int(rng.integers(0, max(1, length - 40))) for _ in range(HOPS // 40 + 1)]
            found: list[np.ndarray] = []
            have = 0
            while have < HOPS:
                at = pieces[len(found) % len(pieces)]
                found.append(excerpt.amplitudes[at : at + int(rng.integers(40, 400))])
                have += len(found[-1])
            amplitudes = np.concatenate(found)[:HOPS]
        else:
            start = int(rng.integers(0, length - HOPS + 1))
            amplitudes = excerpt.amplitudes[start : start + HOPS]
        return np.square(amplitudes.astype(np.float32))


def _start(rng: np.random.Generator, excerpt: Excerpt) -> int:
    """Anywhere in the middle, or, now and then, up to five seconds before it begins."""
    longest = max(1, len(excerpt.amplitudes) - HOPS)
    return -int(rng.integers(0, HOPS // 4)) if rng.uniform() < _LATE / 3 else int(rng.integers(0, longest))


def _cut(excerpt: Excerpt, start: int) -> np.ndarray:
    out = np.zeros((HOPS, BANDS), np.float32)
    before = max(0, -start)
    part = excerpt.amplitudes[start + before : max(0, start + HOPS)].astype(np.float32)
    out[before : before + len(part)] = np.square(part)
    return out


def truth(excerpt: Excerpt, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets (3, HOPS), weights (3, HOPS) and tempo classes (HOPS,) of an excerpt from hop `start` on."""
    targets, weights = np.zeros((3, HOPS), np.float32), np.ones((3, HOPS), np.float32)
    tempo = np.full(HOPS, -1)
    for row, times_s in enumerate((excerpt.beats_s, excerpt.downbeats_s)):
        hops = hop_of(times_s) + DELAY_HOPS - start
        for off, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
            inside = hops + off
            targets[row, inside[(inside >= 0) & (inside < HOPS)]] = value
    if not len(excerpt.downbeats_s) and len(excerpt.beats_s):
        weights[1] = 0
    if len(excerpt.beats_s) < _LEAST_BEATS:
        return targets, weights, tempo
    hops = np.arange(start, start + HOPS)
    gaps_s = np.diff(excerpt.beats_s)
    begins, ends = hop_of(excerpt.beats_s[[0, -1]] + np.array([0, gaps_s[-1]]))
    inside = (hops >= begins) & (hops < ends)
    targets[2] = inside
    bpm = 60 / np.exp(np.interp(hops * HOP_S, excerpt.beats_s[1:], np.log(gaps_s)))
    classes = tempo_class(bpm)
    known = inside & (classes >= 0) & (classes < TEMPI)
    tempo[known] = classes[known]
    weights[2, (hops >= ends) & (hops < ends + round(4 / HOP_S))] = 0
    return targets, weights, tempo


def _mute(rng: np.random.Generator, powers: np.ndarray, weights: np.ndarray, tempo: np.ndarray) -> None:
    """The mixer's fader, or its low bands, go down for a moment; what nobody can hear is not asked for."""
    start = int(rng.integers(0, HOPS - 100))
    gap = slice(start, start + int(rng.integers(40, 400)))
    if rng.uniform() < 0.5:
        powers[gap, : int(rng.integers(3, 12))] *= 0.003
        return
    powers[gap] *= 1e-6
    weights[:, gap] = 0
    tempo[gap] = -1


def equalised(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, BANDS) gains of a smooth curve of a few dB, some with an end cut off as small speakers do."""
    at = np.linspace(0, 1, BANDS)
    gain_db = np.zeros((size, BANDS))
    for order in range(1, 5):
        waves = np.cos(np.pi * order * at + rng.uniform(0, 2 * np.pi, (size, 1)))
        gain_db += rng.normal(0, 4.5 / np.sqrt(order), (size, 1)) * waves
    low, high = rng.uniform(0, 0.25, (size, 1)), rng.uniform(0.5, 1, (size, 1))
    gain_db -= (rng.uniform(size=(size, 1)) < 0.25) * 250 * np.maximum(low - at, 0)
    gain_db -= (rng.uniform(size=(size, 1)) < 0.25) * 120 * np.maximum(at - high, 0)
    return (10 ** (gain_db / 10)).astype(np.float32)


def reverberated(rng: np.random.Generator, powers: np.ndarray) -> np.ndarray:
    """Half of them with the tail of a room: decay 0.2 to 1.5 s, up to as loud as what is played."""
    size = len(powers)
    decay = np.float32(10 ** (-6 * HOP_S / rng.uniform(0.2, 1.5, (size, 1))))
    amount = np.float32(rng.uniform(0, 0.25, (size, 1)) ** 1.5 * (rng.uniform(size=(size, 1)) < 0.5))
    out, tail = np.empty_like(powers), np.zeros((size, BANDS), np.float32)
    for hop in range(powers.shape[1]):
        out[:, hop] = powers[:, hop] + amount * tail
        tail = decay * (tail + powers[:, hop])
    return out


def pumped(rng: np.random.Generator, powers: np.ndarray) -> np.ndarray:
    """Half of them through a compressor: up to the loudest parts a quarter as far above the rest, slow or fast."""
    size = len(powers)
    strength = rng.uniform(0, 0.75, size) * (rng.uniform(size=size) < 0.5)
    release = np.exp(-HOP_S / rng.uniform(0.05, 0.5, size))
    level = powers.mean(2)
    mean = level.mean(1) + 1e-9
    held, gain = mean.copy(), np.empty_like(level)
    for hop in range(powers.shape[1]):
        held = np.maximum(level[:, hop], held * release + level[:, hop] * (1 - release))
        gain[:, hop] = (np.maximum(held, 0.01 * mean) / mean) ** -strength
    return powers * gain[..., None]


def features(powers: np.ndarray) -> np.ndarray:
    """(B, T, BANDS) powers to (B, FEATURES, T), as the network in numpy sees them hop by hop."""
    logs = log_powers(powers)
    before = np.concatenate(
        [np.broadcast_to(log_powers(np.zeros_like(powers[:, :1])), logs[:, :1].shape), logs[:, :-1]], 1
    )
    both = np.concatenate([logs, np.maximum(logs - before, 0)], 2)
    return np.ascontiguousarray(both.transpose(0, 2, 1))
