"""The paper's reference sampler: PLMS (Liu et al., ICLR 2022) with three evaluations a step, 50 steps a frame.

A linear multistep method on the guided noise prediction e; the transfer from t to t - dt is DDIM's:

    x_(t-dt) = alpha_(t-dt) (x_t - sigma_t e') / alpha_t + sigma_(t-dt) e'

e' averages the newest predictions (Adams-Bashforth); the first step is taken twice, as a Heun step, so `steps` cost
`steps` + 1 predictions. Timesteps are those of Stable Diffusion: 981, 961 .. 1 for 50 steps.
"""

from __future__ import annotations

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.local_mask import LocalMask
from tpos_models.diffusion.prediction import Evaluator, FrameTrajectory, GuidedPrediction, Trajectory, follow
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule

STEPS = 50
PAPER = Guidance()

_ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Weights of the newest predictions, newest first."""


def plms_timesteps(steps: int, train: int = 1000) -> list[int]:
    """Evenly spaced, noisiest first, offset by 1; raises `ValueError` outside 2..train / 2."""
    if not 2 <= steps <= train // 2:
        raise ValueError(f"steps is {steps}; 2 to {train // 2} would be accepted for the reference sampler")
    return [1 + i * (train // steps) for i in reversed(range(steps))]


class PlmsSampler:
    """The paper's `Sampler`; `steps` is its own, whatever a request says, and its tier is reference.

    `request.at(i)` is asked at step i of 0..steps-1. The sound is silent until t < (1 - warmup) of the schedule (the
    paper: t < 800). Raises `ValueError` for impossible `steps`.
    """

    concurrent = True

    def __init__(self, denoiser: Denoiser, schedule: NoiseSchedule, steps: int = STEPS) -> None:
        self._denoiser, self._schedule = denoiser, schedule
        self._timesteps = plms_timesteps(steps, schedule.spec.num_train_timesteps)

    def __call__(self, request: SampleRequest) -> Sampled:
        """Sample the request's frame."""
        evaluate = Evaluator(self._denoiser)
        x0, mask = follow(self._trajectory(request), evaluate)
        return Sampled(x0, evaluate.count, request, mask=mask)

    def _trajectory(self, request: SampleRequest) -> FrameTrajectory:
        schedule, timesteps = self._schedule, self._timesteps
        steps, dt = len(timesteps), timesteps[0] - timesteps[1]
        first = 0 if request.start is None else min(steps - 1, int((1 - request.strength) * steps))
        noise = request.noise
        x_t = noise if request.start is None else schedule.add_noise(request.start, noise, timesteps[first])
        mask = LocalMask(request.guidance.quantile) if request.mask else None
        predict = GuidedPrediction(Tier.REFERENCE, request.guidance, mask)

        def epsilon(x: torch.Tensor, t: int, i: int) -> Trajectory:
            guided = t < (1 - request.guidance.warmup) * schedule.spec.num_train_timesteps
            prediction = yield from predict(x, t, request.at(i), guided)
            return schedule.to_epsilon(prediction, x, t)

        past: list[torch.Tensor] = []
        for i in range(first, steps):
            t = timesteps[i]
            newest = yield from epsilon(x_t, t, i)
            past = [newest, *past[:3]]
            e = sum(weight * e_past for weight, e_past in zip(_ADAMS_BASHFORTH[len(past) - 1], past, strict=True))
            if i == first:
                ahead = transfer(schedule, x_t, newest, t, t - dt)
                again = yield from epsilon(ahead, max(t - dt, timesteps[-1]), min(i + 1, steps - 1))
                e = (newest + again) / 2
            x_t = transfer(schedule, x_t, torch.as_tensor(e), t, t - dt)
        return x_t, mask.mean(noise) if mask else None


def transfer(schedule: NoiseSchedule, x_t: torch.Tensor, e: torch.Tensor, t: int, to: int) -> torch.Tensor:
    """DDIM's deterministic step from t to an earlier timestep; before 0 it is timestep 0, as Stable Diffusion ends."""
    to = max(to, 0)
    x0 = (x_t - schedule.sigma[t] * e) / schedule.alpha[t]
    return schedule.add_noise(x0, e, to)
