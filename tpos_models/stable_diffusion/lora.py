"""LoRA files, and one fused into a network's weights: W + strength * alpha / rank * up @ down (Hu et al. 2021).

Three spellings are read: kohya's (`lora_unet_down_blocks_0_..`, the LCM-LoRA's; for SDXL with the names of
`sgm_names`), PEFT's (`unet.down_blocks.0...lora_A.weight`) and diffusers' older one
(`...processor.to_q_lora.down.weight`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from tpos_models.errors import InputError, MissingFileError, ModelError
from tpos_models.stable_diffusion.folder import read_tensors
from tpos_models.stable_diffusion.sgm_names import from_sgm

_PARTS = {
    "unet": "unet", "text_encoder": "text_encoder", "text_encoder_2": "text_encoder_2",
    "lora_unet": "unet", "lora_te": "text_encoder", "lora_te1": "text_encoder", "lora_te2": "text_encoder_2",
}  # fmt: skip
_DOWN = r"lora_down|lora_A(?:\.default)?|lora\.down|lora_linear_layer\.down"
_UP = r"lora_up|lora_B(?:\.default)?|lora\.up|lora_linear_layer\.up"
_PART = r"unet|text_encoder_2|text_encoder|lora_unet|lora_te[12]?"
_KEY = re.compile(rf"^({_PART})[._](.+?)[._]?(?:({_DOWN})\.weight|({_UP})\.weight|alpha)$")


@dataclass(frozen=True)
class Lora:
    """A LoRA file and how strongly it is applied, usually 0..1."""

    path: Path
    strength: float = 1.0

    @classmethod
    def parse(cls, text: str, known: Mapping[str, float] = MappingProxyType({})) -> Lora:
        """`FILE:STRENGTH`, or `FILE`: as strong as `known` has its stem, else 1.

        Raises `InputError` or `MissingFileError`.
        """
        path, _, strength = text.rpartition(":") if re.search(r":-?[\d.]+$", text) else (text, "", "")
        if not Path(path).is_file():
            raise MissingFileError(f"{path}: no such LoRA file; FILE.safetensors or FILE.safetensors:0.8 expected")
        value = float(strength) if strength else known.get(Path(path).stem, 1.0)
        if not -4 <= value <= 4:
            raise InputError(f"{text}: strength is {strength}; -4 to 4 would be accepted")
        return cls(Path(path), value)


@dataclass
class Layer:
    """One layer of a file: down (rank, in, ..), up (out, rank, ..)."""

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    alpha: float | None = None

    def to(self, device: torch.device) -> Layer:
        """The same, on a device."""
        down, up = (None if half is None else half.to(device) for half in (self.down, self.up))
        return Layer(down, up, self.alpha)

    def delta(self, shape: torch.Size) -> torch.Tensor | None:
        """alpha / rank * up @ down in float32, as `shape`; None when the two do not make that shape."""
        if self.down is None or self.up is None or self.up.flatten(1).shape[1] != self.down.shape[0]:
            return None
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        if product.numel() != shape.numel() or product.shape[0] != shape[0]:
            return None
        rank = self.down.shape[0]
        return product.view(shape) * ((rank if self.alpha is None else self.alpha) / rank)


def read_lora(path: Path) -> dict[str, dict[str, Layer]]:
    """Layers of a LoRA file by part (as the folders are named) and flat layer name; raises `ModelError`."""
    if path.suffix != ".safetensors":
        raise ModelError(f"{path}: a LoRA as .safetensors was expected; pickled files can run code and are not read")
    parts: dict[str, dict[str, Layer]] = {part: {} for part in _PARTS.values()}
    for key, value in read_tensors(path).items():
        match = _KEY.match(key)
        if match is None:
            raise ModelError(f"{path}: {key} belongs to no LoRA layer of SD 1.x, 2.x or SDXL; another base model?")
        if not torch.isfinite(value).all():
            raise ModelError(f"{path}: {key} holds NaN or infinity")
        layer = parts[_PARTS[match[1]]].setdefault(flat_name(match[2]), Layer())
        if match[3]:
            layer.down = value
        elif match[4]:
            layer.up = value
        else:
            layer.alpha = float(value)
    return parts


def flat_name(name: str) -> str:
    """A layer's name as all spellings agree on it."""
    name = name.replace(".", "_").replace("_processor_", "_").removeprefix("text_model_")
    return from_sgm(name.replace("_to_out_0", "_to_out"))


@torch.no_grad()
def fuse(module: nn.Module, part: str, lora: Lora) -> None:
    """Add a LoRA's layers for `part` to the weights; raises `ModelError` when one has no place here."""
    layers = read_lora(lora.path)[part]
    weights = _weights(module)
    check_fits(lora.path, part, layers, weights)
    for name, layer in layers.items():
        weight = weights[name]
        weight += (lora.strength * torch.as_tensor(_delta(layer, weight))).to(weight)


def check_fits(path: Path, part: str, layers: Mapping[str, Layer], weights: Mapping[str, torch.Tensor]) -> None:
    """Raise `ModelError` where a file has layers that none of the weights, by flat name, has the shape of."""
    wrong = [name for name, layer in layers.items() if _delta(layer, weights.get(name)) is None]
    if wrong:
        raise ModelError(
            f"{path}: a LoRA for another base: {len(wrong)} of {len(layers)} {part} layers do not fit, "
            f"first {wrong[0]}; one trained for this model was expected"
        )


def _delta(layer: Layer, weight: torch.Tensor | None) -> torch.Tensor | None:
    return None if weight is None else layer.delta(weight.shape)


def _weights(module: nn.Module) -> Mapping[str, torch.Tensor]:
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return {flat_name(name): layer.weight for name, layer in layers}
