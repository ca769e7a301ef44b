"""Networks as ONNX: right, cached, rebuilt when damaged, and never the end of the show."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export import onnx, onnx_runtime
from tpos_models.errors import ModelError, StorageError
from tpos_models.network import Network, max_relative_error, run_in_torch


class Small(torch.nn.Module):
    """Two inputs, two outputs, something of everything the exporter must get right."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.nn.functional.silu(self.conv(x)) * (1 + t[:, None, None, None] / 1000)
        return y, y.flatten(1).softmax(-1)


def small(module: type[torch.nn.Module] = Small) -> Network:
    return Network(
        "small",
        lambda: module().eval(),
        lambda batch: (torch.randn(batch, 4, 8, 8), torch.full((batch,), 999)),
        ("x", "t"),
        ("y", "p"),
        "0123456789abcdef" * 4,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    return onnx.export(small(), tmp_path_factory.mktemp("onnx") / "small.onnx").path


def test_the_file_computes_what_torch_computes_at_every_batch(exported):
    run, reference = onnx_runtime.open_session(exported, small()), run_in_torch(small())
    for batch in (1, 2, 3, 4):
        example = small().example(batch)
        assert max_relative_error(run(*example), reference(*example)) < 1e-5
    assert onnx.check(small(), exported) < 1e-3


def test_a_wrong_file_fails_its_check(exported):
    class Different(Small):
        def forward(self, x, t):
            y, p = super().forward(x, t)
            return y * 1.01, p

    with pytest.raises(ModelError, match="differs from torch by"):
        onnx.check(small(Different), exported)


def test_the_cache_is_used_and_a_damaged_file_is_rebuilt(tmp_path, monkeypatch):
    built = []
    real = onnx.export
    monkeypatch.setattr(onnx_runtime, "export", lambda network, path: built.append(path) or real(network, path))
    runner = onnx_runtime.runner(tmp_path)
    example = small().example(2)
    want = runner(small())(*example)
    assert len(built) == 1
    runner(small())
    assert len(built) == 1
    built[0].write_bytes(built[0].read_bytes()[:200])
    assert max_relative_error(runner(small())(*example), want) < 1e-6
    assert len(built) == 2
    assert not list(built[0].parent.glob(".building-*"))


def test_a_cache_that_cannot_be_written_costs_a_build_not_the_show(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="TPOS_CACHE"):
        onnx.export(small(), blocked / "onnx" / "small.onnx")
    run = onnx_runtime.runner(blocked)(small())
    assert run(*small().example(1))[0].shape == (1, 4, 8, 8)


def test_a_foreign_file_is_refused(exported):
    other = Network("other", Small, small().example, ("latents",), ("y",), "f" * 64)
    with pytest.raises(ModelError, match="inputs are"):
        onnx_runtime.open_session(exported, other)


def test_other_weights_or_another_torch_are_another_file(tmp_path, monkeypatch):
    from dataclasses import replace

    here = onnx.cached_path(small(), tmp_path)
    assert here != onnx.cached_path(replace(small(), fingerprint="e" * 64), tmp_path)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert here != onnx.cached_path(small(), tmp_path)
