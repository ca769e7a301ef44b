"""The few-step latent-consistency sampler: noise and conditions in, x0 out.

Multistep consistency sampling (Luo et al. 2023, algorithm 3): predict x0, put noise back to the next timestep, again.
Every frame starts from the noise the caller gives, so composition stays and only the conditions move.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tpos_models.conditioning import Conditions, blend
from tpos_models.contracts import Denoiser
from tpos_models.guidance import Guidance, Momentum, Tier, audio_direction, classifier_free, warmup_steps
from tpos_models.schedule import NoiseSchedule

Predict = Callable[[torch.Tensor, int, list[torch.Tensor]], list[torch.Tensor]]
Noise = Callable[[int], torch.Tensor]
ConditionsAt = Callable[[int], Conditions]
"""Conditions that change in mid-frame: what holds at step i."""


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
    timesteps = schedule.timesteps(steps, 1.0 if start is None else strength)
    x_t = noise if start is None else schedule.add_noise(start, noise, timesteps[0])
    evaluate = Evaluator(denoiser)
    momentum = Momentum(guidance)
    plain_until = warmup_steps(guidance, len(timesteps))
    x0 = x_t
    for i, t in enumerate(timesteps):
        if i:
            x_t = schedule.add_noise(x0, renoise(i) if renoise else noise, t)
        now = conditions if isinstance(conditions, Conditions) else conditions(i)
        prediction = predict(evaluate, x_t, t, now, tier, guidance, momentum, guided=i >= plain_until)
        x0 = schedule.consistency(schedule.to_x0(prediction, x_t, t), x_t, t)
    return Sample(x0, evaluate.count)


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
    """One guided prediction (formulas: `tpos_models.guidance`); `evaluate` runs several conditions as one batch."""
    sounds = [term for term in conditions.audio if term.weight != 0]
    if tier == "blend":
        return evaluate(x_t, t, [blend(conditions)])[0]
    if tier == "semantic":
        if not sounds:
            return evaluate(x_t, t, [conditions.text])[0]
        e_t, e_a = evaluate(x_t, t, [conditions.text, blend(conditions)])
        g = momentum(audio_direction(e_t, [e_a], [1.0], guidance))
        return e_t + g if guided else e_t
    if not sounds and guidance.guidance_scale == 1:
        return evaluate(x_t, t, [conditions.text])[0]
    e_u, e_t, *e_audio = evaluate(x_t, t, [conditions.uncond, conditions.text, *(term.tokens for term in sounds)])
    plain = classifier_free(e_u, e_t, guidance.guidance_scale)
    if not sounds:
        return plain
    g = momentum(audio_direction(e_u, e_audio, [term.weight for term in sounds], guidance))
    return plain + g if guided else plain


class Evaluator:
    """Runs the network for several conditions on the same x_t as one batch, and counts evaluations."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self.count = 0

    def __call__(self, x_t: torch.Tensor, t: int, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
        n = len(tokens)
        self.count += n
        batch = self._denoiser(
            x_t.expand(n, -1, -1, -1), torch.full((n,), t, device=x_t.device), torch.stack(tokens).to(x_t)
        )
        return list(batch.split(1))
