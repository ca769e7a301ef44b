"""The noise a frame starts from, and how music moves it: z walks with the scene and stays unit Gaussian.

A shift on the torus only turns the phases of z's Fourier coefficients, a walk only turns z towards a second Gaussian:
both keep its distribution exactly, so every moved z is one the denoiser knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import Conditions, blend
from tpos_models.diffusion.flow import Flow, NoiseFlow, plain_flow

LEAST_STRENGTH = 0.4
"""However much of the last frame is kept, this much of the schedule is drawn anew: less, and artefacts feed themselves
(seen on `pocket`: under 0.4 waves turn to stripes within 20 frames)."""
LEAK = 0.5
"""How far the noise turns towards fresh noise at motion 1, of a quarter turn."""


@dataclass(frozen=True)
class Position:
    """How far z has moved: (channels, 2) cells and (channels,) radians."""

    shift: torch.Tensor
    angle: torch.Tensor


def pace(motion: float, level: float, onset: float) -> float:
    """How fast time passes for z: 0 at motion 0, faster with the level, pushed by an onset."""
    return motion * (0.4 + 1.0 * level + 1.2 * onset)


def shifted(z: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """z (B, C, h, w) moved by shift (C, 2) cells (right, down) around the torus, whole or fractional.

    The highest frequency of an even size has no direction; it stays, which keeps the transform unitary and real.
    """
    height, width = z.shape[-2:]
    right, down = shift.double().cpu().T
    turn = _phases(down, height)[:, :, None] * _phases(right, width)[:, None, : width // 2 + 1]
    turn = turn.to(torch.complex64).to(z.device)
    return torch.fft.irfft2(torch.fft.rfft2(z.float()) * turn, s=(height, width)).to(z.dtype)


def _phases(cells: torch.Tensor, size: int) -> torch.Tensor:
    """What moving by cells (C,) does to each frequency: (C, size), complex of magnitude 1."""
    angle = -2 * math.pi * cells[:, None] * _frequencies(size)
    return torch.polar(torch.ones_like(angle), angle)


@cache
def _frequencies(size: int) -> torch.Tensor:
    """Cycles per cell of a transform of `size` cells, in its order; the highest of an even size counts as none."""
    cycles = torch.fft.fftfreq(size, dtype=torch.float64)
    return torch.where(cycles.abs() == 0.5, 0.0, cycles)


def moved(z0: torch.Tensor, z1: torch.Tensor, position: Position) -> torch.Tensor:
    """z0 (1, C, h, w) turned towards z1 and shifted; exactly z0 at the origin."""
    if not position.shift.any() and not position.angle.any():
        return z0
    angle = position.angle.to(z0)[:, None, None]
    return shifted(torch.cos(angle) * z0 + torch.sin(angle) * z1, position.shift)


def seeded_noise(seed: int, channels: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two independent unit Gaussian (1, channels, height, width).

    What is wider than high has the square of the same seed in its middle, and so its composition.
    """
    generator = torch.Generator().manual_seed(seed)

    def pair(columns: int) -> list[torch.Tensor]:
        return [torch.randn(1, channels, height, columns, generator=generator) for _ in range(2)]

    parts = [pair(min(width, height))]
    for k in range(width - height):  # outwards, so that a wider one goes on
        parts.insert(len(parts) if k % 2 else 0, pair(1))
    z0, z1 = (torch.cat(part, -1) for part in zip(*parts, strict=True))
    return z0, z1


class NoiseWalk:
    """The moving noise of one show; owns its position, changed by `advance` only. Not shared between threads.

    `flow` is the model's own `Model.noise_flow`.
    """

    def __init__(self, spec: ModelSpec, seed: int, flow: NoiseFlow = plain_flow) -> None:
        self.z0, self._z1 = seeded_noise(seed, spec.latent_channels, *spec.sample_size)
        self._flow = flow
        self.position = Position(torch.zeros(spec.latent_channels, 2), torch.zeros(spec.latent_channels))
        self._z = self.z0
        self._size = torch.tensor([spec.sample_size[1], spec.sample_size[0]])

    def advance(self, dt_s: float, motion: float, level: float, onset: float, conditions: Conditions) -> torch.Tensor:
        """z (1, C, h, w) after `dt_s`; motion, level and onset 0..1.

        The same tensor as before where nothing moved; `z0` itself where nothing ever did.
        """
        step = dt_s * pace(motion, level, onset)
        if step > 0:
            flow = self.flow(conditions)
            shift = torch.remainder(self.position.shift + step * torch.tensor(flow.shift), self._size)
            angle = torch.remainder(self.position.angle + step * torch.tensor(flow.turn), 2 * math.pi)
            self.position = Position(shift, angle)
            self._z = moved(self.z0, self._z1, self.position)
        return self._z

    def flow(self, conditions: Conditions) -> Flow:
        """The speeds that prompt and sound together ask for."""
        return self._flow(blend(conditions))


class Start(NamedTuple):
    """What a sampler starts from: `noise` (1, C, h, w), and `latents` that it replaces by `strength` 0..1, if any."""

    latents: torch.Tensor | None
    noise: torch.Tensor
    strength: float


def feed_back(last_x0: torch.Tensor, noise: torch.Tensor, fresh: torch.Tensor, amount: float, motion: float) -> Start:
    """The last frame as the next one's start: `amount` 0..1 of it stays, with `fresh` noise leaked into the noise.

    The frame is brought to zero mean and unit variance per channel, so that the loop can neither fade, nor burn, nor
    drift to one colour; without fresh noise it would settle on one texture, which at motion 0 it should.
    """
    mean, deviation = last_x0.mean((-2, -1), keepdim=True), last_x0.std((-2, -1), keepdim=True)
    angle = LEAK * motion * math.pi / 2
    leaked = math.cos(angle) * noise + math.sin(angle) * fresh
    return Start((last_x0 - mean) / deviation.clamp_min(1e-4), leaked, 1 - (1 - LEAST_STRENGTH) * amount)
