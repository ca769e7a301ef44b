"""A frame's two halves as CUDA graphs, steps and decode: between their kernels the host has nothing to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from export.cuda_graphs import Replayed
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.sampler import Sampled, Sampler, SampleRequest
from tpos_models.network import Run, Tensors

MOST = 4
"""So many captures are kept; each holds the memory its networks work in."""

CALLS_TO_CAPTURE = 2
"""Calls in a row with the same key, the last of which records."""

Capture = Callable[[Run], Run]
"""A function of tensors to one that replays what it did."""


@dataclass(frozen=True)
class CaptureKey:
    """What a capture cannot vary: everything about a request that is no tensor."""

    tier: Tier
    guidance: Guidance
    steps: int
    strength: float | None
    """Of the start's latents; None where it has none."""
    sounds: int
    """0 in silence, in sound every term there is, also one without weight."""
    negative: bool
    masked: bool


class CapturedSampler:
    """Another `Sampler` as a function of tensors; a key that comes twice in a row is captured, and replayed from then.

    So a fader that is being moved, which makes every frame another key, costs no captures. Owned by one thread. The
    other sampler must give each request's own frame; conditions that change in mid-frame are not accepted.
    """

    concurrent = False

    def __init__(self, sampler: Sampler, capture: Capture = Replayed) -> None:
        self._sampler, self._capture = sampler, capture
        self._captured: OrderedDict[CaptureKey, Run] = OrderedDict()
        self._last: CaptureKey | None = None
        self._evaluations: dict[CaptureKey, int] = {}

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample the request's frame."""
        conditions = request.at(0)
        sounds = conditions.audio if conditions.sounds else ()
        strength = None if request.start is None else request.strength
        key = CaptureKey(
            request.tier, request.guidance, request.steps, strength, len(sounds), conditions.negative, request.masked
        )  # fmt: skip
        tokens = torch.stack([conditions.text, conditions.null, conditions.uncond, *(term.tokens for term in sounds)])
        weights = torch.tensor([term.weight for term in sounds])
        start = () if request.start is None else (request.start,)
        x0, *mask = self._function(key)(request.noise, tokens, weights, *start)
        return Sampled(x0, self._evaluations[key], request, mask=mask[0] if mask else None)

    def _function(self, key: CaptureKey) -> Run:
        sample = partial(self._sample, key)
        if key in self._captured:
            self._captured.move_to_end(key)
        elif key == self._last:
            self._captured[key] = self._capture(sample)
            while len(self._captured) > MOST:
                self._captured.popitem(last=False)
        else:  # a fader makes ever new keys
            self._evaluations = {known: n for known, n in self._evaluations.items() if known in self._captured}
        self._last = key
        return self._captured.get(key, sample)

    def _sample(
        self, key: CaptureKey, noise: torch.Tensor, tokens: torch.Tensor, weights: torch.Tensor, *start: torch.Tensor
    ) -> Tensors:
        """x0, and the mask, as a function of tensors; all of it happens where the noise lies."""
        text, null, uncond, *sounds = tokens.to(noise)
        terms = tuple(AudioTerm(one, weight) for one, weight in zip(sounds, weights.to(noise), strict=True))
        conditions = Conditions(text, null, uncond if key.negative else null, terms)
        latents, strength = (None, 1.0) if key.strength is None else (start[0], key.strength)
        sampled = self._sampler(
            SampleRequest(noise, conditions, key.tier, key.guidance, key.steps, latents, strength, mask=key.masked)
        )  # fmt: skip
        self._evaluations[key] = sampled.evaluations
        return (sampled.x0,) if sampled.mask is None else (sampled.x0, sampled.mask)
