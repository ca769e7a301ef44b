"""When sound is encoded, and how much what was heard steers a frame; the encoder and the text are told what to say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.core.messages import SILENCE, AudioFeatures, Rule, SoundWindow
from engine.inference.hearing import HeardSound, Listener
from tpos_models.contracts import AudioEmbedding, AudioWindow, TextEmbedding
from tpos_models.errors import RunError

WEIGHTS = {"rain": 0.5, "fire": 0.25, "wind": 0.1, "birds": 0.04}
SOUND = torch.full((2, 3), 7.0)


class Text:
    """A phrase's joint vector and tokens hold its weight in the sound, or the length of what is not known."""

    def encode(self, prompts: list[str]) -> TextEmbedding:
        said = torch.tensor([WEIGHTS.get(prompt, float(len(prompt))) for prompt in prompts])
        return TextEmbedding(said[:, None, None].expand(-1, 2, 3), said[:, None])

    def joint(self, prompts: list[str]) -> torch.Tensor:
        return self.encode(prompts).joint


class Encoder:
    """Hears the same in every window: full volume, even attention."""

    window = AudioWindow()
    phrases = tuple(WEIGHTS)

    def __init__(self) -> None:
        self.heard: list[tuple[int, float]] = []

    def hear(self, samples: np.ndarray, end_index: int, time_s: float) -> AudioEmbedding:
        self.heard.append((end_index, time_s))
        return AudioEmbedding(SOUND, torch.ones(1), np.full(5, 0.2, np.float32), -14.0, time_s)

    def score(self, embedding: AudioEmbedding, joint: torch.Tensor) -> np.ndarray:
        return joint[:, 0].numpy()


class Tape:
    """A source that stands where it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def latest(self) -> AudioFeatures:
        return replace(SILENCE, time_s=self.now_s)

    def window(self, seconds: float) -> SoundWindow:
        return SoundWindow(np.zeros(round(seconds * 44_100), np.float32), round(self.now_s * 44_100), self.now_s)


@pytest.fixture
def model() -> Any:
    return SimpleNamespace(text=Text(), audio=Encoder(), device=torch.device("cpu"))


def hear(model: Any, *rules: Rule) -> HeardSound:
    return Listener(model).hear(SoundWindow(np.zeros(8, np.float32), 8, 0.0), rules)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_an_answer_without_numbers_is_an_error_and_what_was_heard_stays(model, monkeypatch, broken):
    listener, tape = Listener(model), Tape()
    listener.listen(tape)
    before, tape.now_s = listener.heard, 1.0
    answer = model.audio.hear
    monkeypatch.setattr(model.audio, "hear", lambda *given: replace(answer(*given), tokens=SOUND * broken))
    with pytest.raises(RunError, match="NaN or infinity"):
        listener.listen(tape)
    assert listener.heard is before


def test_sound_is_encoded_every_fifth_of_a_second(model):
    listener, tape = Listener(model), Tape()
    for now_s in (0.0, 0.05, 0.15, 0.21, 0.3, 0.4, 0.42, 0.6, 1.5, 1.6):
        tape.now_s = now_s
        before = len(model.audio.heard)
        assert listener.listen(tape) is (len(model.audio.heard) > before)
    assert [time_s for _, time_s in model.audio.heard] == [0.0, 0.21, 0.42, 1.5]
    assert model.audio.heard[1][0] == round(0.21 * 44_100)
    assert listener.heard is not None
    assert listener.heard.embedding.time_s == 1.5


def test_the_three_strongest_phrases_are_named_strongest_first(model, monkeypatch):
    assert [heard.phrase for heard in hear(model).phrases] == ["rain", "fire", "wind"]
    assert [heard.weight for heard in hear(model).phrases] == pytest.approx([0.5, 0.25, 0.1])
    monkeypatch.setitem(WEIGHTS, "wind", 0.07)
    assert [heard.phrase for heard in hear(model).phrases] == ["rain", "fire"]
    monkeypatch.setitem(WEIGHTS, "birds", 0.6)
    monkeypatch.setitem(WEIGHTS, "wind", 0.09)
    assert [heard.phrase for heard in hear(model).phrases] == ["birds", "rain", "fire"]


def test_a_sound_at_the_rooms_loudness_steers_with_all_it_is(model):
    (term,) = hear(model).terms()
    assert term.weight == pytest.approx(1.0)
    assert torch.equal(term.tokens, SOUND)


def test_a_rule_steers_by_what_is_heard_times_its_amount(model):
    sound = hear(model, Rule("rain", "a flood", 0.8), Rule("fire", "ash", 0.4))
    _, flood, ash = sound.terms()
    assert flood.weight == pytest.approx(0.5 * 0.8)
    assert ash.weight == pytest.approx(0.25 * 0.4)
    assert flood.tokens.unique().tolist() == [len("a flood")]


def test_new_rules_count_in_the_next_frame_though_nothing_new_was_heard(model):
    listener, tape = Listener(model), Tape()
    assert listener.listen(tape)
    rules = (Rule("fire", "ash", 1.0),)
    assert listener.listen(tape, rules)
    assert not listener.listen(tape, rules)
    assert listener.heard is not None
    _, term = listener.heard.terms()
    assert term.weight == pytest.approx(0.25)
    assert listener.listen(tape)
    assert len(listener.heard.terms()) == 1
    assert len(model.audio.heard) == 1
