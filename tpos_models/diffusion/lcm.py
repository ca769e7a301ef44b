"""The few-step latent-consistency sampler: noise and conditions in, x0 out.

Multistep consistency sampling (Luo et al. 2023, algorithm 3): predict x0, put noise back to the next timestep, again;
or Euler's method, for models that were distilled for it (`diffusion.schedule`).
Every frame starts from the noise the caller gives, so composition stays and only the conditions move.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.guidance import Tier, warmup_steps
from tpos_models.diffusion.local_mask import LocalMask
from tpos_models.diffusion.prediction import Evaluator, FrameTrajectory, GuidedPrediction, follow
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule

Renoise = Callable[[int], torch.Tensor]
"""The noise (1, C, h, w) put back before step i."""


class LcmSampler:
    """The `Sampler` of few steps; `renoise` gives fresh noise for each step, where a frame's own is not to be kept.

    Its own noise again keeps a frame's path straight.
    """

    concurrent = True

    def __init__(self, denoiser: Denoiser, schedule: NoiseSchedule, renoise: Renoise | None = None) -> None:
        self._denoiser, self._schedule, self._renoise = denoiser, schedule, renoise

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample the request's frame."""
        evaluate = Evaluator(self._denoiser)
        x0, mask = follow(trajectory(self._schedule, request, self._renoise), evaluate)
        return Sampled(x0, evaluate.count, request, mask=mask)


def trajectory(schedule: NoiseSchedule, request: SampleRequest, renoise: Renoise | None = None) -> FrameTrajectory:
    """A frame step by step, one evaluation a step, for whoever runs the network."""
    noise = request.noise
    timesteps = schedule.timesteps(request.steps, 1.0 if request.start is None else request.strength)
    x_t = schedule.first(noise, timesteps[0], request.start)
    mask = LocalMask(request.guidance.quantile) if request.masked else None
    predict = GuidedPrediction(request.tier, request.guidance, mask)
    plain_until = warmup_steps(request.guidance, len(timesteps))
    started = torch.zeros_like(noise) if request.start is None else request.start
    for i, (t, following) in enumerate(zip_longest(timesteps, timesteps[1:])):
        own = request.tier is Tier.REFERENCE or request.guidance.residual_scale == 1
        residual = None if own else schedule.residual(started, x_t, t)
        prediction = yield from predict(x_t, t, request.at(i), i >= plain_until, residual)
        fresh = renoise(i + 1) if renoise and following is not None else noise
        x_t = schedule.step(prediction, x_t, fresh, t, following)
    return x_t, mask.mean(noise) if mask else None
