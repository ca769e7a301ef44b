"""LoRA files for the `random:tiny-` models, and what they make of weights, in numpy's float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ATTENTION = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2"
LINEAR, VALUE, CONV = f"{ATTENTION}.to_k", f"{ATTENTION}.to_v", "unet.down_blocks.0.resnets.0.conv1"
TEXT = "text_encoder.text_model.encoder.layers.0.self_attn.v_proj"
SHAPES = {LINEAR: (32, 32), VALUE: (32, 32), CONV: (32, 32, 3, 3), TEXT: (32, 32)}


def write_lora(path: Path, *layers: str, seed: int = 0, rank: int = 3) -> Path:
    """A file in PEFT's spelling, its alpha the rank."""
    generator, tensors = torch.Generator().manual_seed(seed), dict[str, torch.Tensor]()
    for layer in layers:
        out, *inner = SHAPES[layer]
        ones = (1,) * (len(inner) - 1)
        tensors[f"{layer}.lora_A.weight"] = torch.randn(rank, *inner, generator=generator) * 0.3
        tensors[f"{layer}.lora_B.weight"] = torch.randn(out, rank, *ones, generator=generator) * 0.3
    save_file(tensors, path)
    return path


@torch.no_grad()
def add_by_hand(module: torch.nn.Module, loras: Sequence[tuple[Path, float]]) -> None:
    """W + sum_i s_i B_i A_i, written into a UNet or a CLIP."""
    weights = {name.replace("text_model.", ""): weight for name, weight in module.named_parameters()}
    for layer in SHAPES:
        name = layer.split(".", 1)[1].replace("text_model.", "") + ".weight"
        if name not in weights:
            continue
        value = weights[name].double().numpy()
        for path, strength in loras:
            tensors = load_file(path)
            if f"{layer}.lora_A.weight" in tensors:
                a, b = (tensors[f"{layer}.lora_{half}.weight"].double().numpy() for half in "AB")
                value = value + strength * np.tensordot(b.reshape(len(b), -1), a, 1)
        weights[name].copy_(torch.from_numpy(value))
