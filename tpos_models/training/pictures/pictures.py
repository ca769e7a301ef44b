"""The stages that learn pictures from the procedural world: codec, sketch, drawing, and all of it together."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights as files
from tpos_models.pocket.codec import Codec
from tpos_models.pocket.denoiser import Denoiser, DenoiserShape
from tpos_models.pocket.noise_features import CELLS, Crop
from tpos_models.pocket.scene import to_tokens
from tpos_models.pocket.world.world import World
from tpos_models.training import loop
from tpos_models.training.pictures.samples import (
    HELD_OUT,
    LAST,
    RANK,
    Pool,
    Tensors,
    held_out,
    random_noise,
    two_moments,
    world_pictures,
    write_sheet,
)
from tpos_models.training.pictures.sketches import SketchStage

FEW_STEPS = (999, 679, 359, 99)


def slopes(picture: torch.Tensor) -> Tensors:
    """Differences between neighbouring pixels, across and down."""
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def grain(picture: torch.Tensor) -> torch.Tensor:
    """Root mean square slope in each block of 8 x 8 pixels: what is drawn too softly lacks it."""
    across, down = (slope.square() for slope in slopes(picture))
    return (F.avg_pool2d(across[..., :-1, :] + down[..., :-1], 8) + 1e-6).sqrt()


def picture_loss(got: torch.Tensor, want: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Absolute and squared error of colours, fine and broad, with absolute error of edges and grain; and PSNR in dB."""
    squared = F.mse_loss(got, want)
    edges = sum(F.l1_loss(a, b) for a, b in zip(slopes(got), slopes(want), strict=True))
    broad = F.mse_loss(F.avg_pool2d(got, 8), F.avg_pool2d(want, 8))
    sharp = F.l1_loss(grain(got), grain(want))
    return F.l1_loss(got, want) + 4 * squared + 8 * broad + 0.5 * edges + 1.5 * sharp, -10 * torch.log10(
        squared.detach()
    )


