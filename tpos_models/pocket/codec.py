"""Pictures to latents and back: 256 x 256 RGB to 4 x 32 x 32 of zero mean and unit variance.

The decoder is sized for live use on two CPU cores; the encoder only runs in training and evaluation. Both are given
where in the picture each cell lies.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.pocket.noise_features import CHANNELS, COORDINATES, Crop, NoiseFeatures

Pair = tuple[torch.Tensor, torch.Tensor]


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class WithCoordinates(nn.Module):
    """Base of both halves: the constant coordinate maps of the 32 x 32 cells."""

    coordinates: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("coordinates", NoiseFeatures().coordinates()[None], persistent=False)

    def beside(self, x: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """x (B, C, rows, columns) with the coordinates of its cells as further channels."""
        where = self.coordinates[:, :, *crop] if crop else self.coordinates
        return torch.cat([x, where.expand(x.shape[0], -1, -1, -1)], 1)


class Encoder(WithCoordinates):
    """RGB (B, 3, 256, 256) in 0..1 to latents (B, 4, 32, 32)."""

    def __init__(self, width: int = 32, deep: int = 96) -> None:
        super().__init__()
        self.patches = nn.Conv2d(48, width, 3, padding=1)
        self.fine = Residual(width)
        self.down = nn.Conv2d(4 * width, deep, 1)
        self.where = nn.Conv2d(deep + COORDINATES, deep, 1)
        self.coarse = nn.Sequential(Residual(deep), Residual(deep))
        self.out = nn.Conv2d(deep, CHANNELS, 1)

    def forward(self, picture: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """Whole pictures; or, with `crop`, the part of them that these cells show."""
        x = self.fine(self.patches(F.pixel_unshuffle(picture * 2 - 1, 4)))
        x = self.where(self.beside(self.down(F.pixel_unshuffle(x, 2)), crop))
        return self.out(F.relu(self.coarse(x)))


def pixel_shuffle(x: torch.Tensor) -> torch.Tensor:
    """(B, 4 C, rows, columns) to (B, C, 2 rows, 2 columns).

    An exporter gets it as two plain transpositions, which ONNX Runtime does four times faster than its DepthToSpace.
    """
    if not torch.onnx.is_in_onnx_export():
        return F.pixel_shuffle(x, 2)
    channels, rows, columns = int(x.shape[1]) // 4, int(x.shape[2]), int(x.shape[3])
    x = x.view(-1, 2 * channels, 2, rows * columns).transpose(2, 3).reshape(-1, channels, 2, rows, 2 * columns)
    return x.transpose(2, 3).reshape(-1, channels, 2 * rows, 2 * columns)


class Decoder(WithCoordinates):
    """Latents (B, 4, 32, 32) to RGB (B, 3, 256, 256), 0..1 once `eval()`; about 1.2 GFLOP."""

    def __init__(self, widths: tuple[int, int, int] = (64, 40, 16), blocks: tuple[int, int, int] = (3, 2, 1)) -> None:
        super().__init__()
        a, b, c = widths
        self.start = nn.Conv2d(CHANNELS + COORDINATES, a, 3, padding=1)
        self.at_32 = nn.Sequential(*(Residual(a) for _ in range(blocks[0])))
        self.to_64 = nn.Conv2d(a, 4 * b, 1)
        self.at_64 = nn.Sequential(*(Residual(b) for _ in range(blocks[1])))
        self.to_128 = nn.Conv2d(b, 4 * c, 1)
        self.at_128 = nn.Sequential(*(Residual(c) for _ in range(blocks[2])))
        self.out = nn.Conv2d(c, 12, 3, padding=1)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.paint(latents)

    def paint(self, latents: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """Whole latents, or the cells of `crop`, to pixels."""
        x = self.at_32(self.start(self.beside(latents, crop)))
        x = self.at_64(pixel_shuffle(self.to_64(F.relu(x))))
        x = self.at_128(pixel_shuffle(self.to_128(F.relu(x))))
        picture = pixel_shuffle(self.out(F.relu(x))) * 0.5 + 0.5
        return picture if self.training else picture.clamp(0, 1)


class Codec(nn.Module):
    """Both halves, as they are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, picture: torch.Tensor, noise: torch.Tensor, crop: Crop | None = None) -> Pair:
        """Pictures through the latents, disturbed by `noise`, and back; and the latents."""
        latents = self.encoder(picture, crop)
        return self.decoder.paint(latents + noise, crop), latents

    @torch.no_grad()
    def standardise(self, pictures: torch.Tensor) -> None:
        """Fold a scale into both halves that gives the latents of `pictures` unit variance in every channel."""
        std = self.encoder(pictures).std((0, 2, 3))[:, None, None]
        for parameter in self.encoder.out.parameters():
            parameter.div_(std.view(-1, *[1] * (parameter.ndim - 1)))
        self.decoder.start.weight[:, :CHANNELS].mul_(std)


def load_codec(folder: Path) -> Codec:
    """Encoder and decoder, trained, in evaluation mode; raises `ModelError` or `MissingFileError`."""
    codec = Codec()
    for part in ("encoder", "decoder"):
        weights.load_into(getattr(codec, part), weights.load(folder, part)[0], str(folder / f"{part}.safetensors"))
    return codec.eval()
