"""The stage that learns composition: the hypernetwork against the world's own small drawings, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from tpos_models.pocket.hypernetwork import PIXELS_PER_CELL, SKETCH_PX, SketchHypernetwork, prompt_features
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, to_tokens
from tpos_models.pocket.world.world import World
from tpos_models.training.pictures.samples import (
    LAST,
    MOST,
    Pool,
    Tensors,
    held_out,
    random_noise,
    random_scenes,
    write_sheet,
)

STRIDE = 4
"""One pixel of every STRIDE x STRIDE is met at a time: few pixels of many pictures teach more than many of few."""

HARD = ("ink", "tunnel", "galaxy", "neon", "mountains", "waves", "wind", "explosion", "bubbles")
"""Places and conditions of many fine outlines, which are met three times as often as others."""


def _often_hard(count: int, generator: torch.Generator) -> torch.Tensor:
    """Random scenes (count, SCENE_SIZE), those with anything of HARD in them three times as likely."""
    hard = torch.tensor([name in HARD for name in (*PLACES, *CONDITIONS)], device=generator.device)
    scenes = random_scenes(2 * count, generator)
    likely = 1.0 + 2.0 * (scenes[:, PLACE.start : CONDITION.stop] * hard).amax(1).gt(0.0)
    return scenes[torch.multinomial(likely, count, generator=generator)]


def _by_phase(maps: torch.Tensor) -> torch.Tensor:
    """Maps (B, C, 64, 64) to (B, C, 16, 256): the pixels of each phase of the stride together."""
    return F.pixel_unshuffle(maps, STRIDE).view(len(maps), maps.shape[1], STRIDE**2, -1)


class _Colours(torch.nn.Module):
    """The hypernetwork as it is trained: on the pixels of one phase."""

    def __init__(self, hypernetwork: SketchHypernetwork) -> None:
        super().__init__()
        self.sketcher = hypernetwork  # as the weights call it

    def forward(self, maps: torch.Tensor, prompt: torch.Tensor, phase: tuple[int, int]) -> torch.Tensor:
        rows, columns = (slice(start, None, STRIDE) for start in phase)
        return self.sketcher.colours(maps, prompt, (rows, columns), MOST)


class SketchStage:
    """Trains the hypernetwork on z alone: t = 999."""

    name = "sketch"

    def __init__(
        self, hypernetwork: SketchHypernetwork, batch: int = 192, pool: int = 1536, device: str = "cpu", seed: int = 5
    ) -> None:
        self._hypernetwork = hypernetwork.to(device)
        self.module: torch.nn.Module = _Colours(hypernetwork)
        self.batch, self.world = batch, World(SKETCH_PX).to(device)
        self._pool = Pool(lambda g: self._samples(pool, g), period=max(1, 12 * pool // batch), seed=seed)

    @torch.no_grad()
    def _samples(self, count: int, generator: torch.Generator) -> Tensors:
        """Maps of z in half precision, prompts and the world's drawings, their pixels by phase."""
        z, scenes = random_noise(count, generator), _often_hard(count, generator)
        parts = zip(z.split(16), scenes.split(16), strict=True)
        pairs = [(_by_phase(self._hypernetwork.maps(a)).half(), _by_phase(self.world(a, b)).half()) for a, b in parts]
        maps, drawings = (torch.cat(part) for part in zip(*pairs, strict=True))
        return maps, prompt_features(to_tokens(scenes), torch.full((count,), LAST, device=z.device)), drawings

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Tensors, tuple[int, int]]:
        """Maps, prompts and drawings of one phase; and the phase."""
        phase = int(torch.randint(STRIDE**2, (1,), generator=generator, device=generator.device))
        tensors, rows = self._pool.rows(step, self.batch, generator)
        maps, prompt, drawing = tensors[0][rows, :, phase], tensors[1][rows], tensors[2][rows, :, phase]
        return (maps.float(), prompt, drawing.float()), (phase // STRIDE, phase % STRIDE)

    def losses(self, batch: tuple[Tensors, tuple[int, int]]) -> dict[str, torch.Tensor]:
        """Absolute and squared error of colours, and PSNR in dB."""
        (maps, prompt, drawing), phase = batch
        away = self.module(maps, prompt, phase) / 3 + 0.5 - drawing
        squared = away.square().mean()
        return {"loss": away.abs().mean() + 4 * squared, "psnr": -10 * torch.log10(squared.detach())}

    def sheet(self, path: Path) -> None:
        """World above, sketch below."""
        z, scenes = held_out(next(self.module.parameters()).device)
        prompt = prompt_features(to_tokens(scenes), torch.full((len(z),), LAST, device=z.device))
        sketch = F.pixel_shuffle(self._hypernetwork(z, prompt), PIXELS_PER_CELL) / 3 + 0.5
        write_sheet([F.interpolate(rows, scale_factor=4.0) for rows in (self.world(z, scenes), sketch)], path)
