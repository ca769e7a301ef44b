"""A new sound takes over as a first-order lag does: 1 - exp(-t / tau) of the way after t."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.core.beat_grid import Quantise
from engine.core.course import Follow
from engine.core.messages import SILENCE, Rule, SoundState
from engine.inference.hearing import HeardSound
from engine.inference.slew import SoundSlew
from tpos_models.contracts import AudioEmbedding
from tpos_models.diffusion.conditioning import AudioTerm, Conditions, blend

FLOOD, ASH = Rule("rain", "a flood"), Rule("fire", "ash")


def heard(degrees: float, loudness_db: float = -14.0, **rules: float) -> HeardSound:
    """Tokens on the unit circle; -14 dB are of weight 1, 12 dB less of half of it. `rules` by the weight of each."""
    angle = math.radians(degrees)
    tokens = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    embedding = AudioEmbedding(tokens, torch.ones(1), np.full(5, 0.2, np.float32), loudness_db, 0.0)
    named = {"flood": FLOOD, "ash": ASH}
    shows = tuple(AudioTerm(torch.zeros(1, 2, dtype=torch.float64), weight) for weight in rules.values())
    return HeardSound(embedding, rules=tuple(named[name] for name in rules), shows=shows)


def direction(terms: tuple[AudioTerm, ...]) -> np.ndarray:
    """What the sound adds to a prompt whose tokens, like those of "", are 0."""
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    return blend(Conditions(nothing, nothing, nothing, terms[:2])).numpy()[0]


def weights(terms: tuple[AudioTerm, ...]) -> list[float]:
    """Of the sound and of each rule."""
    old, new, *rules = [float(term.weight) for term in terms]
    return [old + new, *rules]


def test_what_comes_first_is_there_at_once_and_before_it_there_is_nothing():
    slew = SoundSlew()
    assert slew(None, SILENCE, 0.0, 0.4) == ()
    np.testing.assert_allclose(
        direction(SoundSlew()(heard(30), SILENCE, 0.0, 0.4)), [math.cos(math.pi / 6), 0.5], atol=1e-6
    )


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_loudness_follows_with_the_time_constant_whatever_the_frame_rate(fps):
    slew, quiet = SoundSlew(), heard(0, -26.0)
    slew(heard(0), SILENCE, 0.0, 0.4)
    for frame in range(1, 2 * fps + 1):
        (weight,) = weights(slew(quiet, SILENCE, frame / fps, 0.4))
        assert weight == pytest.approx(0.5 + 0.5 * math.exp(-frame / fps / 0.4), abs=2e-3)


def test_tokens_follow_the_same_curve_however_often_the_encoder_answers():
    said, slew, again = heard(90), SoundSlew(), SoundSlew()
    for one in (slew, again):
        one(heard(0), SILENCE, 0.0, 0.4)
    for frame in range(50):
        at_s, anew = frame * 0.04, heard(90)
        gone = 1 - math.exp(-at_s / 0.4)
        for one, sound in ((slew, said), (again, anew)):
            np.testing.assert_allclose(direction(one(sound, SILENCE, at_s, 0.4)), [1 - gone, gone], atol=1e-6)


def test_no_frame_takes_more_than_a_third_of_a_change_and_two_seconds_are_enough():
    slew, new = SoundSlew(), heard(90)
    before = direction(slew(heard(0), SILENCE, 0.0, 0.4))
    ways = []
    for frame in range(50):
        now = direction(slew(new, SILENCE, 1.0 + frame / 25, 0.4))
        ways.append(float(np.linalg.norm(now - before)))
        before = now
    assert max(ways) < sum(ways) / 3
    np.testing.assert_allclose(before, [0, 1], atol=0.1)


def test_a_rule_follows_by_itself_and_one_that_is_new_begins_at_nothing():
    slew = SoundSlew()
    slew(heard(0, flood=0.8), SILENCE, 0.0, 0.4)
    both = heard(0, flood=0.8, ash=0.6)
    _, flood, ash = weights(slew(both, SILENCE, 0.0, 0.4))
    assert (flood, ash) == (pytest.approx(0.8), 0.0)
    _, flood, ash = weights(slew(both, SILENCE, 0.4, 0.4))
    assert (flood, ash) == (pytest.approx(0.8), pytest.approx(0.6 * (1 - math.exp(-1))))
    twice = replace(both, rules=(FLOOD, FLOOD))
    assert len(slew(twice, SILENCE, 0.5, 0.4)) == 4


def test_what_ended_ends_and_what_begins_after_it_does_not_turn_out_of_it():
    slew = SoundSlew()
    slew(heard(0), SILENCE, 0.0, 0.4)
    for now_s in np.arange(0.1, 4.0, 0.1):
        terms = slew(None, SILENCE, float(now_s), 0.4)
    assert weights(terms) == [0.0], "not nearly: a still show is to be still"
    x, y = direction(slew(heard(90), SILENCE, 4.0, 0.4))
    assert x == pytest.approx(0.0, abs=1e-6)
    assert 0 < y < 0.3


def test_without_a_time_constant_it_cuts():
    slew = SoundSlew()
    slew(heard(0), SILENCE, 0.0, 0.0)
    np.testing.assert_allclose(direction(slew(heard(90, -26.0), SILENCE, 0.04, 0.0)), [0, 0.5], atol=1e-6)


def test_a_rule_that_follows_the_movement_is_there_with_it_and_gone_with_it():
    """Whatever the sound resembles, however loud it is beside the room, and without a lag."""
    nothing = AudioTerm(torch.zeros(1, 2, dtype=torch.float64), 0.0)
    rules = tuple(Rule("", "light", 0.5, follow) for follow in Follow)
    sound = replace(heard(0, -38.0), rules=rules, shows=(nothing,) * len(rules))
    features = replace(
        SILENCE, level=0.1, bands=(0.2, 0.3, 0.4, 0.5), onset=0.6, bpm=120.0, tempo_confidence=0.8, beat_phase=0.25,
        state=SoundState.OK, breakdown=0.7, build=0.8, drop=0.9,
    )  # fmt: skip
    slew = SoundSlew()
    assert weights(slew(sound, SILENCE, 0.0, 0.4))[1:] == [0.0] * 10
    moving = weights(slew(sound, features, 0.01, 0.4))[1:]
    assert moving == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5 * 0.8 * 0.25, 0.35, 0.4, 0.45])
    assert weights(slew(sound, SILENCE, 0.02, 0.4))[1:] == [0.0] * 10


def test_a_rule_that_is_beatless_fades_as_a_beat_is_sure_and_the_sound_itself_as_it_is_literal():
    rules = (replace(FLOOD, beatless=True), ASH)
    sound = replace(heard(0, flood=0.8, ash=0.6), rules=rules)
    beat = replace(SILENCE, bpm=120.0, tempo_confidence=0.75, state=SoundState.OK)
    assert weights(SoundSlew()(sound, SILENCE, 0.0, 0.4)) == pytest.approx([1.0, 0.8, 0.6])
    assert weights(SoundSlew()(sound, beat, 0.0, 0.4)) == pytest.approx([1.0, 0.8 * (0.25 + 0.75 * 0.64), 0.6])
    doubtful = replace(sound, shows=(replace(sound.shows[0], weight=0.2), sound.shows[1]))
    assert weights(SoundSlew()(doubtful, beat, 0.0, 0.4, literal=0.0)) == pytest.approx([0.0, 0.2 * 0.28, 0.6])


@pytest.mark.parametrize(("quantise", "lines"), [("beat", (1.0, 2.0, 3.0)), ("bar", (4.0, 8.0)), ("next drop", (5.0,))])
def test_a_rule_that_is_quantised_changes_on_lines_of_the_music_only(quantise, lines):
    """At 60 BPM a beat is a second; what it follows falls all the time, and a drop comes at 5 s."""
    nothing = AudioTerm(torch.zeros(1, 2, dtype=torch.float64), 0.0)
    rules = tuple(Rule("", "light", follow=Follow.LEVEL, quantise=Quantise(word)) for word in (quantise, "now"))
    sound, slew = replace(heard(0), rules=rules, shows=(nothing,) * 2), SoundSlew()
    changed, before, later_s = [], None, 0.25
    for n in range(900):
        now_s = n / 100
        beat, level = int(now_s), 1 - now_s / 10
        features = replace(SILENCE, level=level, bpm=60.0, beat=beat, beat_phase=now_s - beat, bar=beat // 4,
                           bar_beat=beat % 4, drops=int(now_s >= 5))  # fmt: skip
        _, held, free = weights(slew(sound, features, now_s, 0.4, later_s=later_s))
        assert free == pytest.approx(level)
        if before is not None and held != before:
            changed.append(now_s)
            assert held == pytest.approx(level)
        before = held
    ahead_s = 0.0 if quantise == "next drop" else later_s
    assert tuple(changed[: len(lines)]) == pytest.approx([at_s - ahead_s for at_s in lines], abs=0.011)
    assert slew(sound, replace(SILENCE, level=0.05, drops=1), 9.0, 0.4)[2].weight == pytest.approx(
        held if quantise == "next drop" else 0.05
    ), "without a tempo there are no lines but drops"
