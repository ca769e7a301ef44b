"""What every sampler is: a call from a request, one frozen record, to the frame's latents.

| sampler                                | what it does                                                            |
|----------------------------------------|-------------------------------------------------------------------------|
| `diffusion.lcm.LcmSampler`             | few steps of a latent-consistency model or a rectified flow             |
| `diffusion.step.StepSampler`           | the same, where a step with its guidance is one network                 |
| `diffusion.plms.PlmsSampler`           | the paper's, 50 steps                                                   |
| `diffusion.stream_batch.StreamBatch`   | the few steps of several successive frames at once: frames come later   |

On a GPU the first two are also captured as a CUDA graph, by whoever plays it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.guidance import Guidance, Tier

ConditionsAt = Callable[[int], Conditions]
"""Conditions that change in mid-frame: what holds at step i."""


@dataclass(frozen=True, eq=False)
class SampleRequest:
    """One frame to sample.

    `noise` (1, C, h, w) is unit Gaussian. From `start` latents (1, C, h, w) only the timesteps are taken that
    `strength` (0..1) leaves (see `NoiseSchedule.timesteps`); without them `strength` means nothing. `steps` is 1 to as
    many as the model knows; another number raises `ValueError` in the sampler.
    """

    noise: torch.Tensor
    conditions: Conditions | ConditionsAt
    tier: Tier
    guidance: Guidance
    steps: int = 1
    start: torch.Tensor | None = None
    strength: float = 1.0
    metadata: Any = None
    """The caller's own; no sampler looks at it."""
    mask: bool = False
    """Whether it is asked where sound acts; the picture is the same, bit for bit."""
    pixels: bool = True
    """Whether its pixels are wanted, where a sampler has numbers that say them to whoever draws."""

    @property
    def masked(self) -> bool:
        """Whether it is asked and the tier can tell: blended, sound leaves no difference to look at."""
        return self.mask and self.tier is not Tier.BLEND

    def at(self, step: int) -> Conditions:
        """The conditions that hold at a step, counted from 0."""
        return self.conditions if isinstance(self.conditions, Conditions) else self.conditions(step)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a picture of any size is drawn from: z (1, C, h, w), prompt features (1, n), and the shape it has."""

    z: torch.Tensor
    prompt: torch.Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Sampled:
    """A frame's x0 (1, C, h, w), the network evaluations this call took, and the request the frame was made for.

    `pixels` is what a sampler that draws as well made of it, of no size where `numbers` stand for it; `mask` (h, w),
    0..1, where sound acts (`diffusion.local_mask`), if that was asked and the tier can tell.
    """

    x0: torch.Tensor
    evaluations: int
    request: SampleRequest
    pixels: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    numbers: Numbers | None = None


class Sampler(Protocol):
    """Noise and conditions to latents."""

    @property
    def concurrent(self) -> bool:
        """Whether calls may run side by side, on any thread; else one thread owns the sampler."""
        ...

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample one frame: the request's own, or with a stream batch an earlier one's."""
        ...
