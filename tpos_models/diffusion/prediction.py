"""One guided prediction, and the network's evaluations it asks for: apart, so that several frames can share a batch."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.conditioning import Conditions, blend, merged
from tpos_models.diffusion.guidance import Guidance, Momentum, Tier, audio_direction, classifier_free
from tpos_models.diffusion.local_mask import LocalMask
from tpos_models.network import MAX_BATCH

T = TypeVar("T")

Evaluation = tuple[torch.Tensor, int, list[torch.Tensor]]
"""x_t (1, C, h, w), t, and the tokens of each condition that the network is to be evaluated with."""
Trajectory = Generator[Evaluation, list[torch.Tensor], torch.Tensor]
"""Asks for evaluations, is sent a prediction (1, C, h, w) for each condition, returns its result."""
FrameTrajectory = Generator[Evaluation, list[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]
"""A whole frame's: x0 (1, C, h, w), and its mask (h, w) where that is asked (`SampleRequest.masked`)."""
Evaluate = Callable[[torch.Tensor, int, list[torch.Tensor]], list[torch.Tensor]]


def follow(trajectory: Generator[Evaluation, list[torch.Tensor], T], evaluate: Evaluate) -> T:
    """Run a trajectory to its end; its result."""
    evaluation = next(trajectory)
    while True:
        try:
            evaluation = trajectory.send(evaluate(*evaluation))
        except StopIteration as done:
            return done.value


class GuidedPrediction:
    """Guided predictions of one frame in one tier (formulas: `diffusion.guidance`); holds the frame's momentum.

    `mask`, where there is one, is told what sound adds to each.
    """

    def __init__(self, tier: Tier, guidance: Guidance, mask: LocalMask | None = None) -> None:
        self._tier, self._guidance, self._mask = tier, guidance, mask
        self._momentum = Momentum(guidance)

    def __call__(
        self,
        x_t: torch.Tensor,
        t: int,
        conditions: Conditions,
        guided: bool = True,
        residual: torch.Tensor | None = None,
    ) -> Trajectory:
        """The prediction at x_t (1, C, h, w); unless `guided` it stays plain.

        Conditions without sound take the plain prompt's path in every tier. `residual` (1, C, h, w) is e_v, where the
        two cheaper tiers are guided away from it.
        """

        def away(e: torch.Tensor) -> torch.Tensor:
            return e if residual is None else classifier_free(residual, e, self._guidance.residual_scale)

        sounds = conditions.sounds
        if self._tier is Tier.BLEND:
            (e,) = yield x_t, t, [blend(conditions)]
            return away(e)
        if (self._tier is Tier.SEMANTIC or self._guidance.guidance_scale == 1) and not sounds:
            (e,) = yield x_t, t, [conditions.text]
            return away(e) if self._tier is Tier.SEMANTIC else e
        if self._tier is Tier.SEMANTIC:
            e_t, e_a = yield x_t, t, [conditions.text, blend(conditions)]
            return away(e_t) + self._steering(e_t, e_a, 1.0) if guided else away(e_t)
        sound = merged(conditions) if sounds else None
        asked = [conditions.uncond, conditions.text]
        if sound:
            asked += [sound.tokens, conditions.null] if conditions.negative else [sound.tokens]
        e_u, e_t, *e_sound = yield x_t, t, asked
        plain = classifier_free(e_u, e_t, self._guidance.guidance_scale)
        if sound is None or not guided:
            return plain
        e_a, e_0 = e_sound if conditions.negative else (*e_sound, e_u)
        return plain + self._steering(e_0, e_a, sound.weight)

    def _steering(self, e_base: torch.Tensor, e_a: torch.Tensor, weight: float | torch.Tensor) -> torch.Tensor:
        """g: what sound adds to the plain prediction."""
        d = audio_direction(e_base, e_a, weight, self._guidance)
        if self._mask is not None:
            self._mask.add(d)
        return self._momentum(d)


class Evaluator:
    """Runs the network for several conditions as one batch, of `MAX_BATCH` at most, and counts evaluations."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self.count = 0

    def __call__(self, x_t: torch.Tensor, t: int, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
        return self.together([(x_t, t, tokens)])[0]

    def together(self, evaluations: list[Evaluation]) -> list[list[torch.Tensor]]:
        """The predictions of each evaluation, a tensor (1, C, h, w) for each of its conditions."""
        counts = [len(tokens) for _, _, tokens in evaluations]
        self.count += sum(counts)
        device = evaluations[0][0].device
        x_t = _joined([x_t.expand(n, -1, -1, -1) for (x_t, _, _), n in zip(evaluations, counts, strict=True)])
        t = _joined([torch.full((n,), t, device=device) for (_, t, _), n in zip(evaluations, counts, strict=True)])
        tokens = torch.stack([condition for _, _, tokens in evaluations for condition in tokens]).to(x_t)
        parts = zip(x_t.split(MAX_BATCH), t.split(MAX_BATCH), tokens.split(MAX_BATCH), strict=True)
        predictions = iter(_joined([self._denoiser(*part) for part in parts]).split(1))
        return [[next(predictions) for _ in range(n)] for n in counts]


def _joined(tensors: list[torch.Tensor]) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
