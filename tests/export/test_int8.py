"""int8 only where it pays and hardly shows; otherwise float32."""

from __future__ import annotations

from dataclasses import replace

import onnx as onnx_files
import pytest
import torch
from small_networks import small

from export import int8
from export import onnx_export as onnx
from export import onnx_runner as onnx_runtime
from tpos_models.network import Network, run_in_torch


def with_real_inputs() -> Network:
    network = small()
    torch.manual_seed(0)
    samples = [network.example(1) for _ in range(24)]
    return replace(network, real=lambda: samples)


def integers(path) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in onnx_files.load(path).graph.node)


def test_int8_is_near_float32_and_is_kept_where_it_is_faster(tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "speedup", lambda *_: 2.0)
    network = with_real_inputs()
    run = onnx_runtime.runner(tmp_path)(network)
    chosen = onnx.cached_path(network, tmp_path, "fastest")
    assert integers(chosen)
    assert int8.signal_db(run, run_in_torch(network), network.real()) > int8.LEAST_SIGNAL_DB
    for batch in (1, 4):
        assert run(*network.example(batch))[0].shape[0] == batch


@pytest.mark.parametrize("fault", ["no faster", "wrong", "unknown"])
def test_float32_stays_where_int8_does_not_pay_or_shows(tmp_path, monkeypatch, fault):
    def unknown(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(int8, "speedup", lambda *_: 1.0 if fault == "no faster" else 2.0)
    if fault == "wrong":
        monkeypatch.setattr(int8, "LEAST_SIGNAL_DB", 200.0)
    if fault == "unknown":
        monkeypatch.setattr(int8, "quantise", unknown)
    network = with_real_inputs()
    run = onnx_runtime.runner(tmp_path)(network)
    assert not integers(onnx.cached_path(network, tmp_path, "fastest"))
    example = network.example(2)
    torch.testing.assert_close(run(*example), run_in_torch(network)(*example), rtol=1e-4, atol=1e-5)


def test_the_choice_is_made_once_and_a_damaged_one_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(int8, "speedup", lambda *_: asked.append(1) or 2.0)
    network = with_real_inputs()
    for _ in range(2):
        onnx_runtime.runner(tmp_path)(network)
    assert len(asked) == len(int8.OPERATORS)
    onnx.cached_path(network, tmp_path, "fastest").write_bytes(b"cut")
    onnx_runtime.runner(tmp_path)(network)
    assert len(asked) == 2 * len(int8.OPERATORS)


def test_a_speedup_is_the_other_time_over_its_own():
    import time

    def slow(*tensors):
        time.sleep(0.01)
        return tensors

    def quick(*tensors):
        return tensors

    assert int8.speedup(quick, slow, [(torch.zeros(1),)]) > 5
    assert int8.signal_db(quick, quick, [(torch.arange(4.0),)]) > 100
    assert int8.signal_db(lambda x: (x + 1,), quick, [(torch.arange(4.0),)]) == pytest.approx(2.2, abs=0.1)
