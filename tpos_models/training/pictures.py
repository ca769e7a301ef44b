"""The two stages that learn pictures from the procedural world: the codec, then all three networks together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights as files
from tpos_models.pocket.canvas import CELLS, CHANNELS
from tpos_models.pocket.codec import Codec, Crop
from tpos_models.pocket.denoiser import Denoiser, DenoiserShape
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, TINTS, scene, to_tokens
from tpos_models.pocket.world import World
from tpos_models.training import loop

Tensors = tuple[torch.Tensor, ...]

LAST = 999
FEW_STEPS = (999, 679, 359, 99)

RANK = int(os.environ.get("RANK", "0"))
"""Which of several training processes this is: each draws its own samples."""


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


def random_noise(count: int, generator: torch.Generator) -> torch.Tensor:
    """z (count, 4, 32, 32), unit Gaussian."""
    return torch.randn(count, CHANNELS, CELLS, CELLS, generator=generator, device=generator.device)


@torch.no_grad()
def world_pictures(world: World, count: int, generator: torch.Generator) -> Tensors:
    """Random z, scenes and their pictures as uint8."""
    z, scenes = random_noise(count, generator), random_scenes(count, generator)
    parts = zip(z.split(16), scenes.split(16), strict=True)
    return z, scenes, torch.cat([(world(a, b) * 255).round().byte() for a, b in parts])


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
        number = step // self._period
        if number != self._number:
            own = torch.Generator(generator.device).manual_seed((self._seed * 7_919 + number) * 64 + RANK)
            self._tensors, self._number = self._draw(own), number
        total = len(self._tensors[0])
        rows = torch.randint(total, (count,), generator=generator, device=generator.device)
        return tuple(tensor[rows] for tensor in self._tensors)


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


def slopes(picture: torch.Tensor) -> Tensors:
    """Differences between neighbouring pixels, across and down."""
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def picture_loss(got: torch.Tensor, want: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Absolute and squared error of colours, fine and broad, with absolute error of edges; and the PSNR in dB."""
    squared = F.mse_loss(got, want)
    edges = sum(F.l1_loss(a, b) for a, b in zip(slopes(got), slopes(want), strict=True))
    broad = F.mse_loss(F.avg_pool2d(got, 8), F.avg_pool2d(want, 8))
    return F.l1_loss(got, want) + 4 * squared + 8 * broad + 0.5 * edges, -10 * torch.log10(squared.detach())


def channels_last(module: torch.nn.Module) -> torch.nn.Module:
    """The layout in which convolutions train fastest."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def random_crop(cells: int, generator: torch.Generator) -> Crop:
    """A square of `cells` x `cells` anywhere; somewhat more often at the border, which fewer crops would meet."""
    free = CELLS - cells
    corner = torch.randint(-3, free + 4, (2,), generator=generator, device=generator.device).clamp(0, free).tolist()
    return slice(corner[0], corner[0] + cells), slice(corner[1], corner[1] + cells)


def pixels(cells: slice, origin: int = 0) -> slice:
    """The pixels of a row or column of cells, counted from the cell `origin`."""
    return slice((cells.start - origin) * 8, (cells.stop - origin) * 8)


def whole(cells: slice) -> slice:
    """What of a crop saw its neighbours too, or lies at the picture's own border."""
    return slice(cells.start + 1 if cells.start else 0, cells.stop - 1 if cells.stop < CELLS else CELLS)


def standard(latents: torch.Tensor) -> torch.Tensor:
    """How far latents are from zero mean and unit variance."""
    return latents.mean((0, 2, 3)).square().mean() + (latents.var((0, 2, 3)) - 1).square().mean()


