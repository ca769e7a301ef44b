"""int8 only where it is faithful at every timestep; built the same way on every machine."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_networks import Small, powers_db, real_inputs, small

from export import int8, onnx_runner
from export.onnx_session import open_session
from tpos_models.errors import ModelError, StorageError
from tpos_models.network import Network, run_in_torch
from tpos_models.precision import Precision


def with_real_inputs(network: Network | None = None, spread: float = 1.0) -> Network:
    """Inputs of two timesteps, those of the later one `spread` times as large."""
    network = network or small()
    torch.manual_seed(0)
    real = {step: [network.example(1) for _ in range(24)] for step in (999, 499)}
    real[499] = [(spread * x, t) for x, t in real[499]]
    return replace(network, real=lambda: real)


def integers(path) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)


def test_int8_is_near_float32_and_takes_any_batch(tmp_path):
    network = with_real_inputs()
    run = onnx_runner.runner(Precision.INT8, tmp_path)(network)
    assert integers(onnx_runner.graph_path(network, Precision.INT8, tmp_path))
    for inputs in real_inputs(network).values():
        assert powers_db(run, run_in_torch(network), inputs) > 25
    for batch in (1, 4):
        assert run(*network.example(batch))[0].shape[0] == batch


def test_what_is_built_is_told_before_and_what_lies_there_is_not(tmp_path):
    network, told = with_real_inputs(), []

    def hear(name: str, precision: Precision) -> None:
        told.append((name, precision))
        assert not onnx_runner.graph_path(network, precision, tmp_path).exists()

    for _ in range(2):
        onnx_runner.runner(Precision.INT8, tmp_path, hear)(network)
    assert told == [(network.name, Precision.FP32), (network.name, Precision.INT8)]


def test_every_timestep_is_held_to_the_bar_on_inputs_never_calibrated_with(tmp_path, monkeypatch):
    asked, checked = [], []

    def copied(plain, path, _names, known, _recipe) -> None:
        asked.append(known)
        path.write_bytes(plain.read_bytes())

    def weaker_later(_run, _reference, inputs) -> float:
        checked.append(inputs)
        return 24.9 if inputs[0][0].std() > 10 else 30.0

    monkeypatch.setattr(int8, "quantise", copied)
    monkeypatch.setattr(int8, "_signal_db", weaker_later)
    network = with_real_inputs(spread=30.0)
    with pytest.raises(ModelError, match=r"24\.9 dB of signal at timestep 499, 25 would be accepted"):
        onnx_runner.runner(Precision.INT8, tmp_path)(network)
    calibrated = {id(tensors) for inputs in asked[0].values() for tensors in inputs}
    unseen = {id(tensors) for inputs in checked for tensors in inputs}
    assert len(calibrated) == 2 * 16
    assert len(unseen) == 2 * 8
    assert not calibrated & unseen
    assert not list((tmp_path / "onnx").glob("*int8*"))


class Outlier(Small):
    """What one range for all channels rounds away: a channel a thousand times the others, read and divided again."""

    def forward(self, x, t):
        scale = torch.tensor([1.0, 1.0, 1.0, 1000.0]).view(1, 4, 1, 1)
        return torch.nn.functional.conv2d(x * scale, self.mix / scale.view(1, 4, 1, 1)), super().forward(x, t)[1]

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Parameter(torch.eye(4).view(4, 4, 1, 1) + 0.1)


def test_a_convolution_that_reads_mixed_scales_has_its_channels_equalised(tmp_path):
    network = with_real_inputs(small(Outlier))
    real = real_inputs(network)
    plain = tmp_path / "plain.onnx"
    onnx_runner.export(network, plain)
    reference = open_session(plain, network)
    found = {}
    whole, equalised = int8.Recipe(("Conv",)), int8.Recipe(("Conv",), equalise=True)
    for recipe in (whole, equalised):
        int8.quantise(plain, tmp_path / "q.onnx", network.inputs, real, recipe)
        found[recipe] = powers_db(open_session(tmp_path / "q.onnx", network), reference, real[999])
    assert found[whole] < 20
    assert found[equalised] > 30
    run = onnx_runner.runner(Precision.INT8, tmp_path)(network)
    assert powers_db(run, reference, real[999]) > 25


def test_narrow_weights_are_of_seven_bits(tmp_path):
    network = with_real_inputs()
    plain = tmp_path / "plain.onnx"
    onnx_runner.export(network, plain)
    largest = {}
    for narrow in (False, True):
        path = tmp_path / f"{narrow}.onnx"
        int8.quantise(plain, path, network.inputs, real_inputs(network), int8.Recipe(("Conv",), narrow=narrow))
        weights = [numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
        largest[narrow] = max(
            np.abs(one.astype(int)).max() for one in weights if one.dtype == np.int8 and one.ndim == 4
        )
    assert largest == {False: 127, True: 64}


def test_a_step_far_from_the_first_counts_in_the_ranges(tmp_path):
    network = with_real_inputs(spread=4.0)
    run = onnx_runner.runner(Precision.INT8, tmp_path)(network)
    assert integers(onnx_runner.graph_path(network, Precision.INT8, tmp_path))
    assert powers_db(run, run_in_torch(network), real_inputs(network)[499]) > 25


def test_what_cannot_be_rounded_is_refused_where_int8_is_asked_for_and_not_taken_where_it_is_not(tmp_path, monkeypatch):
    def unknown(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(int8, "quantise", unknown)
    monkeypatch.setattr(int8, "speedup", lambda *_: 2.0)
    network = with_real_inputs()
    with pytest.raises(ModelError, match="small in int8: no operator of it can be rounded; --precision fp32"):
        onnx_runner.runner(Precision.INT8, tmp_path)(network)
    assert onnx_runner.fastest([network], tmp_path) is Precision.FP32


@pytest.mark.parametrize(("times", "taken"), [(1.09, Precision.FP32), (1.11, Precision.INT8)])
def test_the_fastest_is_measured_once_and_remembered_without_a_second_copy(tmp_path, monkeypatch, times, taken):
    asked = []
    monkeypatch.setattr(int8, "speedup", lambda *_: asked.append(1) or times)
    network = with_real_inputs()
    assert [onnx_runner.fastest([network, small()], tmp_path) for _ in range(3)] == [taken] * 3
    assert len(asked) == 1
    notes = list((tmp_path / "onnx").glob("*.txt"))
    assert [note.read_text() for note in notes] == [taken]
    assert len(list((tmp_path / "onnx").iterdir())) == 5, "both graphs, their sums and the note"
    notes[0].write_text("auto")
    assert onnx_runner.fastest([network], tmp_path) is taken
    monkeypatch.setattr(onnx_runner, "_processor", lambda: "another")
    onnx_runner.fastest([network], tmp_path)
    assert len(asked) == 3, "a note of another processor, or of none, does not count"


def test_a_cache_that_cannot_be_written_does_not_change_the_precision(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    network = with_real_inputs()
    example = network.example(1)
    want = onnx_runner.runner(Precision.INT8, tmp_path / "cache")(network)(*example)
    got = onnx_runner.runner(Precision.INT8, blocked)(network)(*example)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert not torch.equal(got[0], run_in_torch(network)(*example)[0])
    with pytest.raises(StorageError, match="TPOS_CACHE"):
        onnx_runner.fastest([network], blocked)


def test_two_builds_are_the_same_bytes(tmp_path):
    network = with_real_inputs()
    graphs = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        onnx_runner.runner(Precision.INT8, folder)(network)
        graphs.append(onnx_runner.graph_path(network, Precision.INT8, folder).read_bytes())
    assert graphs[0] == graphs[1]


def test_another_recipe_or_onnx_runtime_is_another_file(tmp_path, monkeypatch):
    network = with_real_inputs()
    plain, here = (onnx_runner.graph_path(network, precision, tmp_path) for precision in onnx_runner.PRECISIONS)
    assert "int8" in here.name
    monkeypatch.setattr(int8, "VERSION", "1.99.0")
    assert onnx_runner.graph_path(network, Precision.INT8, tmp_path) != here
    assert "1.99.0" in onnx_runner.graph_path(network, Precision.INT8, tmp_path).name
    monkeypatch.undo()
    edited = tmp_path / "int8.py"
    edited.write_text("LEAST_SIGNAL_DB = 5.0")
    monkeypatch.setattr(int8, "__file__", str(edited))
    assert onnx_runner.graph_path(network, Precision.INT8, tmp_path) != here
    assert onnx_runner.graph_path(network, Precision.FP32, tmp_path) == plain


def test_a_damaged_graph_is_built_anew(tmp_path):
    network = with_real_inputs()
    runner, example = onnx_runner.runner(Precision.INT8, tmp_path), network.example(2)
    want = runner(network)(*example)
    for precision in onnx_runner.PRECISIONS:
        onnx_runner.graph_path(network, precision, tmp_path).write_bytes(b"cut")
    assert all(torch.equal(a, b) for a, b in zip(runner(network)(*example), want, strict=True))


def test_a_speedup_is_the_other_time_over_its_own():
    def slow(*tensors):
        time.sleep(0.01)
        return tensors

    def quick(*tensors):
        return tensors

    inputs = [(torch.zeros(1),)] * 2
    assert int8.speedup([quick, quick], [slow, slow], inputs) > 5
    assert int8.speedup([slow, quick], [slow, slow], inputs) == pytest.approx(2, rel=0.3)


def test_a_signal_is_power_over_power_at_each_timestep():
    def same(x):
        return (x,)

    def moved(x):
        return (x + 1,)

    found = int8.signals_db(moved, same, {999: [(torch.arange(4.0),)], 99: [(10 * torch.arange(4.0),)]})
    assert found[999] == pytest.approx(10 * np.log10(5 / 3), abs=0.01)
    assert found[99] == pytest.approx(20 + 10 * np.log10(5 / 3), abs=0.01)
    assert int8.signals_db(same, same, {99: [(torch.arange(4.0),)]})[99] > 100
