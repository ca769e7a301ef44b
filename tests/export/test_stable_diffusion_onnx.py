"""Stable Diffusion's networks leave as ONNX like any other model's."""

from __future__ import annotations

import pytest
import torch

from export.onnx_export import export
from tpos_models.stable_diffusion import open_model


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small are slower on two threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("part", ["text_encoder", "denoiser"])
def test_networks_match_torch(part, tmp_path):
    recipe = open_model("random:tiny-lcm", size_px=(64, 64)).recipe
    network = getattr(recipe, part)()
    assert export(network, tmp_path / f"{network.name}.onnx").error < 1e-4
