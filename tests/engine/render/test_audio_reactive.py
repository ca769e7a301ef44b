"""The easing of the reactive layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_scenes import LOUD

from engine.core.messages import SILENCE, ShaderAmounts, SoundState
from engine.render.audio_reactive import AudioReactiveLayer, Ease, colour_matrix

FULL = ShaderAmounts(1, 1, 1, 1, 1, 1)


@pytest.mark.parametrize("rate_hz", [20, 60, 240])
def test_easing_is_the_same_at_any_frame_rate(rate_hz):
    ease = Ease(0.05, 0.4, value=1.0)
    for _ in range(rate_hz):
        ease.step(0.0, 1 / rate_hz)
    assert ease.value == pytest.approx(np.exp(-1 / 0.4), rel=1e-6)


def test_a_hit_is_seen_at_the_first_redraw_and_decays():
    reaction = AudioReactiveLayer()
    hit = reaction.step(replace(SILENCE, onset=1.0, hit=True), FULL, 1 / 60).zoom
    assert hit > 1.0 + 0.7 * 0.14
    for _ in range(60):
        later = reaction.step(SILENCE, FULL, 1 / 60).zoom
    assert 1.0 <= later < 1.001


def test_all_amounts_zero_is_the_neutral_look():
    look = AudioReactiveLayer().step(LOUD, ShaderAmounts(0, 0, 0, 0, 0, 0), 0.1)
    assert (look.zoom, look.warp, look.glow, look.grain) == (1.0, 0.0, 0.0, 0.0)
    assert np.allclose(look.colour, np.eye(3), atol=1e-7)


def test_the_beat_pulses_only_while_the_tempo_is_known():
    amounts = ShaderAmounts(0, 0, 0, 0, 0, 1)
    known = replace(SILENCE, bpm=120.0, tempo_confidence=1.0, beat_phase=0.0, state=SoundState.OK)
    assert AudioReactiveLayer().step(known, amounts, 0.1).zoom > 1.05
    assert AudioReactiveLayer().step(replace(known, tempo_confidence=0.0), amounts, 0.1).zoom == 1.0
    assert AudioReactiveLayer().step(replace(known, beat_phase=0.6), amounts, 0.1).zoom == 1.0


@pytest.mark.parametrize("state", [SoundState.SILENCE, SoundState.LOST])
def test_no_beat_pulses_where_nothing_is_heard(state):
    """The tempo is remembered through a break; the picture rests."""
    remembered = replace(SILENCE, bpm=120.0, tempo_confidence=1.0, beat_phase=0.0, state=state)
    assert AudioReactiveLayer().step(remembered, ShaderAmounts(0, 0, 0, 0, 0, 1), 0.1).zoom == 1.0


def test_colour_push_keeps_grey_grey():
    matrix = colour_matrix(0.5, 1.6)
    assert np.allclose(matrix @ np.full(3, 0.4), 0.4, atol=1e-6)
    assert np.allclose(colour_matrix(0.0, 1.0), np.eye(3), atol=1e-7)
