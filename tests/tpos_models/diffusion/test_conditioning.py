"""What sound and prompts come to: loudness on its scale, attention, and the arc from one prompt to the next."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tpos_models.contracts import AudioEmbedding
from tpos_models.diffusion.conditioning import crossfade, magnitude

EVEN = (0.2, 0.2, 0.2, 0.2, 0.2)


def heard(loudness_db: float, beta: tuple[float, ...] = EVEN) -> AudioEmbedding:
    return AudioEmbedding(torch.zeros(1, 1), torch.zeros(1), np.array(beta, np.float32), loudness_db, 0.0)


@pytest.mark.parametrize(
    ("loudness_db", "expected"),
    [(-90, 0.0), (-50, 0.0), (-48, 0.0), (-39, 0.25), (-30, 0.5), (-21, 0.75), (-12, 1.0), (0, 1.0)],
)
def test_sound_steers_from_minus_48_to_minus_12_decibels(loudness_db, expected):
    assert magnitude(heard(loudness_db)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [(0.0, 0.0), (0.05, 0.25), (0.1, 0.5), (0.2, 1.0), (0.6, 1.0)],  # an even share is 0.2; more counts no more
)
def test_a_sound_that_has_ended_loses_its_say_with_the_attention_to_now(newest, expected):
    rest = (1 - newest) / 4
    assert magnitude(heard(-12, (rest, rest, rest, rest, newest))) == pytest.approx(expected, abs=1e-6)
    assert magnitude(heard(-30, (rest, rest, rest, rest, newest))) == pytest.approx(expected / 2, abs=1e-6)


def test_a_crossfade_turns_the_direction_and_fades_the_length():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    for x, degrees, length in ((0.5, 45.0, 3.0), (1 / 3, 30.0, 8 / 3), (0.9, 81.0, 3.8)):
        angle = np.deg2rad(degrees)
        expected = torch.tensor([[length * np.cos(angle), length * np.sin(angle)]], dtype=torch.float32)
        torch.testing.assert_close(crossfade(a, b, x, spherical=True), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(crossfade(a, b, 0.25, spherical=False), torch.tensor([[1.5, 1.0]]))


def test_parallel_and_empty_tokens_fade_in_a_straight_line():
    a, b = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(crossfade(a, b, 0.5, spherical=True), torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