class CodecStage:
    """Trains encoder and decoder on crops of random scenes."""

    name = "codec"

    def __init__(
        self, batch: int = 16, pool: int = 192, device: str = "cpu", seed: int = 1, crop: int = CELLS // 2
    ) -> None:
        self._codec = Codec().to(device)
        self.module: torch.nn.Module = channels_last(self._codec)
        self.batch, self.crop, self.world = batch, crop, World().to(device)
        period = max(1, 16 * pool // batch)
        self._pool = Pool(lambda g: world_pictures(self.world, pool, g)[2:], period=period, seed=seed)

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Tensors, Crop]:
        """Crops of pictures and the disturbance of their latents; and where they lie."""
        (picture,) = self._pool.batch(step, self.batch, generator)
        crop = random_crop(self.crop, generator)
        picture = picture[:, :, pixels(crop[0]), pixels(crop[1])].float().div(255)
        noise = 0.03 * random_noise(self.batch, generator)[:, :, *crop]
        return (picture.contiguous(memory_format=torch.channels_last), noise), crop

    def losses(self, batch: tuple[Tensors, Crop]) -> dict[str, torch.Tensor]:
        """See `picture_loss` and `standard`."""
        (picture, noise), crop = batch
        rebuilt, latents = self.module(picture, noise, crop)
        inside = (slice(None), slice(None), *(pixels(whole(c), c.start) for c in crop))
        loss, psnr = picture_loss(rebuilt[inside], picture[inside])
        spread = standard(latents)
        return {"loss": loss + 0.05 * spread, "psnr": psnr, "spread": spread.detach()}

    def sheet(self, path: Path) -> None:
        """World above, rebuilt below."""
        z, scenes = held_out(next(self.module.parameters()).device)
        picture, codec = self.world(z, scenes), self._codec
        write_sheet([picture, codec(picture, torch.zeros_like(z))[0]], path)


