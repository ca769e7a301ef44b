import numpy as np
import pytest

from tpos_models.errors import InputError
from tpos_models.pocket.synth.sounds import NAMES, STRENGTH_RANGE_DB, synthesise

SOUNDING = [name for name in NAMES if name != "silence"]


@pytest.mark.parametrize("name", SOUNDING)
def test_a_sound_is_mono_bounded_deterministic_and_differs_by_seed(name: str) -> None:
    first, again, other = (synthesise(name, 1.3, seed) for seed in (3, 3, 4))
    assert first.dtype == np.float32
    assert first.shape == (round(1.3 * 44_100),)
    assert np.isfinite(first).all()
    assert 0.01 < np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, again)
    correlation = np.corrcoef(first, other)[0, 1]
    assert abs(correlation) < 0.5


@pytest.mark.parametrize("name", ["fire", "rain", "night", "beat"])
def test_strength_is_louder(name: str) -> None:
    weak, strong = (synthesise(name, 2, 0, strength=s) for s in (0.0, 1.0))
    difference_db = 10 * np.log10(np.mean(strong**2) / np.mean(weak**2))
    assert 0.5 * STRENGTH_RANGE_DB < difference_db < 1.5 * STRENGTH_RANGE_DB


def test_other_rates_very_short_lengths_and_silence() -> None:
    assert synthesise("sunny", 0.5, 0, sample_rate=16_000).shape == (8000,)
    for name in SOUNDING:
        assert np.isfinite(synthesise(name, 0.05, 1)).all()
    assert not synthesise("silence", 1, 0).any()
    assert synthesise("fire", 0, 0).size == 0


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"no sound named 'drizzle'.*rain"):
        synthesise("drizzle", 1, 0)
