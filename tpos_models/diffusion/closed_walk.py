"""The noise walk of a film that ends where it begins."""

from __future__ import annotations

import math

import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.flow import NoiseFlow, plain_flow
from tpos_models.diffusion.noise_motion import NoiseWalk, Position, moved, pace, seeded_noise

_TURN = 2 * math.pi


class ClosedWalk(NoiseWalk):
    """A walk that is where it was after every `period_s`; its first period, which is not closed, says how far it goes.

    It goes as the music drives it, less an even part of what it would end beside a whole number of trips around the
    torus, or turns. Where that is none it goes around a circle as long as its way instead: of places, and of noises
    cos(r) z0 + sin(r) (cos(phi) u + sin(phi) v), which are unit Gaussian as z0, u and v are.
    """

    def __init__(self, period_s: float, spec: ModelSpec, seed: int, flow: NoiseFlow = plain_flow) -> None:
        super().__init__(spec, seed, flow)
        self._u, self._v = seeded_noise(seed + 1, spec.latent_channels, *spec.sample_size)
        self._period_s, self._time_s = period_s, 0.0
        self._way = Position(torch.zeros(spec.latent_channels, 2), torch.zeros(spec.latent_channels))
        self._whole = self._way

    def advance(self, dt_s: float, motion: float, level: float, onset: float, conditions: Conditions) -> torch.Tensor:
        """As `NoiseWalk.advance`."""
        step, flow = dt_s * pace(motion, level, onset), self.flow(conditions)
        shift = self._way.shift + step * torch.tensor(flow.shift)
        angle = self._way.angle + step * torch.tensor(flow.turn)
        before, self._time_s = self._time_s, self._time_s + dt_s
        laps = [int(time_s / self._period_s + 1e-6) for time_s in (before, self._time_s)]
        self._way = Position(shift, angle)
        if laps[1] > laps[0]:
            self._whole = self._way
            self._way = Position(torch.zeros_like(shift), torch.zeros_like(angle))
        return self._at(self._time_s / self._period_s - laps[1])

    def _at(self, share: float) -> torch.Tensor:
        """The noise where so much of the period has gone."""
        phase, whole = _TURN * share, self._whole
        circle = torch.tensor([math.sin(phase), math.cos(phase) - 1]) / _TURN
        trips, turns = (whole.shift / self._size).round(), (whole.angle / _TURN).round()
        shift = self._way.shift - share * (whole.shift - trips * self._size)
        shift = shift + torch.where(
            (trips == 0).all(1, keepdim=True), whole.shift.norm(dim=1, keepdim=True) * circle, 0
        )
        angle = self._way.angle - share * (whole.angle - turns * _TURN)
        radius = torch.where(turns == 0, (whole.angle.abs() / _TURN).clamp_max(1).asin(), 0)[:, None, None]
        around = math.cos(phase) * self._u + math.sin(phase) * self._v
        self.position = Position(torch.remainder(shift, self._size), torch.remainder(angle, _TURN))
        return moved(torch.cos(radius) * self.z0 + torch.sin(radius) * around, self._z1, self.position)
