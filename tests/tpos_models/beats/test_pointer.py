"""The bar-pointer filter against the forward algorithm written out, and on activations whose beats are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tpos_models.beats.bands import HOP_S
from tpos_models.beats.network import DELAY_HOPS, TEMPI, Activations, tempo_class
from tpos_models.beats.pointer import Pointer, PointerFilter

UNKNOWN = np.full(TEMPI, -np.log(TEMPI))


def activations(beats_s: np.ndarray, seconds: float, high: float = 2.0, low: float = -5.0) -> np.ndarray:
    """Log odds of a network that is sure: `high` in the hop that names a beat, a little before and after."""
    odds = np.full(round(seconds / HOP_S), low)
    for hop in np.floor(beats_s / HOP_S).astype(int) + DELAY_HOPS:
        for off, part in ((-1, 0.7), (1, 0.7), (0, 1.0)):
            if 0 <= hop + off < len(odds):
                odds[hop + off] = low + part * (high - low)
    return odds


def follow(odds: np.ndarray, tempi: np.ndarray = UNKNOWN) -> list[Pointer]:
    pointers, track = [], PointerFilter()
    for value in odds.tolist():
        track.push(Activations(value, -9.0, 0.0, tempi))
        pointers.append(track.pointer())
    return pointers


def test_it_is_the_forward_algorithm() -> None:
    """Every state and every way between two, as Krebs, Böck and Widmer draw them, in one dense matrix of half hops."""
    track = PointerFilter(172.0, 200.0)
    half_hop_s = HOP_S / 2
    intervals = [n for n in range(40, 80) if 172.0 <= 60 / (n * half_hop_s) <= 200.0]
    states = [(n, place) for n in intervals for place in range(n)]
    number = {state: i for i, state in enumerate(states)}
    step = np.zeros((len(states), len(states)))
    octaves = np.log2([60 / (n * half_hop_s) / 120 for n in intervals])
    prior = np.exp(-0.5 * (octaves / 0.9) ** 2) / intervals
    prior /= prior.sum()
    for n, place in states:
        if place + 1 < n:
            step[number[n, place], number[n, place + 1]] = 1
            continue
        bends = np.array([np.exp(-200 * abs(other / n - 1)) for other in intervals])
        for other, bend, any_ in zip(intervals, bends / bends.sum(), prior, strict=True):
            step[number[n, place], number[other, 0]] = (1 - 2e-4) * bend + 2e-4 * any_
    born = np.array([prior[intervals.index(n)] / n for n, _ in states])
    alpha, none = np.zeros(len(states)), 1.0
    for odds in activations(np.arange(0.1, 3, 60 / 185), 3.0).tolist():
        alpha = alpha @ step @ step
        appears = none * 0.002
        none, alpha = none + alpha.sum() * 0.0005 - appears, alpha * (1 - 0.0005) + appears * born
        evidence = np.exp(np.clip(0.5 * (odds + 2.0), -2.5, 5.0))
        alpha *= [evidence if place < 6 else 1.0 for _, place in states]
        none, alpha = none / (none + alpha.sum()), alpha / (none + alpha.sum())
        track.push(Activations(odds, 0.0, 0.0, UNKNOWN))
        assert track.pointer().presence == pytest.approx(1 - none, abs=1e-4)
    mean = sum(p * n for p, (n, _) in zip(alpha, states, strict=True)) / alpha.sum() / 2
    assert track.pointer().interval_hops == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize("bpm", [60, 92, 128, 174, 195])
def test_a_beat_is_found_within_three_beats_and_followed(bpm: float) -> None:
    pointers = follow(activations(np.arange(0.3, 12, 60 / bpm), 12.0))
    sure = next(hop for hop, p in enumerate(pointers) if p.presence * p.focus > 0.6)
    assert sure * HOP_S < 0.3 + 3.5 * 60 / bpm
    for hop in range(round(6 / HOP_S), len(pointers)):
        assert 60 / (pointers[hop].interval_hops * HOP_S) == pytest.approx(bpm, rel=0.015)
        late = (pointers[hop].phase - ((hop + 1) * HOP_S - 0.3) * bpm / 60 + 0.5) % 1 - 0.5
        assert abs(late) * 60 / bpm < 0.025


def test_a_tempo_that_bends_is_followed() -> None:
    gaps_s = 60 / np.linspace(100, 130, 40)
    beats_s = 0.2 + np.concatenate([[0], np.cumsum(gaps_s)])
    pointers = follow(activations(beats_s, float(beats_s[-1])))
    assert 60 / (pointers[-1].interval_hops * HOP_S) == pytest.approx(129, rel=0.03)
    assert all(abs(b.interval_hops / a.interval_hops - 1) < 0.1 for a, b in itertools.pairwise(pointers[400:]))


@pytest.mark.parametrize("bpm", [80, 160])
def test_the_tempo_class_decides_between_octaves(bpm: float) -> None:
    """Beats between the beats, half as likely: 80 or 160 is for the class to say."""
    strong = activations(np.arange(0.3, 14, 60 / 80), 14.0, 1.0)
    odds = np.maximum(strong, activations(np.arange(0.3 + 30 / 80, 14, 60 / 80), 14.0, -1.6))
    tempi = np.full(TEMPI, np.log(0.1 / TEMPI))
    tempi[tempo_class(np.array([bpm]))] = np.log(0.9)
    assert 60 / (follow(odds, tempi)[-1].interval_hops * HOP_S) == pytest.approx(bpm, rel=0.02)


def test_where_nothing_beats_there_is_no_beat() -> None:
    odds = np.random.default_rng(0).normal(-6, 1, 1000)
    assert max(p.presence * p.focus for p in follow(odds)) < 0.3


def test_a_loop_lasts_whole_beats_and_says_how_long_they_are() -> None:
    """Peaks at 141 BPM, of a rhythm of threes in a loop of eight beats at 125: only tempi that divide it are left."""
    odds = activations(np.arange(0, 16, 60 / 141), 16)
    pointers = PointerFilter()
    loop_hops = 8 * 60 / 125 / HOP_S
    for odd in odds:
        pointers.expect(loop_hops)
        pointers.push(Activations(float(odd), 0.0, 0.0, UNKNOWN))
    beats = loop_hops / pointers.pointer().interval_hops
    assert beats == pytest.approx(round(beats), abs=1e-6)
    assert round(beats) in (4, 6, 8, 12)
