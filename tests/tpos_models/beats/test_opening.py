"""What a beginning says of beats, counted by hand."""

from __future__ import annotations

import pytest

from tpos_models.beats.bands import HOP_S
from tpos_models.beats.opening import Opening

QUIET, LOUD = 1e-9, 1.0
PERIOD = 40.0


def begun(hops: int, before: int = 0) -> Opening:
    """Some silence, then so many hops of sound, the first of them the beginning."""
    opening = Opening()
    for power in [QUIET] * before + [LOUD] * hops:
        opening.push(power)
    return opening


@pytest.mark.parametrize(("phase", "placed"), [(0.5, 0.5), (0.45, 0.45), (0.05, 0.55), (0.95, 0.45)])
def test_a_beat_falls_where_the_sound_began(phase: float, placed: float) -> None:
    """120 hops and a half are three beats; 20 more: half a beat is gone."""
    found, beats = begun(141, before=200).place(phase, PERIOD)
    assert found == pytest.approx(placed)
    assert beats == 3


@pytest.mark.parametrize("phase", [0.25, 0.75])
def test_where_no_beat_is_near_a_beginning_says_nothing(phase: float) -> None:
    opening = begun(141)
    assert opening.place(phase, PERIOD) == (phase, None)
    assert opening.place(0.0, PERIOD) == (0.0, None)


def test_a_sound_begins_with_its_attack_and_not_again_within_a_second() -> None:
    opening = Opening()
    for power in [QUIET] * 100 + [1e-5] * 10 + [LOUD] * 41 + [QUIET] * round(0.5 / HOP_S) + [LOUD]:
        opening.push(power)
    heard = 41 + round(0.5 / HOP_S)
    found, beats = opening.place(heard / PERIOD % 1, PERIOD)
    assert (found, beats) == (pytest.approx(heard / PERIOD % 1), heard // PERIOD)
    for power in [QUIET] * round(1.1 / HOP_S) + [LOUD] * 11:
        opening.push(power)
    assert opening.place(0.75, PERIOD) == (pytest.approx(0.25), 0)


def test_what_is_as_likely_beside_moves_nothing_and_what_is_much_likelier_does_when_it_lasts() -> None:
    opening = begun(141)
    for _ in range(100):
        opening.weigh(1.0)
    opening.weigh(10.0)
    assert opening.believed
    for _ in range(16):
        opening.weigh(4.0)
    assert not opening.believed
