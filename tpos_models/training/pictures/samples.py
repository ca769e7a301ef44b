"""What the picture stages learn from: random scenes of the procedural world, drawn ahead in pools; sample sheets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from tpos_models.diffusion.noise_motion import shifted
from tpos_models.pocket.noise_features import CELLS, CHANNELS
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, TINTS, scene, to_tokens
from tpos_models.pocket.scene_flow import scene_flow
from tpos_models.pocket.world.world import World

Tensors = tuple[torch.Tensor, ...]

LAST = 999
RANK = int(os.environ.get("RANK", "0"))
"""Which of several training processes this is: each draws its own samples."""
MOST = 3
"""So many conditions a random scene has at most."""


def random_scenes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Scenes (count, SCENE_SIZE) as a show meets them: mostly one place and a condition or two, 10 % empty."""
    device = generator.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    scenes = torch.zeros(count, SCENE_SIZE, device=device)
    first = F.one_hot((uniform(count) * len(PLACES)).long(), len(PLACES)).float()
    second = F.one_hot((uniform(count) * len(PLACES)).long(), len(PLACES)).float()
    share = torch.where(uniform(count, 1) < 0.15, uniform(count, 1) * 0.5, 0.0)
    whole = torch.where(uniform(count, 1) < 0.12, uniform(count, 1), 1.0) * (uniform(count, 1) > 0.07)
    scenes[:, PLACE] = whole * ((1 - share) * first + share * second)
    order = uniform(count, len(CONDITIONS)).argsort(1).argsort(1)
    kind = uniform(count, 1)
    how_many = (kind > 0.18).long() + (kind > 0.72).long() + (kind > 0.92).long()
    strengths = (0.15 + 1.25 * uniform(count, len(CONDITIONS))).clamp_max(1.5)
    scenes[:, CONDITION] = strengths * (order < how_many)
    tint = (uniform(count, 3) * 2 - 1) * (uniform(count, 1) < 0.12)
    scenes[:, TINTS] = tint
    return scenes * (uniform(count, 1) > 0.10)


def random_noise(count: int, generator: torch.Generator, cells: int = CELLS) -> torch.Tensor:
    """z (count, 4, CELLS, cells), unit Gaussian."""
    return torch.randn(count, CHANNELS, CELLS, cells, generator=generator, device=generator.device)


@torch.no_grad()
def world_pictures(world: World, count: int, generator: torch.Generator) -> Tensors:
    """Random z, scenes and their pictures as uint8."""
    z, scenes = random_noise(count, generator), random_scenes(count, generator)
    return z, scenes, _painted(world, z, scenes)


def _painted(world: World, z: torch.Tensor, scenes: torch.Tensor) -> torch.Tensor:
    parts = zip(z.split(16), scenes.split(16), strict=True)
    return torch.cat([(world(a, b) * 255).round().byte() for a, b in parts])


MOMENT_S = 0.1
"""Between the two moments of `two_moments`, at full motion: about a frame of a slow machine."""


@torch.no_grad()
def two_moments(world: World, count: int, generator: torch.Generator) -> Tensors:
    """Random scenes at two moments: z (count, 2, ...), which the scene's own flow moves, scenes (count, 2, ...), uint8
    pictures (count, 2, ...)."""
    z, scenes = random_noise(count, generator), random_scenes(count, generator)
    flows = [torch.tensor(scene_flow(tokens).shift) for tokens in to_tokens(scenes)]
    later = [shifted(one[None], MOMENT_S * flow) for one, flow in zip(z, flows, strict=True)]
    z, scenes = torch.stack([z, torch.cat(later)], 1), scenes[:, None].expand(-1, 2, -1)
    return z, scenes, _painted(world, z.flatten(0, 1), scenes.flatten(0, 1)).unflatten(0, (count, 2))


class Pool:
    """Samples drawn ahead and met several times each; rebuilt from its own seed every `period` steps.

    `draw(generator)` makes the tensors of one pool. Deterministic in the step, so that a resumed run meets the same.
    """

    def __init__(self, draw: Callable[[torch.Generator], Tensors], period: int, seed: int) -> None:
        self._draw, self._period, self._seed = draw, period, seed
        self._number = -1
        self._tensors: Tensors = ()

    def batch(self, step: int, count: int, generator: torch.Generator) -> Tensors:
        """`count` samples for one step."""
        tensors, rows = self.rows(step, count, generator)
        return tuple(tensor[rows] for tensor in tensors)

    def rows(self, step: int, count: int, generator: torch.Generator) -> tuple[Tensors, torch.Tensor]:
        """The pool of one step, and which of its samples to take."""
        number = step // self._period
        if number != self._number:
            own = torch.Generator(generator.device).manual_seed((self._seed * 7_919 + number) * 64 + RANK)
            self._tensors, self._number = self._draw(own), number
        total = len(self._tensors[0])
        return self._tensors, torch.randint(total, (count,), generator=generator, device=generator.device)


def write_sheet(rows: list[torch.Tensor], path: Path) -> None:
    """Rows of pictures (N, 3, H, W) as one PNG."""
    from PIL import Image

    sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1).clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).cpu().numpy()).save(path)


HELD_OUT = 990_000
"""Seeds from here on are never trained on."""


def held_out(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight z and scenes for sample sheets."""
    generator = torch.Generator(device).manual_seed(HELD_OUT)
    scenes = [
        scene({"beach": 1.0}), scene({"mountains": 1.0}, {"snow": 0.8}), scene({"city": 1.0}, {"rain": 0.9}),
        scene({"campfire": 1.0}), scene({"forest": 1.0}, {"fire": 0.9}), scene({"deep_sea": 1.0}, {"bubbles": 0.9}),
        scene({"ink": 1.0}), scene({"lake": 1.0}, {"thunder": 0.9}),
    ]  # fmt: skip
    return random_noise(len(scenes), generator), torch.stack(scenes).to(device)
