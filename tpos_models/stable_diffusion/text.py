"""Prompts through CLIP: ids, tokens and a joint vector, each prompt encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache, partial
from typing import Any, Protocol

import torch

from tpos_models.contracts import TextEmbedding, UnknownWord
from tpos_models.network import Run
from tpos_models.stable_diffusion.devices import CPU
from tpos_models.stable_diffusion.tokens import MAX_TOKENS

REMEMBERED = 1024
"""Prompts kept; one takes 0.24 MB at SD 1.5's size, 0.64 MB at SDXL's."""


class PhraseSpace(Protocol):
    """A joint space of phrases in which sounds are compared, too."""

    joint_size: int

    def joint(self, phrases: list[str]) -> torch.Tensor:
        """Unit vectors (B, joint_size)."""
        ...


class ClipText:
    """The TextSpace of Stable Diffusion: tokens from CLIP, joint from CLIP too, or from `space`, that of the sounds.

    Prompts longer than 77 tokens are cut. `run` takes the ids of each of the `tokenizers`, of which SDXL has two.
    Outputs are float32 on `device`. Any thread may ask, on any CUDA stream, where `run` and `space` take that:
    tokenizers do, as long as nobody asks them for another length.
    """

    def __init__(
        self, tokenizers: Sequence[Any], run: Run, device: torch.device = CPU, space: PhraseSpace | None = None
    ) -> None:
        self._tokenizers, self._space = tokenizers, space
        self._one = lru_cache(REMEMBERED)(partial(_encode_one, tokenizers, run, device))

    def compared_in(self, space: PhraseSpace | None) -> ClipText:
        """The same prompts, their joint vectors in another space, None: CLIP's own; both share all they have."""
        other = copy(self)
        other._space = space
        return other

    def forget(self) -> None:
        """Encode every prompt anew, as with other weights."""
        self._one.cache_clear()

    def encode(self, prompts: list[str]) -> TextEmbedding:
        """Prompts of any length and script to tokens (B, TOKENS, size) and joint (B, joint_size)."""
        return TextEmbedding(torch.stack([self._one(prompt)[0] for prompt in prompts]), self.joint(prompts))

    def joint(self, prompts: list[str]) -> torch.Tensor:
        """Their joint (B, joint_size) alone: where that is another space's, nothing is asked of CLIP."""
        return self._space.joint(prompts) if self._space else torch.stack([self._one(prompt)[1] for prompt in prompts])

    def unknown(self, prompt: str) -> tuple[UnknownWord, ...]:
        """None: byte pairs spell every word, and which of them the denoiser has learned is not known."""
        return ()

    def remembered(self) -> Any:
        """Statistics of the prompts kept: hits, misses, maxsize, currsize."""
        return self._one.cache_info()

    def ids(self, prompt: str) -> tuple[torch.Tensor, ...]:
        """Each tokenizer's ids (1, 77), cut and padded."""
        return _ids(self._tokenizers, prompt)


def _ids(tokenizers: Sequence[Any], prompt: str) -> tuple[torch.Tensor, ...]:
    text = prompt.encode("utf-8", "replace").decode()  # a lone surrogate is no text
    return tuple(
        torch.tensor([one(text, padding="max_length", max_length=MAX_TOKENS, truncation=True).input_ids])
        for one in tokenizers
    )


def _encode_one(
    tokenizers: Sequence[Any], run: Run, device: torch.device, prompt: str
) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, joint = run(*(ids.to(device) for ids in _ids(tokenizers, prompt)))
    # clones: inference-mode tensors and a runner's reused buffers must not leak into what others keep
    kept = tokens[0].clone(), joint[0].clone()
    if device.type == "cuda":  # once a prompt: who reads it later need not know which stream wrote it
        torch.cuda.current_stream(device).synchronize()
    return kept
