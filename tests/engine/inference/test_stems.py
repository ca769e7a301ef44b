"""What rules hear in stems, with the built-in model: each its own stem, as loud as that is; the main mix stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.mix import Mix
from engine.core.clock import VirtualClock
from engine.core.course import Follow
from engine.core.messages import GuidanceTier, Rule, ShowState
from engine.core.stems import Stem
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.hearing import HeardSound, Listener
from engine.inference.loading import open_model
from engine.inference.plan import choose_plan
from engine.inference.slew import SoundSlew
from tpos_models.contracts import Model
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.precision import Precision

DRUMS, SKY = Stem("drums", (1,)), Stem("sky", (2,))
FIRE = Rule("fire", "tall flames", stem="drums")
BIRDS = Rule("birds singing", "a sunny day", stem="sky")
STATE = ShowState(stems=(DRUMS, SKY), rules=(FIRE, BIRDS), agc=False)
SECONDS = 6


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model("pocket", precision=Precision.FP32)


@pytest.fixture(scope="module")
def fire() -> np.ndarray:
    return synthesise("fire", SECONDS, 1)


@pytest.fixture(scope="module")
def birds() -> np.ndarray:
    return synthesise("sunny", SECONDS, 2)


def played(model: Model, state: ShowState, *channels: np.ndarray) -> tuple[Mix, HeardSound]:
    """What is heard at the end of a sound, in a show that listened all along."""
    mix, listener = Mix(Analyser(), SAMPLE_RATE, len(channels)), Listener(model)
    sound = np.stack(channels, axis=1)
    for start in range(0, len(sound), 8820):
        block = sound[start : start + 8820]
        mix.process(block.mean(1), block, (start + len(block)) / SAMPLE_RATE, state)
        listener.listen(mix, state.rules)
    assert listener.heard is not None
    return mix, listener.heard


def weights(heard: HeardSound) -> list[float]:
    """Of each rule."""
    return [float(term.weight) for term in heard.terms()[1:]]


def test_a_rule_hears_its_own_stem_and_no_other(model: Model, fire: np.ndarray, birds: np.ndarray) -> None:
    _, heard = played(model, STATE, fire, birds)
    assert min(weights(heard)) > 0.3
    _, crossed = played(model, STATE, birds, fire)
    assert max(weights(crossed)) < 0.02
    rules = (replace(BIRDS, stem=""), BIRDS, FIRE, replace(BIRDS, stem="drums"))
    _, mixed = played(model, replace(STATE, rules=rules), fire, birds)
    main, sky, drums, none = weights(mixed)
    assert main < sky / 2, "in the main mix fire crackles over them"
    assert drums == pytest.approx(weights(heard)[0])
    assert none < 0.02 < sky
    assert sky == pytest.approx(weights(heard)[1]), "it shares its weight with rules of its own stem alone"


def test_a_stem_is_heard_as_a_show_of_its_own_would_hear_it(model: Model, fire: np.ndarray, birds: np.ndarray) -> None:
    _, heard = played(model, STATE, fire, birds)
    _, alone = played(model, ShowState(agc=False), birds)
    own = dict(heard.stems)["sky"]
    np.testing.assert_allclose(own.embedding.joint, alone.embedding.joint, atol=1e-5)
    assert own.embedding.loudness_db == pytest.approx(alone.embedding.loudness_db, abs=1e-3)
    assert own.room_db == alone.room_db


def test_the_main_mix_is_heard_bit_for_bit_as_without_stems(model: Model, fire: np.ndarray, birds: np.ndarray) -> None:
    _, without = played(model, ShowState(agc=False), fire, birds)
    _, beside = played(model, STATE, fire, birds)
    assert np.array_equal(without.embedding.tokens, beside.embedding.tokens)
    assert without.phrases == beside.phrases[: len(without.phrases)]
    assert [one.phrase for one in beside.phrases[len(without.phrases) :]] == [
        "drums: crackling fire", "sky: birds singing",
    ]  # fmt: skip
    assert float(without.terms()[0].weight) == float(beside.terms()[0].weight)


def test_a_quieter_stem_asks_for_less_whatever_is_loud_beside_it(
    model: Model, fire: np.ndarray, birds: np.ndarray
) -> None:
    _, loud = played(model, STATE, fire, birds)
    _, quiet = played(model, STATE, fire / 8, birds)
    assert weights(quiet)[0] < 0.6 * weights(loud)[0]
    assert weights(quiet)[1] == weights(loud)[1]


def test_a_stem_whose_level_is_followed_costs_the_encoder_nothing(
    model: Model, fire: np.ndarray, birds: np.ndarray
) -> None:
    moved = Rule("", "flames", 0.5, Follow.LEVEL, "drums")
    mix, heard = played(model, replace(STATE, rules=(moved, BIRDS)), fire, birds)
    assert [name for name, _ in heard.stems] == ["sky"]
    *_, flames, _ = SoundSlew()(heard, mix.latest(), SECONDS, 0.0)
    level = dict(mix.latest().stems)["drums"].level
    assert 0.3 < level < 1.0
    assert level != mix.latest().level
    assert float(flames.weight) == 0.5 * level


def test_new_rules_wait_for_their_stem_until_it_is_heard(model: Model, fire: np.ndarray, birds: np.ndarray) -> None:
    mix, _ = played(model, STATE, fire, birds)
    listener = Listener(model)
    listener.listen(mix)
    assert listener.listen(mix, (FIRE,))
    assert listener.heard is not None
    assert weights(listener.heard) == [0.0]
    listener.hear(mix.window(listener.window_s), (FIRE,))
    assert weights(listener.heard)[0] > 0.3


@pytest.mark.parametrize(("tier", "evaluations"), [(GuidanceTier.REFERENCE, 3), (GuidanceTier.SEMANTIC, 2)])
def test_stems_cost_no_evaluations(
    model: Model, fire: np.ndarray, birds: np.ndarray, tier: GuidanceTier, evaluations: int
) -> None:
    mix, heard = played(model, STATE, fire, birds)
    pipeline = FramePipeline(model, VirtualClock(), choose_plan(model))
    pipeline.follow(heard)
    state = replace(STATE, guidance=tier, slew_s=0.0)
    frame = pipeline.frame(state, mix.latest())
    assert frame.evaluations == evaluations
    pipeline.follow(replace(heard, stems=()))
    assert not np.array_equal(pipeline.frame(state, mix.latest()).image, frame.image), "they steered it"
