"""A whole frame, from noise to pixels, as one CUDA graph: between its kernels the host has nothing to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from export.cuda_graphs import Replayed
from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import sample
from tpos_models.diffusion.noise_motion import Start
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.network import Run, Tensors

MOST = 4
"""So many kinds of frames are kept recorded; each holds the memory its networks work in."""


@dataclass(frozen=True)
class Kind:
    """What a recording cannot vary: everything about a frame that is no tensor."""

    tier: Tier
    guidance: Guidance
    steps: int
    strength: float | None
    """Of the start's latents; None where it has none."""
    sounds: int


@dataclass(frozen=True)
class Drawn:
    """x0 (1, C, h, w), pixels uint8 (h, w, 3) where x0 lies, and the evaluations it took."""

    x0: torch.Tensor
    pixels: torch.Tensor
    evaluations: int


class WholeFrame:
    """Draws frames; a kind that comes twice in a row is recorded, and replayed from then on.

    So a fader that is being moved, which makes every frame another kind, costs no recordings. Owned by one thread.
    """

    def __init__(self, model: Model, schedule: NoiseSchedule, record: Callable[[Run], Run] = Replayed) -> None:
        self._model, self._schedule, self._record = model, schedule, record
        self._recorded: OrderedDict[Kind, Run] = OrderedDict()
        self._last: Kind | None = None
        self._evaluations: dict[Kind, int] = {}

    def __call__(self, start: Start, conditions: Conditions, tier: Tier, guidance: Guidance, steps: int) -> Drawn:
        """One frame (see `tpos_models.diffusion.lcm.sample`)."""
        sounds = conditions.sounds
        strength = None if start.latents is None else start.strength
        kind = Kind(tier, guidance, steps, strength, len(sounds))
        tokens = torch.stack([conditions.text, conditions.null, conditions.uncond, *(term.tokens for term in sounds)])
        weights = torch.tensor([term.weight for term in sounds])
        latents = () if start.latents is None else (start.latents,)
        x0, pixels = self._run(kind)(start.noise, tokens, weights, *latents)
        return Drawn(x0, pixels, self._evaluations[kind])

    def _run(self, kind: Kind) -> Run:
        draw = partial(self._draw, kind)
        if kind in self._recorded:
            self._recorded.move_to_end(kind)
        elif kind == self._last:
            self._recorded[kind] = self._record(draw)
            while len(self._recorded) > MOST:
                self._recorded.popitem(last=False)
        else:  # a fader makes ever new kinds
            self._evaluations = {known: n for known, n in self._evaluations.items() if known in self._recorded}
        self._last = kind
        return self._recorded.get(kind, draw)

    def _draw(
        self, kind: Kind, noise: torch.Tensor, tokens: torch.Tensor, weights: torch.Tensor, *start: torch.Tensor
    ) -> Tensors:
        """A frame as a function of tensors; all of it happens where the noise lies."""
        text, null, uncond, *sounds = tokens.to(noise)
        terms = tuple(AudioTerm(one, weight) for one, weight in zip(sounds, weights.to(noise), strict=True))
        latents, strength = (None, 1.0) if kind.strength is None else (start[0], kind.strength)
        result = sample(
            self._model.denoiser, self._schedule, noise, Conditions(text, null, uncond, terms), kind.tier,
            kind.guidance, kind.steps, None, latents, strength,
        )  # fmt: skip
        self._evaluations[kind] = result.evaluations
        return result.x0, to_bytes(self._model.decoder(result.x0))


def to_bytes(image: torch.Tensor) -> torch.Tensor:
    """RGB (1, 3, h, w) in 0..1 to uint8 (h, w, 3), where it lies."""
    colours = (image[0] * 255).clamp_(0, 255).round_().to(torch.uint8)
    return torch.stack(colours.unbind(0), -1)
