"""The stage that learns composition: the hypernetwork against the world's own small drawings, pixel by pixel."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.pocket.field import FINENESS, SHAPE, View, sampled_by
from tpos_models.pocket.hypernetwork import (
    PIXELS_PER_CELL,
    SKETCH_PX,
    Hypernetwork,
    SketchHypernetwork,
    prompt_features,
)
from tpos_models.pocket.noise_features import Plane, cells_across
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, to_tokens
from tpos_models.pocket.world.world import World
from tpos_models.training import loop
from tpos_models.training.pictures.samples import (
    HELD_OUT,
    LAST,
    MOST,
    RANK,
    Pool,
    Tensors,
    held_out,
    random_noise,
    random_scenes,
    write_sheet,
)

STRIDE = 4
"""One pixel of every STRIDE x STRIDE is met at a time: few pixels of many pictures teach more than many of few."""

HARD = (
    "tunnel", "mandala", "retrowave", "street", "laser", "sunken_city", "canyon", "crystal",
    "fire", "waves", "wind", "explosion", "splash", "bubbles",
)  # fmt: skip
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
        return self.sketcher.colours(maps, prompt, lambda grid: grid[..., rows, columns].flatten(-2), MOST)


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


class FieldStage:
    """Trains the field on the world at a projector's fineness, on z alone.

    A group of pictures shares the places of its pixels, some rows and columns anywhere in a wide picture: what the
    world draws there costs no more than a picture of so few pixels.
    """

    name = "field"

    def __init__(self, field: Hypernetwork, groups: int = 6, pool: int = 48, device: str = "cpu", seed: int = 7):
        self._field = field.to(device)
        self.module: torch.nn.Module = _Drawn(field)
        self.groups = groups
        self._pool = Pool(lambda g: self._samples(pool, g), period=max(1, 7 * pool // groups), seed=seed)

    @torch.no_grad()
    def _samples(self, count: int, generator: torch.Generator) -> Tensors:
        """Groups of pictures: maps of z in half precision, prompts, what samples the bias maps, the world's colours.

        Pictures of as many conditions lie together: no more are computed than there are.
        """
        groups = []
        every = _often_hard(count * GROUP, generator)
        every = every[every[:, CONDITION].gt(0).sum(1).argsort(stable=True)]
        for scenes in every.split(GROUP):
            plane = _some_pixels(generator)
            view, world = View(plane, WIDE).to(generator.device), World(plane, WIDE).to(generator.device)
            z = random_noise(GROUP, generator, WIDE)
            prompt = prompt_features(to_tokens(scenes), torch.full((GROUP,), LAST, device=z.device))
            groups.append((view.maps(z).half(), prompt, view.down, view.across, world(z, scenes).flatten(2).half()))
        return tuple(torch.stack(part) for part in zip(*groups, strict=True))

    def make_batch(self, step: int, generator: torch.Generator) -> Tensors:
        """Some groups of the pool."""
        maps, *known, colours = self._pool.batch(step, self.groups, generator)
        return maps.float(), *known, colours.float()

    def losses(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """Absolute and squared error of colours, and PSNR in dB."""
        *given, colours = batch
        away = self.module(*given) / 3 + 0.5 - colours
        squared = away.square().mean()
        return {"loss": away.abs().mean() + 4 * squared, "psnr": -10 * torch.log10(squared.detach())}

    def sheet(self, path: Path) -> None:
        """World above, field below."""
        device = next(self.module.parameters()).device
        _, scenes = held_out(device)
        z = random_noise(len(scenes), torch.Generator(device).manual_seed(HELD_OUT), WIDE)
        plane = Plane.of(640, 360)
        view, world = View(plane, WIDE).to(device), World(plane, WIDE).to(device)
        prompt = prompt_features(to_tokens(scenes), torch.full((len(z),), LAST, device=z.device))
        drawn = self._field.colours(view.maps(z), prompt, view.sampled, MOST).unflatten(2, (360, 640)) / 3 + 0.5
        rows = zip(world(z, scenes).split(4), drawn.split(4), strict=True)
        write_sheet([row for pair in rows for row in pair], path)


GROUP, SIDE = 32, 16
"""Pictures of a group, and rows and columns that are drawn of them."""
WIDE = cells_across(16, 9)


def _some_pixels(generator: torch.Generator) -> Plane:
    """Rows and columns anywhere in a picture of 16:9, as fine as the field is to be."""
    y, x = torch.rand(2, SIDE, generator=generator, device=generator.device, dtype=torch.float64).sort(1).values.cpu()
    return Plane(y, 0.5 + (x - 0.5) * 16 / 9, FINENESS)


class _Drawn(torch.nn.Module):
    """The field as it is trained: group by group, each with its own pixels."""

    def __init__(self, field: Hypernetwork) -> None:
        super().__init__()
        self.field = field

    def forward(
        self, maps: torch.Tensor, prompt: torch.Tensor, down: torch.Tensor, across: torch.Tensor
    ) -> torch.Tensor:
        """Maps (G, B, INPUTS, n), prompts (G, B, PROMPT_SIZE), what samples bias maps -> colours (G, B, 3, n)."""
        drawn = []
        for seen, asked, rows, columns in zip(maps, prompt, down, across, strict=True):
            most = max(1, int(asked[:, CONDITION].gt(0).sum(1).max()))
            drawn.append(self.field.colours(seen, asked, partial(sampled_by, rows, columns), most))
        return torch.stack(drawn)


FIELD = loop.Recipe(steps=27_000, lr=4e-3, lr_end=3e-5, warmup=100, ema=0.998, weight_decay=0.2)


def train_field(runs: Path, weights_folder: Path, recipe: loop.Recipe = FIELD) -> None:
    """Train the field and save field.safetensors, in float16; resumes what is in `runs`."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    average = loop.run(FieldStage(Hypernetwork(SHAPE), 4 // loop.processes(), device=device), runs, recipe)
    if RANK == 0:
        tensors = {key.removeprefix("field."): value.half() for key, value in average.items()}
        weights.save(weights_folder, "field", tensors, {"what": "pocket's field", "steps": [recipe.steps]})
