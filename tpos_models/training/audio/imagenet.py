"""The paper's start: a ResNet-18 that has seen ImageNet."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from safetensors.torch import load_file

from tpos_models import weights
from tpos_models.audio.encoder import ResNet18
from tpos_models.errors import MissingFileError, ModelError
from tpos_models.stable_diffusion.hub import RESNET, cached

log = logging.getLogger(__name__)


def start_from_imagenet(backbone: ResNet18, file: Path | None = None) -> Path | None:
    """Load ImageNet weights from a file or the hub's cache, all but the head; says so where there are none.

    timm's and torchvision's files name their tensors alike, as `ResNet18` does. Returns the file, or None where the
    backbone starts at random. Raises `ModelError` or `MissingFileError`.
    """
    folder = None if file else cached(RESNET, "model.safetensors")
    path = folder / "model.safetensors" if folder else file
    if path is None:
        if PartialState().is_main_process:
            log.warning(
                "no ImageNet weights here (`tpos models fetch resnet18`, or --imagenet FILE): "
                "the ResNet-18 starts at random"
            )
        return None
    own = {
        name: value
        for name, value in backbone.state_dict().items()
        if name.startswith("fc.") or name.endswith("num_batches_tracked")  # another head; older files lack the counts
    }
    weights.load_into(backbone, {**_read(path), **own}, str(path))
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; a ResNet-18 of timm or torchvision was expected")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: not the weights of a ResNet-18, as .safetensors or .pth") from error
