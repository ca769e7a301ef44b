"""The automatic gain as its docstring promises it, on programmes whose loudness is known in decibels."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio import HOP_S
from engine.audio.gain import RANGE_DB, TARGET_DB, AutoGain, RoomLevel
from tpos_models.audio.loudness import SILENCE_DB

HOPS_PER_S = 44_100 / 512


def programme(*parts: tuple[float, float]) -> np.ndarray:
    """Mean squares, hop by hop, of (loudness in dB, seconds) one after the other."""
    return np.concatenate([np.full(round(s * HOPS_PER_S), 10 ** (level_db / 10)) for level_db, s in parts])


def gains_db(powers: np.ndarray, enabled: bool = True, trim_db: float = 0.0) -> np.ndarray:
    """What the gain was after each hop, from the factor it gave."""
    gain = AutoGain()
    return np.array([20 * np.log10(gain.update(float(power), enabled, trim_db)) for power in powers])


def slopes_db_per_s(gains: np.ndarray, over_s: float = 0.25) -> np.ndarray:
    hops = round(over_s * HOPS_PER_S)
    return (gains[hops:] - gains[:-hops]) / (hops * HOP_S)


@pytest.mark.parametrize("level_db", [-38.0, -26.0, -16.0, -6.0])
def test_a_steady_programme_is_brought_to_16_db_under_full_scale(level_db: float) -> None:
    gains = gains_db(programme((level_db, 20)))
    assert level_db + gains[-1] == pytest.approx(-16, abs=0.1)
    assert TARGET_DB == -16


def test_it_comes_down_at_8_db_a_second_and_up_at_2() -> None:
    gains = gains_db(programme((-36, 6), (-8, 20), (-36, 40)))
    louder, softer = round(6 * HOPS_PER_S), round(26 * HOPS_PER_S)
    assert slopes_db_per_s(gains[louder:softer]).min() == pytest.approx(-8, abs=0.2)
    assert slopes_db_per_s(gains[softer:]).max() == pytest.approx(2, abs=0.1)


def test_the_first_second_of_sound_is_reached_at_once_wherever_it_comes() -> None:
    gains = gains_db(programme((-90, 3), (-36, 1.5)))
    assert gains[round(2.9 * HOPS_PER_S)] == 0
    assert gains[-1] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("floor_db", [-58.0, -53.0])
def test_a_noise_floor_teaches_nothing(floor_db: float) -> None:
    assert np.abs(gains_db(programme((floor_db, 30)))).max() == 0
    gains = gains_db(programme((-30, 10), (floor_db, 60), (-30, 0.2)))
    assert gains[-1] == pytest.approx(14, abs=0.2)  # what it was when the music stopped, a minute before


def test_between_50_and_60_db_under_full_scale_the_gain_fades_out() -> None:
    for pause_db, share in ((-49.9, 1.0), (-52.5, 0.75), (-55.0, 0.5), (-57.5, 0.25), (-60.0, 0.0), (-75.0, 0.0)):
        gains = gains_db(programme((-30, 10), (pause_db, 1.5)))
        assert gains[-1] == pytest.approx(14 * share, abs=0.3), pause_db
    assert SILENCE_DB == -60


def test_the_louder_moments_set_the_gain_not_the_pauses_between() -> None:
    gains = gains_db(programme(*[(-22, 3), (-40, 7)] * 6))
    last_rounds = gains[-round(20 * HOPS_PER_S) :]
    assert last_rounds.max() < 8  # the loud third stays near its 6 dB; the quiet two thirds would ask for 24
    assert last_rounds.min() > 5


def room_db(minutes: float, level_db: float) -> float:
    room = RoomLevel()
    for _ in range(round(60 * minutes * HOPS_PER_S)):
        room.update(level_db)
    return room.level_db


def test_a_room_is_known_after_minutes_and_a_build_up_is_not_the_room() -> None:
    assert room_db(0.15, -38.0) == pytest.approx(-14.0, abs=2.5)  # a short film at another level
    assert room_db(10.0, -38.0) == pytest.approx(-38.0, abs=1.0)
    assert room_db(10.0, -49.9) == pytest.approx(-49.9, abs=1.5)
    assert room_db(10.0, -50.0) == -14.0, "a noise floor is no programme"


def test_it_stays_within_its_range() -> None:
    assert gains_db(programme((-49, 60)))[-1] == pytest.approx(24, abs=1e-6)
    assert gains_db(programme((0, 60)))[-1] == pytest.approx(-12, abs=1e-6)
    assert RANGE_DB == (-12, 24)


def test_what_is_switched_off_leaves_the_trim() -> None:
    assert gains_db(programme((-40, 10)), enabled=False, trim_db=-4.5) == pytest.approx(-4.5)
    assert gains_db(programme((-26, 20)), trim_db=3.0)[-1] == pytest.approx(13, abs=0.1)