def flicker(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """How far errors change between two moments of a scene, pictures (2 B, 3, h, w): what stands still bothers less."""
    error = got - want
    return 8 * (error[::2] - error[1::2]).abs().mean()


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
        self.module: torch.nn.Module = loop.channels_last(self._codec)
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

    Codec and sketch stay as they are, unless `tune`: then a third of each batch also goes through the encoder, so that
    latents of drawn and of given pictures stay the same while all networks learn. `batch` and `pool` are even.
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
        for part in (codec.encoder, codec.decoder, denoiser.sketcher):
            part.requires_grad_(tune)
        self.module: torch.nn.Module = loop.channels_last(self._drawing)
        self.batch, self.crop, self.world = batch, crop, World().to(device)
        self._rebuilt = 2 * max(1, batch // 6) if tune else 0
        self._pool = Pool(lambda g: self._samples(pool // 2, g), period=max(1, 8 * pool // batch), seed=seed)

    def _samples(self, count: int, generator: torch.Generator) -> Tensors:
        """z, tokens, pictures and their latents, each at two moments."""
        z, scenes, pictures = two_moments(self.world, count, generator)
        with torch.no_grad():
            latents = [self._drawing.encoder(part.float().div(255)) for part in pictures.flatten(0, 1).split(16)]
        return z, to_tokens(scenes), pictures, torch.cat(latents).unflatten(0, (count, 2))

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Tensors, Crop]:
        """x_t, t, tokens, crops of pictures and of latents; and where to crop. Some start after t = 999.

        Two by two they are moments of one scene.
        """
        pairs = self.batch // 2
        z, tokens, picture, latents = (part.flatten(0, 1) for part in self._pool.batch(step, pairs, generator))
        t = random_times(pairs, generator, first=0.2)
        t[-(-pairs // 3) :] = LAST
        t = t.repeat_interleave(2)
        crop = random_crop(self.crop, generator)
        picture = picture[:, :, pixels(crop[0]), pixels(crop[1])].float().div(255)
        picture = picture.contiguous(memory_format=torch.channels_last)
        return (at_time(latents, z, t), t, tokens, picture, latents[:, :, *crop]), crop

    def losses(self, batch: tuple[Tensors, Crop]) -> dict[str, torch.Tensor]:
        """Error of drawn and of rebuilt crops (`picture_loss`, `flicker`) and the distance between their latents."""
        (x_t, t, tokens, picture, latents), crop = batch
        x0, drawn, rebuilt = self.module(x_t, t, tokens, picture[: self._rebuilt], crop)
        inside = (slice(None), slice(None), *(pixels(whole(c), c.start) for c in crop))
        loss, psnr = picture_loss(drawn[inside], picture[inside])
        apart = F.mse_loss(x0, latents)
        flickers = flicker(drawn[inside], picture[inside])
        report = {"loss": loss + flickers + 0.2 * apart, "psnr": psnr, "apart": apart.detach()}
        report["flicker"] = flickers.detach()
        if self._rebuilt:
            given = picture[: self._rebuilt][inside]
            loss, psnr = picture_loss(rebuilt[inside], given)
            loss = loss + flicker(rebuilt[inside], given)
            report |= {"loss": report["loss"] + 0.4 * loss, "psnr_rebuilt": psnr}
        return report

    def sheet(self, path: Path) -> None:
        """World, one step from the same z, and the world's picture through the codec."""
        z, scenes = held_out(next(self.module.parameters()).device)
        part, world = self._drawing, self.world(z, scenes)
        x0 = part.denoiser(z, torch.full((len(z),), LAST, device=z.device), to_tokens(scenes))
        write_sheet([world, part.decoder(x0), part.decoder(part.encoder(world))], path)


CODEC = loop.Recipe(steps=2800, lr=3e-3, lr_end=2e-5, warmup=100, ema=0.998)
SKETCH = loop.Recipe(steps=8000, lr=4e-3, lr_end=3e-5, warmup=100, ema=0.998, weight_decay=0.2)
DRAWING = loop.Recipe(steps=2400, lr=2e-3, lr_end=1e-4, warmup=100, ema=0.998)
FINISH = loop.Recipe(steps=1150, lr=6e-4, lr_end=1e-5, warmup=30, ema=0.99)
"""The four stages of the pictures, in their order."""
Recipes = tuple[loop.Recipe, loop.Recipe, loop.Recipe, loop.Recipe]


def train_pictures(runs: Path, weights: Path, recipes: Recipes = (CODEC, SKETCH, DRAWING, FINISH)) -> None:
    """Codec; sketch; denoiser on the frozen codec; then all of it on whole pictures. Each resumes what is in `runs`.

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
    sketches = SketchStage(denoiser.sketcher, 192 // parts, 1536 // parts, device)
    denoiser.sketcher.load_state_dict(part_of(loop.run(sketches, runs / "sketch", recipes[1]), "sketcher"))
    drawing = DrawingStage(denoiser, codec, 16 // parts, 576 // parts, device)
    _load(denoiser, codec, loop.run(drawing, runs / "drawing", recipes[2]))
    finish = DrawingStage(denoiser, codec, 12 // parts, 384 // parts, device, seed=4, crop=CELLS, tune=True)
    average = loop.run(finish, runs / "finish", recipes[3])
    if RANK == 0:
        ship(weights, average, shape, {"steps": [recipe.steps for recipe in recipes]})


def _load(denoiser: Denoiser, codec: Codec, average: dict[str, torch.Tensor]) -> None:
    for name, module in (("denoiser", denoiser), ("encoder", codec.encoder), ("decoder", codec.decoder)):
        module.load_state_dict(part_of(average, name))


def part_of(average: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The tensors under one name, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in average.items() if key.startswith(f"{name}.")}


def ship(folder: Path, average: dict[str, torch.Tensor], shape: DenoiserShape, record: dict[str, object]) -> None:
    """Write denoiser, decoder and encoder of a `Drawing`'s averaged weights to `folder`, with `record` beside each.

    In float16, which loses less than training does from one step to the next.
    """
    for part in ("denoiser", "decoder", "encoder"):
        extra = {"shape": shape.record()} if part == "denoiser" else {}
        files.save(
            folder, part, {key: value.half() for key, value in part_of(average, part).items()}, {**record, **extra}
        )
