"""Prompts asked by several threads at once: inference's own, and those that sounds are compared with."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from tpos_models.network import Tensors, run_in_torch
from tpos_models.stable_diffusion.model import open_model
from tpos_models.stable_diffusion.text import ClipText


class OneAtATime:
    """What only one thread may be in; what two call in turns."""

    joint_size = 3

    def __init__(self) -> None:
        self._inside = threading.Lock()

    def enter(self) -> None:
        assert self._inside.acquire(blocking=False), "two threads at once"
        time.sleep(0.002)
        self._inside.release()

    def joint(self, phrases: list[str]) -> torch.Tensor:
        self.enter()
        return torch.ones(len(phrases), 3)


def test_threads_may_ask_at_once_and_each_gets_its_own_answer():
    opened, alone = open_model("random:tiny-sd15"), OneAtATime()
    network = run_in_torch(opened.recipe.text_encoder())

    def run(ids: torch.Tensor) -> Tensors:
        alone.enter()
        return network(ids)

    text = ClipText(opened.tokenizer, run)
    compared = text.compared_in(alone)
    prompts = [f"a beach {i % 20}" for i in range(60)]
    want = {prompt: ClipText(opened.tokenizer, network).encode([prompt]).tokens for prompt in prompts}
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit((text, compared)[i % 2].encode, [prompt]) for i, prompt in enumerate(prompts)]
        answers = [future.result() for future in asked]
    assert all(torch.equal(answer.tokens, want[prompt]) for answer, prompt in zip(answers, prompts, strict=True))
    assert [answer.joint.shape[-1] for answer in answers] == [answers[0].joint.shape[-1], 3] * 30
    assert text.remembered().misses == 20
