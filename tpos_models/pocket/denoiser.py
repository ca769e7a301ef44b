"""The one-step denoiser: a hypernetwork's sketch, made latents by diffusers' own UNet2DModel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn
from torch.nn import functional as F

from tpos_models import weights
from tpos_models.errors import ModelError
from tpos_models.pocket.hypernetwork import PROMPT_SIZE, SKETCH_CHANNELS, SketchHypernetwork, affine, prompt_features
from tpos_models.pocket.noise_features import CELLS, CHANNELS, MAPS, Crop, NoiseFeatures

SCENE_FEATURES = PROMPT_SIZE - 1
"""Prompt features without the last, how far x_t has left z: the UNet is given t itself."""
FEATURES = CHANNELS + MAPS

_RECORD_KEYS = {
    "latent_hidden_width": "cuts",
    "latent_maps": "maps",
    "latent_bias_maps": "backdrops",
    "sketch_hidden_width": "strokes",
    "sketch_alpha_layers": "inks",
    "sketch_bias_maps": "sets",
}
"""What records of weights call a size; the others are called by their own names."""


@dataclass(frozen=True)
class DenoiserShape:
    """Widths of the UNet's levels, blocks per level, the prompt's hidden layer; sizes of the two hypernetworks."""

    widths: tuple[int, ...] = (64,)
    layers: int = 1
    hidden: int = 256
    latent_hidden_width: int = 64
    latent_maps: int = 32
    latent_bias_maps: int = 16
    sketch_hidden_width: int = 80
    sketch_alpha_layers: int = 14
    sketch_bias_maps: int = 6

    def record(self) -> dict[str, object]:
        """The sizes as they stand beside the weights."""
        return {_RECORD_KEYS.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_record(cls, record: Mapping[str, object], source: str) -> DenoiserShape:
        """The sizes under "shape" in a record; raises `ModelError`, naming `source`."""
        found, keys = record.get("shape"), cls().record().keys()
        if not isinstance(found, dict) or found.keys() != keys:
            raise ModelError(f"{source}: no sizes of a denoiser; expected a shape with {', '.join(keys)}")
        names = {key: name for name, key in _RECORD_KEYS.items()}
        sizes: dict[str, Any] = {names.get(str(key), str(key)): value for key, value in found.items()}
        return cls(**{**sizes, "widths": tuple(sizes["widths"])})


class LatentHypernetwork(nn.Module):
    """Features of x_t to maps, cell by cell, by a small network of three layers whose weights the prompt writes.

    What the sketch is to colours, this is to latents. `backdrops` are bias maps that depend on the prompt alone: what
    always stands at the same spot.
    """

    def __init__(self, hidden_width: int, maps: int, bias_maps: int) -> None:
        super().__init__()
        self.backdrops = nn.Parameter(torch.zeros(SCENE_FEATURES, bias_maps, CELLS, CELLS))
        self._sizes = (
            (hidden_width, FEATURES + bias_maps + 1),
            (hidden_width, hidden_width + 1),
            (maps, hidden_width + 1),
        )
        layers = [nn.Linear(SCENE_FEATURES, rows * columns) for rows, columns in self._sizes]
        for layer, std in zip(layers, (0.08, 0.08, 0.03), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)
        self.layers = nn.ModuleList(layers)
        self._outputs = hidden_width + maps

    def forward(self, features: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
        """(B, FEATURES, 32, 32), (B, SCENE_FEATURES) -> (B, hidden_width + maps, 32, 32)."""
        bias_maps = (prompt @ self.backdrops.flatten(1)).view(-1, self.backdrops.shape[1], CELLS * CELLS)
        x = torch.cat([features.flatten(2), bias_maps], 1)
        first, second, third = (
            layer(prompt).view(-1, *size) for layer, size in zip(self.layers, self._sizes, strict=True)
        )
        hidden = torch.tanh(2 * affine(first, x))
        maps = affine(third, F.silu(affine(second, hidden)))
        return torch.cat([maps, hidden], 1).view(-1, self._outputs, CELLS, CELLS)


class Denoiser(nn.Module):
    """(x_t (B, 4, 32, 32), t (B,) int64 in 0..999, tokens (B, 17, 32)) -> x0 (B, 4, 32, 32).

    Rectified flow: x_t = (1 - s) x0 + s z with s = t / 999, so that at t = 999 x_t is z itself. The prompt writes the
    weights of `sketcher` and `scenery` (names that the weights on disk know them by), and steers every block by scale
    and shift (FiLM, Perez et al. 2018), through the embedding that diffusers offers for classes. The first latent maps
    are a first idea of the latents, which the UNet corrects.
    """

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        shape = shape or DenoiserShape()
        levels = len(shape.widths)
        self.noise_features = NoiseFeatures()
        self.sketcher = SketchHypernetwork(shape.sketch_hidden_width, shape.sketch_alpha_layers, shape.sketch_bias_maps)
        self.scenery = LatentHypernetwork(shape.latent_hidden_width, shape.latent_maps, shape.latent_bias_maps)
        self.unet: Any = UNet2DModel(  # whose base class its own stubs do not know
            sample_size=CELLS,
            in_channels=FEATURES + shape.latent_hidden_width + shape.latent_maps + SKETCH_CHANNELS,
            out_channels=CHANNELS,
            block_out_channels=shape.widths,
            layers_per_block=shape.layers,
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            add_attention=False,
            resnet_time_scale_shift="scale_shift",
            class_embed_type="identity",
            norm_num_groups=8,
        )
        embedding = shape.widths[0] * 4
        self.condition = nn.Sequential(
            nn.Linear(SCENE_FEATURES, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, embedding)
        )

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, crop: Crop | None = None
    ) -> torch.Tensor:
        """`crop`, in training, is the part that is drawn."""
        prompt = prompt_features(tokens, t)
        scenes = prompt[:, :SCENE_FEATURES]
        features = torch.cat([x_t, self.noise_features.maps(x_t)], 1)
        inputs = torch.cat([features, self.scenery(features, scenes)], 1)
        if crop:
            inputs = inputs[:, :, *crop]
        drawn = self.unet(
            torch.cat([inputs, self.sketcher(x_t, prompt, crop)], 1), t, self.condition(scenes), return_dict=False
        )
        return inputs[:, FEATURES : FEATURES + CHANNELS] + drawn[0]


def load_denoiser(folder: Path) -> Denoiser:
    """The trained denoiser in evaluation mode; raises `ModelError` or `MissingFileError`."""
    tensors, record = weights.load(folder, "denoiser")
    module = Denoiser(DenoiserShape.from_record(record, f"{folder / 'denoiser.json'}"))
    weights.load_into(module, tensors, str(folder / "denoiser.safetensors"))
    return module.eval()
