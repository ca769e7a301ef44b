"""Which device and which precision."""

from __future__ import annotations

import torch

from tpos_models.errors import DeviceError

CPU = torch.device("cpu")
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA, else Apple's MPS, else the CPU; raises `DeviceError` for what is not here."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind, _, index = name.partition(":")
    if not available.get(kind) or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        here = ", ".join(kind for kind, here in available.items() if here)
        raise DeviceError(f"{name}: no such device here; auto, {here} would be accepted")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is fp16 on a GPU and fp32 on the CPU; raises `DeviceError` for an unknown name."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if name not in PRECISIONS:
        raise DeviceError(f"{name}: no such precision; auto, {', '.join(PRECISIONS)} would be accepted")
    return PRECISIONS[name]
