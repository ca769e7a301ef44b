"""A model by name, on the best runner this machine has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from engine import console
from engine.priority import step_back
from export import onnx, onnx_runtime
from tpos_models import registry
from tpos_models.contracts import Model


def open_model(name: str) -> Model:
    """Load a model ready to play; raises `ModelError` or `MissingFileError`.

    `pocket` runs in ONNX Runtime; torch, left with one thread, then keeps no pool of its own spinning beside it.
    """
    if name != registry.POCKET:
        return registry.load(name)
    torch.set_num_threads(1)
    if not all(onnx.cached_path(network).exists() for network in registry.networks(name)):
        console.say("preparing the model for this machine, once; about a minute")
    with ThreadPoolExecutor(1, initializer=step_back) as behind:  # ONNX Runtime's threads inherit its place
        return behind.submit(registry.load, name, onnx_runtime.runner(), "onnx").result()