def at_time(x0: torch.Tensor, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x_t of the rectified flow; exactly z at t = 999."""
    s = (t.to(x0) / LAST).view(-1, 1, 1, 1)
    return torch.where(s == 1, z, (1 - s) * x0 + s * z)


def random_times(count: int, generator: torch.Generator, first: float = 0.7) -> torch.Tensor:
    """Timesteps (count,): a share `first` of 999, the rest from the few-step schedule and from everywhere, evenly."""
    kind = torch.rand(count, generator=generator, device=generator.device)
    few = torch.tensor(FEW_STEPS, device=generator.device)[
        torch.randint(4, (count,), generator=generator, device=generator.device)
    ]
    anywhere = torch.randint(LAST + 1, (count,), generator=generator, device=generator.device)
    return torch.where(kind < first, LAST, torch.where(kind < (1 + first) / 2, few, anywhere))


class Drawing(nn.Module):
    """Denoiser and codec, as they are trained together on pixels.

    A crop of each picture is drawn and decoded: features of x_t are local, so crops teach as much and cost less.
    """

    def __init__(self, denoiser: Denoiser, codec: Codec) -> None:
        super().__init__()
        self.denoiser, self.encoder, self.decoder = denoiser, codec.encoder, codec.decoder

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, picture: torch.Tensor, crop: Crop
    ) -> Tensors:
        """x_t (B, 4, 32, 32), t (B,), tokens, the crop of some pictures -> latents, drawn crops; rebuilt crops."""
        x0 = self.denoiser(x_t, t, tokens, crop=crop)
        rebuilt = self.decoder.paint(self.encoder(picture, crop), crop) if len(picture) else picture
        return x0, self.decoder.paint(x0, crop), rebuilt


class DrawingStage:
    """Trains the denoiser on what counts in the end: the picture drawn in one step.

    The codec stays as it is, unless `tune`: then a quarter of each batch also goes through the encoder, so that latents
    of drawn and of given pictures stay the same while all three networks learn.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        codec: Codec,
        batch: int = 16,
        pool: int = 576,
        device: str = "cpu",
        seed: int = 3,
        crop: int = CELLS // 2,
        tune: bool = False,
    ) -> None:
        self.name = "finish" if tune else "drawing"
        self._drawing = Drawing(denoiser, codec).to(device)
        for half in (codec.encoder, codec.decoder):
            half.requires_grad_(tune)
        self.module: torch.nn.Module = channels_last(self._drawing)
        self.batch, self.crop, self.world = batch, crop, World().to(device)
        self._rebuilt = max(1, batch // 4) if tune else 0
        self._pool = Pool(lambda g: self._samples(pool, g), period=max(1, 8 * pool // batch), seed=seed)

    def _samples(self, count: int, generator: torch.Generator) -> Tensors:
        """z, tokens, pictures and their latents."""
        z, scenes, pictures = world_pictures(self.world, count, generator)
        with torch.no_grad():
            latents = [self._drawing.encoder(part.float().div(255)) for part in pictures.split(16)]
        return z, to_tokens(scenes), pictures, torch.cat(latents)

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Tensors, Crop]:
        """x_t, t, tokens, crops of pictures and of latents; and where to crop. A quarter starts after t = 999."""
        z, tokens, picture, latents = self._pool.batch(step, self.batch, generator)
        t = random_times(self.batch, generator, first=0.3)
        t[self.batch // 4 :] = LAST
        crop = random_crop(self.crop, generator)
        picture = picture[:, :, pixels(crop[0]), pixels(crop[1])].float().div(255)
        picture = picture.contiguous(memory_format=torch.channels_last)
        return (at_time(latents, z, t), t, tokens, picture, latents[:, :, *crop]), crop

    def losses(self, batch: tuple[Tensors, Crop]) -> dict[str, torch.Tensor]:
        """Error of drawn and of rebuilt crops (see `picture_loss`) and the distance between their latents."""
        (x_t, t, tokens, picture, latents), crop = batch
        x0, drawn, rebuilt = self.module(x_t, t, tokens, picture[: self._rebuilt], crop)
        inside = (slice(None), slice(None), *(pixels(whole(c), c.start) for c in crop))
        loss, psnr = picture_loss(drawn[inside], picture[inside])
        apart = F.mse_loss(x0, latents)
        report = {"loss": loss + 0.2 * apart, "psnr": psnr, "apart": apart.detach()}
        if self._rebuilt:
            loss, psnr = picture_loss(rebuilt[inside], picture[: self._rebuilt][inside])
            report |= {"loss": report["loss"] + 0.4 * loss, "psnr_rebuilt": psnr}
        return report

    def sheet(self, path: Path) -> None:
        """World, one step from the same z, and the world's picture through the codec."""
        z, scenes = held_out(next(self.module.parameters()).device)
        part, world = self._drawing, self.world(z, scenes)
        x0 = part.denoiser(z, torch.full((len(z),), LAST, device=z.device), to_tokens(scenes))
        write_sheet([world, part.decoder(x0), part.decoder(part.encoder(world))], path)


CODEC = loop.Recipe(steps=2800, lr=3e-3, lr_end=2e-5, warmup=100, ema=0.998)
DRAWING = loop.Recipe(steps=1600, lr=2e-3, lr_end=1e-4, warmup=100, ema=0.998)
FINISH = loop.Recipe(steps=1000, lr=6e-4, lr_end=1e-5, warmup=30, ema=0.99)
"""The three stages of the pictures, in their order."""


def train_pictures(runs: Path, weights: Path, recipes: tuple[loop.Recipe, loop.Recipe, loop.Recipe]) -> None:
    """Codec, denoiser on its frozen latents, then all three on whole pictures; each resumes what is in `runs`.

    Batches are shared by the processes of `accelerate launch`.
    """
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts, shape = loop.processes(), DenoiserShape()
    denoiser, codec = Denoiser(shape), Codec()
    average = loop.run(CodecStage(24 // parts, 384 // parts, device), runs / "codec", recipes[0])
    codec.load_state_dict(average)
    _, _, pictures = world_pictures(World(), 64, torch.Generator().manual_seed(HELD_OUT - 1))
    codec.cpu().standardise(pictures.float().div(255))
    drawing = DrawingStage(denoiser, codec, 16 // parts, 576 // parts, device)
    _load(denoiser, codec, loop.run(drawing, runs / "drawing", recipes[1]))
    finish = DrawingStage(denoiser, codec, 12 // parts, 384 // parts, device, seed=4, crop=CELLS, tune=True)
    average = loop.run(finish, runs / "finish", recipes[2])
    if RANK == 0:
        ship(weights, average, shape, {"steps": [recipe.steps for recipe in recipes]})


def _load(denoiser: Denoiser, codec: Codec, average: dict[str, torch.Tensor]) -> None:
    for name, module in (("denoiser", denoiser), ("encoder", codec.encoder), ("decoder", codec.decoder)):
        module.load_state_dict(_part(average, name))


def _part(average: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in average.items() if key.startswith(f"{name}.")}


def ship(folder: Path, average: dict[str, torch.Tensor], shape: DenoiserShape, record: dict[str, object]) -> None:
    """Write denoiser, decoder and encoder of a `Drawing`'s averaged weights to `folder`, with `record` beside each."""
    for part in ("denoiser", "decoder", "encoder"):
        extra = {"shape": asdict(shape)} if part == "denoiser" else {}
        files.save(folder, part, _part(average, part), {**record, **extra})
