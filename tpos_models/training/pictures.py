"""The two stages that learn pictures from the procedural world: the codec, then the one-step denoiser."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate.utils import extract_model_from_parallel
from torch.nn import functional as F

from tpos_models.pocket.canvas import CELLS, CHANNELS
from tpos_models.pocket.codec import Codec
from tpos_models.pocket.denoiser import Denoiser, DenoiserShape
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PLACE, PLACES, SCENE_SIZE, TINTS, scene, to_tokens
from tpos_models.pocket.world import World

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


class CodecStage:
    """Trains encoder and decoder on random scenes."""

    name = "codec"

    def __init__(self, batch: int = 8, device: str = "cpu", seed: int = 1) -> None:
        self.module: torch.nn.Module = Codec().to(device, memory_format=torch.channels_last)
        self.batch, self.world = batch, World().to(device)
        self._pool = Pool(self._draw, period=72, seed=seed)

    def _draw(self, generator: torch.Generator) -> Tensors:
        parts = []
        for _ in range(12):
            picture = self.world(random_noise(16, generator), random_scenes(16, generator))
            parts.append((picture * 255).round().byte())
        return (torch.cat(parts),)

    def make_batch(self, step: int, generator: torch.Generator) -> Tensors:
        """Pictures and the disturbance of their latents."""
        (picture,) = self._pool.batch(step, self.batch, generator)
        noise = 0.04 * random_noise(self.batch, generator)
        return picture.float().div(255).contiguous(memory_format=torch.channels_last), noise

    def losses(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """Absolute and squared error of colours, absolute error of edges."""
        picture, noise = batch
        rebuilt = self.module(picture, noise)
        squared = F.mse_loss(rebuilt, picture)
        edges = sum(F.l1_loss(a, b) for a, b in zip(slopes(rebuilt), slopes(picture), strict=True))
        loss = F.l1_loss(rebuilt, picture) + 4 * squared + 0.5 * edges
        return {"loss": loss, "psnr": -10 * torch.log10(squared.detach())}

    def sheet(self, path: Path) -> None:
        """World above, rebuilt below."""
        z, scenes = held_out(next(self.module.parameters()).device)
        picture, codec = self.world(z, scenes), extract_model_from_parallel(self.module)
        write_sheet([picture, codec(picture, torch.zeros_like(z))], path)


def sensitivity(decoder: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """How much each latent channel moves the picture, (1, 4, 1, 1) with mean 1: squared change for a small random push."""
    plain = decoder(latents)
    pushes = []
    for channel in range(CHANNELS):
        push = torch.zeros_like(latents)
        push[:, channel] = 0.1 * random_noise(len(latents), torch.Generator().manual_seed(channel))[:, 0].to(latents)
        pushes.append((decoder(latents + push) - plain).square().mean())
    weights = torch.stack(pushes)
    return (weights / weights.mean()).view(1, -1, 1, 1)


def at_time(x0: torch.Tensor, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x_t of the rectified flow; exactly z at t = 999."""
    s = (t.to(x0) / LAST).view(-1, 1, 1, 1)
    return torch.where(s == 1, z, (1 - s) * x0 + s * z)


def random_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Timesteps (count,): 70 % the first of all, the rest shared by the few-step schedule and everything between."""
    kind = torch.rand(count, generator=generator, device=generator.device)
    few = torch.tensor(FEW_STEPS, device=generator.device)[torch.randint(4, (count,), generator=generator, device=generator.device)]
    anywhere = torch.randint(LAST + 1, (count,), generator=generator, device=generator.device)
    return torch.where(kind < 0.7, LAST, torch.where(kind < 0.85, few, anywhere))


class DenoiserStage:
    """Trains one-step drawing in latent space against the encoded pictures of the world."""

    name = "denoiser"

    def __init__(
        self, codec: Codec, shape: DenoiserShape, batch: int = 8, pool: int = 768, device: str = "cpu", seed: int = 2
    ) -> None:
        self.module: torch.nn.Module = Denoiser(shape).to(device, memory_format=torch.channels_last)
        self.codec = codec.to(device).eval().requires_grad_(False)
        self.batch, self.world, self._size = batch, World().to(device), pool
        self._pool = Pool(self._draw, period=4 * pool // batch, seed=seed)
        generator = torch.Generator(device).manual_seed(HELD_OUT)
        with torch.no_grad():
            picture = self.world(random_noise(16, generator), random_scenes(16, generator))
            self.weight = sensitivity(self.codec.decoder, self.codec.encoder(picture))

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> Tensors:
        z, scenes = random_noise(self._size, generator), random_scenes(self._size, generator)
        parts = zip(z.split(16), scenes.split(16), strict=True)
        return z, scenes, torch.cat([self.codec.encoder(self.world(a, b)) for a, b in parts])

    def make_batch(self, step: int, generator: torch.Generator) -> Tensors:
        """x_t, t, tokens and x0."""
        z, scenes, x0 = self._pool.batch(step, self.batch, generator)
        t = random_times(self.batch, generator)
        return at_time(x0, z, t), t, to_tokens(scenes), x0

    def losses(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """Squared error of x0, channels weighted by what they mean to the decoder; "one_step" is that at t = 999."""
        x_t, t, tokens, x0 = batch
        error = ((self.module(x_t, t, tokens) - x0).square() * self.weight).mean((1, 2, 3))
        first = (t == LAST).to(error)
        return {"loss": error.mean(), "one_step": (error.detach() * first).sum() / first.sum().clamp_min(1)}

    def sheet(self, path: Path) -> None:
        """World above, one step from the same z below."""
        z, scenes = held_out(self.weight.device)
        denoiser = extract_model_from_parallel(self.module)
        x0 = denoiser(z, torch.full((len(z),), LAST, device=z.device), to_tokens(scenes))
        write_sheet([self.world(z, scenes), self.codec.decoder(x0)], path)
