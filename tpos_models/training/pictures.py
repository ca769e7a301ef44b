"""The two stages that learn pictures from the procedural world: the codec, then all three networks together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate.utils import extract_model_from_parallel
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.pocket.canvas import CELLS, CHANNELS
from tpos_models.pocket.codec import Codec
from tpos_models.pocket.denoiser import Denoiser, DenoiserShape
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, TINTS, scene, to_tokens
from tpos_models.pocket.world import World

Tensors = tuple[torch.Tensor, ...]
Corner = tuple[int, int]

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


class CodecStage:
    """Trains encoder and decoder on random scenes."""

    name = "codec"

    def __init__(self, batch: int = 8, pool: int = 192, device: str = "cpu", seed: int = 1) -> None:
        self.module: torch.nn.Module = channels_last(Codec().to(device))
        self.batch, self.world = batch, World().to(device)
        self._pool = Pool(lambda g: (world_pictures(self.world, pool, g)[2],), period=3 * pool // batch, seed=seed)

    def make_batch(self, step: int, generator: torch.Generator) -> Tensors:
        """Pictures and the disturbance of their latents."""
        (picture,) = self._pool.batch(step, self.batch, generator)
        noise = 0.04 * random_noise(self.batch, generator)
        return picture.float().div(255).contiguous(memory_format=torch.channels_last), noise

    def losses(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """See `picture_loss`."""
        picture, noise = batch
        loss, psnr = picture_loss(self.module(picture, noise), picture)
        return {"loss": loss, "psnr": psnr}

    def sheet(self, path: Path) -> None:
        """World above, rebuilt below."""
        z, scenes = held_out(next(self.module.parameters()).device)
        picture, codec = self.world(z, scenes), extract_model_from_parallel(self.module)
        write_sheet([picture, codec(picture, torch.zeros_like(z))], path)


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
    """Denoiser, decoder and encoder, tuned together on pixels; a crop of each picture is decoded to save time."""

    def __init__(self, denoiser: Denoiser, codec: Codec, crop: int = 18) -> None:
        super().__init__()
        self.denoiser, self.encoder, self.decoder = denoiser, codec.encoder, codec.decoder
        self.crop = crop

    def forward(
        self, z: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, picture: torch.Tensor, corner: Corner
    ) -> Tensors:
        """z (B, 4, 32, 32), t (B,), tokens, pictures of the last few only -> drawn and rebuilt crops, two latents.

        Those without a picture are drawn from z; the last from x_t, made with the encoder's own x0.
        """
        encoded = self.encoder(picture)
        plain = len(z) - len(picture)
        x_t = torch.cat([z[:plain], at_time(encoded.detach(), z[plain:], t[plain:])])
        x0 = self.denoiser(x_t, t, tokens)
        return self._decoded(x0, corner), self._decoded(encoded, corner), x0[plain:], encoded

    def _decoded(self, latents: torch.Tensor, corner: Corner) -> torch.Tensor:
        rows, columns = (slice(c, c + self.crop) for c in corner)
        return self.decoder.paint(self.decoder.beside(latents)[:, :, rows, columns])


def _pixels(cells: tuple[int, int], origin: int) -> slice:
    return slice((cells[0] - origin) * 8, (cells[1] - origin) * 8)


class DrawingStage:
    """Tunes all three networks on what counts in the end: the picture drawn in one step.

    A quarter of each batch also goes through the encoder, which keeps latents of drawn and of given pictures the same.
    """

    name = "drawing"

    def __init__(
        self, denoiser: Denoiser, codec: Codec, batch: int = 8, pool: int = 512, device: str = "cpu", seed: int = 3
    ) -> None:
        self._drawing = Drawing(denoiser, codec).to(device)
        self.module: torch.nn.Module = channels_last(self._drawing)
        self.batch, self.world = batch, World().to(device)
        self._encoded = max(1, batch // 4)
        self._pool = Pool(lambda g: world_pictures(self.world, pool, g), period=6 * pool // batch, seed=seed)

    def make_batch(self, step: int, generator: torch.Generator) -> tuple[Tensors, Corner]:
        """z, t, tokens and pictures; and where to crop."""
        z, scenes, picture = self._pool.batch(step, self.batch, generator)
        t = random_times(self.batch, generator, first=0.3)
        t[: -self._encoded] = LAST
        free = CELLS - self._drawing.crop
        corner = torch.randint(-3, free + 4, (2,), generator=generator, device=generator.device).clamp(0, free)
        whole = picture.float().div(255).contiguous(memory_format=torch.channels_last)
        return (z, t, to_tokens(scenes), whole), (int(corner[0]), int(corner[1]))

    def losses(self, batch: tuple[Tensors, Corner]) -> dict[str, torch.Tensor]:
        """Error of drawn and of rebuilt crops (see `picture_loss`) and the distance between their latents."""
        (z, t, tokens, picture), corner = batch
        some = slice(len(z) - self._encoded, None)
        drawn, rebuilt, x0, encoded = self.module(z, t, tokens, picture[some], corner)
        rows, columns = (self._kept(c) for c in corner)
        want = picture[:, :, _pixels(rows, 0), _pixels(columns, 0)]
        inside = (slice(None), slice(None), _pixels(rows, corner[0]), _pixels(columns, corner[1]))
        loss_drawn, psnr = picture_loss(drawn[inside], want)
        loss_rebuilt, psnr_rebuilt = picture_loss(rebuilt[inside], want[some])
        apart = F.mse_loss(x0, encoded)
        return {
            "loss": loss_drawn + 0.4 * loss_rebuilt + 0.1 * apart,
            "psnr": psnr, "psnr_rebuilt": psnr_rebuilt, "apart": apart.detach(),
        }  # fmt: skip

    def _kept(self, corner: int) -> tuple[int, int]:
        """First and last + 1 cell of a crop that saw all its neighbours, or the picture's own border."""
        end = corner + self._drawing.crop
        return (corner + 1 if corner else 0), (end - 1 if end < CELLS else CELLS)

    def sheet(self, path: Path) -> None:
        """World, one step from the same z, and the world's picture through the codec."""
        z, scenes = held_out(next(self.module.parameters()).device)
        part, world = self._drawing, self.world(z, scenes)
        x0 = part.denoiser(z, torch.full((len(z),), LAST, device=z.device), to_tokens(scenes))
        write_sheet([world, part.decoder(x0), part.decoder(part.encoder(world))], path)


def ship(folder: Path, average: dict[str, torch.Tensor], shape: DenoiserShape, record: dict[str, object]) -> None:
    """Write denoiser, decoder and encoder of a `Drawing`'s averaged weights to `folder`, with `record` beside each."""
    for part in ("denoiser", "decoder", "encoder"):
        tensors = {key.removeprefix(f"{part}."): value for key, value in average.items() if key.startswith(f"{part}.")}
        extra = {"shape": asdict(shape)} if part == "denoiser" else {}
        weights.save(folder, part, tensors, {**record, **extra})
