"""Frames that are numbers for whoever draws, instead of pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.core.clock import VirtualClock
from engine.core.messages import Prompt, ShowState, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import choose_plan
from tpos_models.pocket.model import as_field, load
from tpos_models.pocket.synth.sounds import synthesise

BEACH = ShowState(prompts=(Prompt("a beach"),), motion=0.0, slew_s=0.0)


def test_where_others_draw_a_frame_is_numbers_and_no_pixels():
    """Its numbers are steered by the sound as pixels are; at amount 0 they are the plain prompt's, bit for bit."""
    field, clock = as_field(load(), (96, 64)), VirtualClock()
    stage = FramePipeline(field, clock, choose_plan(field), pixels=False)
    plain = stage.frame(BEACH).field
    stage.hear(SoundWindow(synthesise("fire", 9.0, 11), 9 * SAMPLE_RATE, 9.0), BEACH)
    steered, without = (stage.frame(replace(BEACH, amount=amount)) for amount in (1.0, 0.0))
    assert steered.image.shape == (0, 0, 4)
    assert plain is not None
    assert steered.field is not None
    assert without.field is not None
    assert steered.field.size == (96, 64)
    assert np.array_equal(without.field.prompt, plain.prompt)
    assert np.abs(steered.field.prompt - plain.prompt).max() > 0.1
    assert np.array_equal(steered.field.z, plain.z)
    assert not steered.field.z.flags.writeable
    whole = FramePipeline(field, clock, choose_plan(field)).frame(BEACH)
    assert whole.field is None
    assert whole.image.shape == (64, 96, 4)
