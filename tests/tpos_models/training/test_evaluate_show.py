"""Sound and picture together, on the shipped audio encoder; the world paints, so that a miss is the encoder's."""

from dataclasses import replace

import numpy as np
import pytest

from tpos_models.contracts import AudioEmbedding, Model
from tpos_models.pocket.model import load
from tpos_models.pocket.world.world import World
from tpos_models.training.evaluate_show import Takeover, louder_moves_further, painted_by, sounds_shown, takeovers

SEED = 20_000
SOME = ("fire", "rain", "waves", "night", "splash")


@pytest.fixture(scope="module")
def world() -> World:
    return World(64)


@pytest.fixture(scope="module")
def painted(world: World) -> Model:
    return painted_by(world, load())


def test_an_unseen_sound_shows_its_condition(painted: Model, world: World) -> None:
    report = sounds_shown(painted, world, [SEED], SOME)
    assert report["sound_shown"] >= 0.85, report


def test_a_deaf_model_shows_none(painted: Model, world: World) -> None:
    deaf = replace(painted, audio=Deaf(painted))
    assert sounds_shown(deaf, world, [SEED], SOME)["sound_shown"] < 0.5


def test_the_louder_the_further_from_the_plain_picture(painted: Model) -> None:
    ranks = louder_moves_further(painted, [SEED], (-30, -20, -10, 0), SOME)
    assert min(ranks.values()) >= 0.9, ranks


@pytest.fixture(scope="module")
def taken_over(painted: Model, world: World) -> list[Takeover]:
    return takeovers(painted, world, [SEED], SOME)


@pytest.mark.parametrize("name", SOME)
def test_a_new_sound_takes_over_the_picture_within_a_second(taken_over: list[Takeover], name: str) -> None:
    assert next(one.delay_s for one in taken_over if one.name == name) <= 1.0


def test_the_picture_stays_with_the_new_sound(taken_over: list[Takeover]) -> None:
    assert np.mean([one.lost for one in taken_over]) <= 0.1, taken_over


class Deaf:
    """Hears silence, whatever is played."""

    def __init__(self, model: Model) -> None:
        self.window, self.phrases, self._audio = model.audio.window, model.audio.phrases, model.audio
        self.score, self.another = model.audio.score, lambda: self

    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        return self._audio.hear(np.zeros(samples.size, np.float32), end_index, time_s)
