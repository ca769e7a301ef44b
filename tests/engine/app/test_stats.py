"""What a show says of how it went."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from engine.app.stats import LiveSummary, Tally
from engine.audio.capture import AudioCounters
from engine.core.messages import Frame, Heard
from engine.render.pacing import RedrawTimes

FRAME = Frame(1, np.zeros((2, 2, 4), np.uint8), 0.0, 0.0, 0, "", (), 0, 1)


def test_a_still_picture_is_not_a_slow_model():
    tally = Tally()
    for k in range(20):
        tally.frame(FRAME, 0.1 * k)
    assert tally.fps == pytest.approx(10)
    tally.frame(replace(FRAME, still_until_s=600.0), 600.1)
    for k in range(1, 20):
        tally.frame(FRAME, 600.1 + 0.1 * k)
    assert tally.fps == pytest.approx(10)


def test_one_frame_is_no_rate():
    tally = Tally()
    assert tally.fps == 0.0
    tally.frame(FRAME, 5.0)
    assert tally.fps == 0.0


def test_what_was_heard_counts_by_how_long_whether_or_not_frames_came():
    tally = Tally()
    tally.hear((Heard("fire", 1.0),))
    tally.frame(FRAME, 0.0)
    for _ in range(3):
        tally.hear((Heard("rain", 0.8), Heard("wind", 0.4)))
    tally.hear(())
    assert tally.heard == (("rain", pytest.approx(0.6)), ("wind", pytest.approx(0.3)))


def test_a_change_is_seen_after_the_delay_and_half_of_the_wait_for_a_frame_as_of_late():
    tally = Tally()
    assert tally.lookahead_s == 0.0
    for k in range(1, 101):
        tally.frame(replace(FRAME, audio_time_s=0.1 * k - (0.5 if k < 80 else 0.2)), 0.1 * k)
    assert tally.lookahead_s == pytest.approx(0.2 + 0.05)


def test_what_was_not_measured_is_not_told():
    """A show that ended before its first frame was drawn, and one whose model was never ready."""
    zeros: dict[str, Any] = {one.name: 0 for one in fields(AudioCounters)}
    never = LiveSummary(
        seconds=1.0, frames=2, fps=0.0, still_s=0.0, evaluations=2, delay_ms=(0.0, 0.0), heard=(),
        redraws=RedrawTimes().stats(), audio=AudioCounters(**zeros), recordings=(), snapshots=(), restarts=0,
        troubles=(),
        first_frame_s=0.0, precision="fp32", backend="onnx", picture_delay_ms=(0.0, 0.0),
    )  # fmt: skip
    text = "\n".join(never.lines())
    assert "no frame was shown; model on onnx in fp32" in text
    assert "0 ms" not in text
    assert "first frame" not in text
    assert "no model was ready" in "\n".join(replace(never, precision="").lines())
    shown = "\n".join(replace(never, first_frame_s=4.2, delay_ms=(100.0, 150.0)).lines())
    assert "first frame 4.2 s after the start" in shown
    assert "sound to picture 100 ms (95 % within 150 ms); 0 overruns" in shown
