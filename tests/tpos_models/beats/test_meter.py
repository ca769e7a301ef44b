"""Bars counted from beats that are downbeats with known probabilities."""

from __future__ import annotations

import pytest

from tpos_models.beats.meter import BarFilter


def count(downbeats: list[float]) -> list[tuple[int, int]]:
    """(bar_beat, beats_per_bar) as announced at each beat, before its own downbeat is heard."""
    bars, said = BarFilter(), []
    for downbeat in downbeats:
        bars.next()
        said.append((bars.bar_beat, bars.beats_per_bar))
        bars.weigh(0.8, downbeat)
    return said


@pytest.mark.parametrize("meter", [3, 4])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_bars_of_three_and_four(meter: int, first: int) -> None:
    said = count([0.7 if beat % meter == first else 0.1 for beat in range(40)])
    assert said[20:] == [((beat - first) % meter, meter) for beat in range(20, 40)]


def test_one_odd_beat_does_not_move_the_bar() -> None:
    downbeats = [0.7 if beat % 4 == 0 else 0.1 for beat in range(60)]
    downbeats[32], downbeats[34] = 0.1, 0.7
    assert count(downbeats)[20:] == [(beat % 4, 4) for beat in range(20, 60)]


def test_a_bar_that_begins_elsewhere_for_good_is_followed() -> None:
    said = count([0.7 if beat % 4 == (0 if beat < 30 else 2) else 0.1 for beat in range(60)])
    assert said[16:30] == [(beat % 4, 4) for beat in range(16, 30)]
    assert said[45:] == [((beat - 2) % 4, 4) for beat in range(45, 60)]


def test_beats_that_nobody_hears_are_counted_on() -> None:
    bars = BarFilter()
    for beat in range(24):
        bars.next()
        bars.weigh(0.8, 0.7 if beat % 4 == 0 else 0.1)
    for beat in range(24, 56):
        bars.next()
        bars.weigh(0.01, 0.002)
        assert bars.bar_beat == beat % 4


def test_bars_are_counted_from_the_beginning_until_it_is_clear_that_they_begin_elsewhere() -> None:
    unclear, clear = BarFilter(), BarFilter()
    for bars, downbeat in ((unclear, 0.13), (clear, 0.7)):
        bars.begin(6)
        for beat in range(7, 60):
            bars.next()
            assert bars is clear or bars.bar_beat == beat % 4
            bars.weigh(0.8, downbeat if beat % 4 == 2 else 0.1)
    assert clear.bar_beat == (59 - 2) % 4
