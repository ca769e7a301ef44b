"""Prompts asked by several threads at once: inference's own, and those that sounds are compared with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from tpos_models.network import Tensors, run_in_torch
from tpos_models.stable_diffusion.model import open_model
from tpos_models.stable_diffusion.text import ClipText


class Space:
    """A joint space in which all phrases are one."""

    joint_size = 3

    def joint(self, phrases: list[str]) -> torch.Tensor:
        return torch.ones(len(phrases), 3)


def test_threads_may_ask_at_once_and_each_gets_its_own_answer():
    opened = open_model("random:tiny-sd15")
    network = run_in_torch(opened.recipe.text_encoder())
    text = ClipText(opened.tokenizers, network)
    prompts = [f"a beach {i % 20}" for i in range(60)]
    want = {prompt: ClipText(opened.tokenizers, network).encode([prompt]).tokens for prompt in prompts}
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda prompt: text.encode([prompt]).tokens, prompts))
    assert all(torch.equal(answer, want[prompt]) for answer, prompt in zip(answers, prompts, strict=True))


def test_a_prompt_is_encoded_once_for_all_joint_spaces():
    opened = open_model("random:tiny-sd15")
    network, asked = run_in_torch(opened.recipe.text_encoder()), []

    def run(ids: torch.Tensor) -> Tensors:
        asked.append(ids)
        return network(ids)

    text = ClipText(opened.tokenizers, run)
    one, other = text.encode(["a beach"]), text.compared_in(Space()).encode(["a beach"])
    assert torch.equal(one.tokens, other.tokens)
    assert (one.joint.shape[-1], other.joint.shape[-1]) == (32, 3)
    assert len(asked) == 1
    assert torch.equal(text.compared_in(Space()).joint(["a lake"]), torch.ones(1, 3)), "CLIP is not asked for it"
    assert len(asked) == 1
    assert torch.equal(text.joint(["a beach"]), one.joint)
