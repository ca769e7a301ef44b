"""Loops of music that is made beat by beat: their bars are its bars, however its tempo drifts and its beats count."""

from __future__ import annotations

import numpy as np
import pytest

from engine.app.loop.bars import heard_bars
from engine.app.loop.loop import LEAD_FRAMES, cut_loop
from engine.audio import SAMPLE_RATE
from engine.core.messages import ShowState

FPS = 30.0


def music(from_bpm: float, to_bpm: float, seconds: float, meter: int) -> tuple[np.ndarray, np.ndarray]:
    """A kick on each bar's first beat, hats on the others, float32 (n, 1), and the bar lines in seconds."""
    beats_s = [0.3]
    while beats_s[-1] < seconds - 1:
        beats_s.append(beats_s[-1] + 60 / (from_bpm + (to_bpm - from_bpm) * beats_s[-1] / seconds))
    t = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    kick = 0.9 * np.sin(2 * np.pi * 60 * t) * np.exp(-t * 20)
    hat = 0.35 * np.random.default_rng(0).standard_normal(len(t)) * np.exp(-t * 60)
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for number, at_s in enumerate(beats_s):
        at = round(at_s * SAMPLE_RATE)
        sound[at : at + len(t)] += hat if number % meter else kick
    return sound[:, None], np.array(beats_s[::meter])


@pytest.mark.parametrize(
    ("from_bpm", "to_bpm", "meter", "bars"), [(118, 124, 4, 8), (124, 118, 4, 4), (132, 132, 3, 6), (100, 104, 3, 4)]
)
def test_a_loop_is_bars_of_the_music_as_they_were_played(from_bpm: float, to_bpm: float, meter: int, bars: int) -> None:
    """Counted back from the end at the median tempo, eight bars would be 0.1 s off their line and as much too short."""
    sound, lines_s = music(from_bpm, to_bpm, 30, meter)
    heard, loop = heard_bars(sound, bars), cut_loop(sound, ShowState(), bars, FPS)
    assert heard is not None
    first = np.abs(lines_s - heard.start_s).argmin()
    assert heard.start_s == pytest.approx(lines_s[first], abs=0.02)
    assert heard.bar_s * bars == pytest.approx(lines_s[first + bars] - lines_s[first], abs=0.025)
    assert heard.beats_per_bar == meter
    [grid] = loop.state.grids
    assert grid.beats_per_bar == meter
    assert grid.at(loop.period_s) - grid.at(0.0) == pytest.approx(bars * meter)
    assert loop.period_s == pytest.approx(heard.bar_s * bars, abs=0.5 / FPS)
    kicks_s = LEAD_FRAMES / FPS + lines_s[first : first + bars] - heard.start_s
    windows = [loop.samples[round((at_s - 0.01) * SAMPLE_RATE) :][: SAMPLE_RATE // 20] for at_s in kicks_s]
    assert all(np.abs(window).max() > 0.6 for window in windows)


def test_a_sound_that_ends_with_its_last_bar_is_taken_from_its_first() -> None:
    """Four bars that the ear needs two of to find."""
    sound, _ = music(120, 120, 12, 4)
    heard = heard_bars(sound[round(0.3 * SAMPLE_RATE) :][: 8 * SAMPLE_RATE], 4)
    assert heard is not None
    assert (heard.start_s, heard.bar_s) == (pytest.approx(0, abs=0.02), pytest.approx(2, abs=0.01))
