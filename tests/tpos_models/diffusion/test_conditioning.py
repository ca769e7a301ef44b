"""What sound and prompts come to: loudness on its scale, attention, and the arc from one prompt to the next."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tpos_models.contracts import AudioEmbedding
from tpos_models.diffusion.conditioning import crossfade, magnitude


def heard(loudness_db: float, attention: float = 1.0) -> AudioEmbedding:
    return AudioEmbedding(torch.zeros(1, 1), torch.zeros(1), np.full(5, 0.2, np.float32), loudness_db, 0.0, attention)


@pytest.mark.parametrize("room_db", [-14.0, -20.0, -32.0])
def test_a_sound_steers_by_the_root_of_its_amplitude_beside_what_the_room_is_used_to(room_db):
    for step_db, expected in ((0, 1.0), (-12, 0.5), (-6, 0.5**0.5), (3, 2**0.25), (30, 1.25)):
        assert magnitude(heard(min(0.0, room_db + step_db)), room_db) == pytest.approx(
            expected if room_db + step_db <= 0 else 1.25, abs=1e-6
        )


@pytest.mark.parametrize(("loudness_db", "share"), [(-50, 1.0), (-52.5, 0.75), (-57.5, 0.25), (-60, 0.0), (-90, 0.0)])
def test_towards_silence_it_fades_out(loudness_db, share):
    assert magnitude(heard(loudness_db), -50.0) == pytest.approx(share * 2 ** ((loudness_db + 50) / 12), abs=1e-6)


def test_a_sound_that_has_ended_loses_its_say_with_the_attention_to_now():
    for attention in (0.0, 0.25, 0.66, 0.99, 1.0):
        assert magnitude(heard(-14, attention)) == pytest.approx(attention)


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
