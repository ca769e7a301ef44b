"""Prompts as tokens over time, in a text space where a prompt's tokens are its first letter's axis."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from engine.core.messages import SILENCE, Prompt, ShowState
from engine.inference.prompts import PromptCrossfade
from tpos_models.contracts import ModelSpec, TextEmbedding

A, B, C = torch.eye(3).split(1)
NOTHING = torch.zeros(1, 3)


class Letters:
    def encode(self, prompts: list[str]) -> TextEmbedding:
        tokens = [{"a": A, "b": B, "c": C, "": NOTHING}[prompt] for prompt in prompts]
        return TextEmbedding(torch.stack(tokens), torch.zeros(len(prompts), 1))


def crossfade() -> PromptCrossfade:
    model: Any = SimpleNamespace(text=Letters(), spec=ModelSpec("letters", spherical=False))
    return PromptCrossfade(model)


def show(*texts: str, fade_s: float = 2.0) -> ShowState:
    return ShowState(prompts=tuple(Prompt(text) for text in texts), fade_s=fade_s)


def test_the_first_prompt_is_there_at_once_and_the_next_fades_in():
    prompts = crossfade()
    assert torch.equal(prompts.tokens(show("a"), 10.0), A)
    assert torch.equal(prompts.tokens(show("b"), 11.0), A)
    torch.testing.assert_close(prompts.tokens(show("b"), 11.5), 0.75 * A + 0.25 * B)
    assert torch.equal(prompts.tokens(show("b"), 13.0), B)


def test_a_prompt_that_changes_in_mid_fade_goes_on_from_what_is_shown():
    prompts = crossfade()
    prompts.tokens(show("a"), 0.0)
    prompts.tokens(show("b"), 1.0)
    half = 0.5 * A + 0.5 * B
    torch.testing.assert_close(prompts.tokens(show("c"), 2.0), half)
    torch.testing.assert_close(prompts.tokens(show("c"), 3.0), 0.5 * half + 0.5 * C)
    assert torch.equal(prompts.tokens(show("c"), 4.0), C)


def test_a_weight_that_is_moved_in_mid_fade_does_not_cut_it_short():
    prompts, lighter = crossfade(), ShowState(prompts=(Prompt("b", 0.5),))
    prompts.tokens(show("a"), 0.0)
    prompts.tokens(show("b"), 1.0)
    torch.testing.assert_close(prompts.tokens(lighter, 2.0), 0.5 * A + 0.5 * (0.5 * B))
    torch.testing.assert_close(prompts.tokens(lighter, 2.5), 0.25 * A + 0.75 * (0.5 * B))
    assert torch.equal(prompts.tokens(lighter, 3.0), 0.5 * B)
    assert torch.equal(prompts.tokens(replace(lighter, prompts=(Prompt("c"),)), 3.1), C), "other words are a cut"


def test_weights_that_come_with_a_fade_take_its_time():
    prompts = crossfade()
    prompts.tokens(show("a"), 0.0)
    half = ShowState(prompts=(Prompt("a", 0.5),), fade_s=2.0)
    assert torch.equal(prompts.tokens(half, 1.0), A)
    torch.testing.assert_close(prompts.tokens(half, 2.0), 0.75 * A)


def test_a_fade_in_bars_follows_the_tempo_while_it_lasts_and_needs_none():
    """Two bars of three beats: at 90 BPM 4 s, at 180 BPM 2 s; without a tempo a bar is 2 s."""
    slow, quick = (replace(SILENCE, bpm=bpm, beats_per_bar=3) for bpm in (90.0, 180.0))
    state, prompts = replace(show("b"), fade_bars=2.0), crossfade()
    prompts.tokens(show("a"), 0.0)
    assert torch.equal(prompts.tokens(state, 1.0, slow), A)
    torch.testing.assert_close(prompts.tokens(state, 3.0, slow), 0.5 * A + 0.5 * B)
    torch.testing.assert_close(prompts.tokens(state, 3.5, quick), 0.25 * A + 0.75 * B)
    torch.testing.assert_close(prompts.tokens(state, 4.0, SILENCE), 0.125 * A + 0.875 * B)
    assert torch.equal(prompts.tokens(state, 4.6, SILENCE), B)


def test_prompts_are_mixed_by_weight_and_empty_ones_count_for_nothing():
    prompts = crossfade()
    state = ShowState(prompts=(Prompt("a", 0.5), Prompt("b", 0.25), Prompt("c", 0.0), Prompt("  ")))
    torch.testing.assert_close(prompts.tokens(state, 0.0), 0.5 * A + 0.25 * B)
    assert torch.equal(crossfade().tokens(show(""), 0.0), NOTHING)


def test_the_negative_prompt_is_what_guidance_leaves():
    assert torch.equal(crossfade().uncond(replace(show("a"), negative="c")), C)
    assert torch.equal(crossfade().uncond(show("a")), NOTHING)
