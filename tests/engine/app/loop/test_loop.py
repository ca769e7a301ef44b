"""Loops: whole bars in whole frames, a camera that comes home, and a last picture that leads to the first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.app.loop.loop import LEAD_FRAMES, crossfaded, cut_loop, looped
from engine.app.offline import OfflineShow
from engine.audio import SAMPLE_RATE
from engine.core.messages import Prompt, ShaderAmounts, ShowState
from engine.outputs.screens import open_headless
from tpos_models.errors import InputError
from tpos_models.pocket.model import load

FPS = 12.0


def kicks(bpm: float, seconds: float, from_s: float = 0.0) -> np.ndarray:
    """A kick on every beat, the first of a bar louder, float32 (n, 1)."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    t = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * 60 * t) * np.exp(-t * 20)
    for beat, at_s in enumerate(np.arange(from_s, seconds - 0.25, 60 / bpm)):
        at = round(at_s * SAMPLE_RATE)
        sound[at : at + len(t)] += (0.9 if beat % 4 == 0 else 0.6) * kick
    return sound[:, None]


def test_bars_take_a_whole_number_of_frames_and_begin_just_before_the_line():
    loop = cut_loop(kicks(124, 10), ShowState(tempo_bpm=124), 2, FPS)
    assert loop.frames == 46  # 8 beats of 60 / 124 s are 46.45 frames of a twelfth
    assert len(loop.samples) == round(46 / 12 * SAMPLE_RATE)
    [grid] = loop.state.grids
    assert grid.at(loop.period_s) - grid.at(0.0) == pytest.approx(8)
    assert grid.at(LEAD_FRAMES / FPS) == pytest.approx(0)
    loudest = np.abs(loop.samples[:, 0]).argmax() / SAMPLE_RATE
    assert 0 <= loudest - LEAD_FRAMES / FPS < 0.03


def test_the_tempo_that_is_heard_is_taken():
    loop = cut_loop(kicks(120, 16, from_s=0.3), ShowState(), 4, FPS)
    assert abs(loop.frames - 96) <= 1
    onset = np.flatnonzero(np.abs(loop.samples[:, 0]) > 0.3)[0] / SAMPLE_RATE
    assert abs(onset - LEAD_FRAMES / FPS) < 0.06


def test_a_sound_without_a_beat_asks_for_a_tempo():
    with pytest.raises(InputError, match="--tempo-bpm"):
        cut_loop(np.zeros((SAMPLE_RATE, 1), np.float32), ShowState(), 2, FPS)
    with pytest.raises(InputError, match="--loop-bars 0"):
        cut_loop(kicks(120, 3), ShowState(tempo_bpm=120), 0, FPS)


def test_a_short_sound_goes_round():
    sound = kicks(120, 2)
    loop = cut_loop(sound, ShowState(tempo_bpm=120), 2, FPS)
    lead = round(LEAD_FRAMES / FPS * SAMPLE_RATE)
    assert np.array_equal(loop.samples[lead : lead + len(sound)], sound)
    assert np.array_equal(loop.samples[lead + len(sound) :], sound[:-lead])


@pytest.mark.parametrize("fly", [0.9, -0.3, 0.02])
def test_the_camera_comes_home(fly: float):
    state = ShowState(tempo_bpm=120, motion=0.5, shader=ShaderAmounts(fly=fly, turn=0.4))
    shader = cut_loop(kicks(120, 20), state, 8, FPS).state.shader
    octaves, turns = shader.fly * 0.5 * 32 / 4, shader.turn * 0.5 * 32 / 24  # an octave in four beats, a turn in 24
    assert octaves == pytest.approx(round(octaves))
    assert octaves * fly > 0
    assert turns == pytest.approx(round(turns))


def test_the_last_picture_leads_to_the_first():
    state = ShowState(prompts=(Prompt("clouds"),), motion=1.0, tempo_bpm=150)
    loop = cut_loop(kicks(150, 4), state, 1, FPS)
    show = OfflineShow(load())
    with open_headless((96, 96)) as screen:
        pictures = [picture.astype(float) for picture in looped(show, loop, screen)]
    assert len(pictures) == loop.frames == 19
    apart = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    assert np.abs(pictures[-1] - pictures[0]).mean() <= 1.2 * np.mean(apart)


def test_a_crossfade_is_even():
    dark, bright = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    assert crossfaded(dark, bright, 0.25).flat[0] == 50
    assert np.array_equal(crossfaded(dark, bright, 1.0), bright)
