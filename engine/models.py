"""A model by name, on the best runner this machine has."""

from __future__ import annotations

from export import onnx_runtime
from tpos_models.contracts import Model
from tpos_models.registry import load


def open_model(name: str) -> Model:
    """Load a model ready to play; raises `ModelError` or `MissingFileError`."""
    return load(name, onnx_runtime.runner(), "onnx")
