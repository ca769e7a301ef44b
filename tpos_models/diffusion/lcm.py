"""The few-step latent-consistency sampler: noise and conditions in, x0 out.

Multistep consistency sampling (Luo et al. 2023, algorithm 3): predict x0, put noise back to the next timestep, again.
Every frame starts from the noise the caller gives, so composition stays and only the conditions move.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.conditioning import Conditions, blend
from tpos_models.diffusion.guidance import Guidance, Momentum, Tier, audio_direction, classifier_free, warmup_steps
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import MAX_BATCH

Predict = Callable[[torch.Tensor, int, list[torch.Tensor]], list[torch.Tensor]]
Noise = Callable[[int], torch.Tensor]
ConditionsAt = Callable[[int], Conditions]
"""Conditions that change in mid-frame: what holds at step i."""
Request = tuple[torch.Tensor, int, list[torch.Tensor]]
"""x_t (1, C, h, w), t and the tokens of each condition that the network is to be evaluated with."""
Steps = Generator[Request, list[torch.Tensor], torch.Tensor]
"""One frame under way: asks for evaluations, is sent predictions, returns x0; several may be run side by side."""


@dataclass(frozen=True)
class Sample:
    """x0 (1, C, h, w) and the number of network evaluations it took."""

    x0: torch.Tensor
    evaluations: int


def sample(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    noise: torch.Tensor,
    conditions: Conditions | ConditionsAt,
    tier: Tier,
    guidance: Guidance,
    steps: int = 1,
    renoise: Noise | None = None,
    start: torch.Tensor | None = None,
    strength: float = 1.0,
) -> Sample:
    """Sample one frame.

    `noise` (1, C, h, w) is unit Gaussian. `renoise(i)` gives the noise put back after step i; by default `noise`
    itself, which keeps the path straight. From `start` latents only the timesteps are taken that `strength` (0..1)
    leaves (see `NoiseSchedule.timesteps`). Conditions without sound take the plain prompt's path in every tier.
    """
    evaluate = Evaluator(denoiser)
    steps_of = trajectory(schedule, noise, conditions, tier, guidance, steps, renoise, start, strength)
    return Sample(_run(steps_of, evaluate), evaluate.count)


def trajectory(
    schedule: NoiseSchedule,
    noise: torch.Tensor,
    conditions: Conditions | ConditionsAt,
    tier: Tier,
    guidance: Guidance,
    steps: int = 1,
    renoise: Noise | None = None,
    start: torch.Tensor | None = None,
    strength: float = 1.0,
) -> Steps:
    """`sample` step by step, one request a step, for whoever evaluates the network."""
    timesteps = schedule.timesteps(steps, 1.0 if start is None else strength)
    x_t = noise if start is None else schedule.add_noise(start, noise, timesteps[0])
    momentum = Momentum(guidance)
    plain_until = warmup_steps(guidance, len(timesteps))
    x0 = x_t
    for i, t in enumerate(timesteps):
        if i:
            x_t = schedule.add_noise(x0, renoise(i) if renoise else noise, t)
        now = conditions if isinstance(conditions, Conditions) else conditions(i)
        prediction = yield from _guided(x_t, t, now, tier, guidance, momentum, i >= plain_until)
        x0 = schedule.consistency(schedule.to_x0(prediction, x_t, t), x_t, t)
    return x0


def predict(
    evaluate: Predict,
    x_t: torch.Tensor,
    t: int,
    conditions: Conditions,
    tier: Tier,
    guidance: Guidance,
    momentum: Momentum,
    guided: bool = True,
) -> torch.Tensor:
    """One guided prediction (formulas: `diffusion.guidance`); `evaluate` runs several conditions as one batch."""
    return _run(_guided(x_t, t, conditions, tier, guidance, momentum, guided), evaluate)


def _run(steps: Steps, evaluate: Predict) -> torch.Tensor:
    request = next(steps)
    while True:
        try:
            request = steps.send(evaluate(*request))
        except StopIteration as done:
            return done.value


def _guided(
    x_t: torch.Tensor,
    t: int,
    conditions: Conditions,
    tier: Tier,
    guidance: Guidance,
    momentum: Momentum,
    guided: bool,
) -> Steps:
    sounds = conditions.sounds
    if tier == "blend":
        (e,) = yield x_t, t, [blend(conditions)]
        return e
    if (tier == "semantic" or guidance.guidance_scale == 1) and not sounds:
        (e,) = yield x_t, t, [conditions.text]
        return e
    if tier == "semantic":
        e_t, e_a = yield x_t, t, [conditions.text, blend(conditions)]
        g = momentum(audio_direction(e_t, [e_a], [1.0], guidance))
        return e_t + g if guided else e_t
    e_u, e_t, *e_audio = yield x_t, t, [conditions.uncond, conditions.text, *(term.tokens for term in sounds)]
    plain = classifier_free(e_u, e_t, guidance.guidance_scale)
    if not sounds:
        return plain
    g = momentum(audio_direction(e_u, e_audio, [term.weight for term in sounds], guidance))
    return plain + g if guided else plain


class Evaluator:
    """Runs the network for several conditions as one batch, of `MAX_BATCH` at most, and counts evaluations."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self.count = 0

    def __call__(self, x_t: torch.Tensor, t: int, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.together([(x_t, t, tokens)])[0]

    def together(self, requests: list[Request]) -> list[list[torch.Tensor]]:
        """The predictions of each request, a tensor (1, C, h, w) for each of its conditions."""
        counts = [len(tokens) for _, _, tokens in requests]
        self.count += sum(counts)
        device = requests[0][0].device
        x_t = _joined([x_t.expand(n, -1, -1, -1) for (x_t, _, _), n in zip(requests, counts, strict=True)])
        t = _joined([torch.full((n,), t, device=device) for (_, t, _), n in zip(requests, counts, strict=True)])
        tokens = torch.stack([condition for _, _, tokens in requests for condition in tokens]).to(x_t)
        parts = zip(x_t.split(MAX_BATCH), t.split(MAX_BATCH), tokens.split(MAX_BATCH), strict=True)
        predictions = iter(_joined([self._denoiser(*part) for part in parts]).split(1))
        return [[next(predictions) for _ in range(n)] for n in counts]


def _joined(tensors: list[torch.Tensor]) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
