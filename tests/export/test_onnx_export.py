"""Networks as ONNX: right, cached, rebuilt when damaged, and never the end of the show."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_networks import Small, small

from export import onnx_export, onnx_runner
from export.cache import intact
from export.onnx_session import open_session
from tpos_models.diffusion.step import step_network
from tpos_models.errors import InputError, ModelError, StorageError
from tpos_models.network import Network, Tensors, max_relative_error, run_in_torch
from tpos_models.stable_diffusion import open_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    return onnx_export.export(small(), tmp_path_factory.mktemp("onnx") / "small.onnx").path


def test_the_file_computes_what_torch_computes_at_every_batch(exported):
    run, reference = open_session(exported, small()), run_in_torch(small())
    for batch in (1, 2, 3, 4):
        example = small().example(batch)
        assert max_relative_error(run(*example), reference(*example)) < 1e-5
    assert onnx_export.check(small(), exported) < 1e-3


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_weights_have_their_parameters_names_transposed_ones_with_a_sign(tmp_path, precision):
    """By which an engine is refitted, in a step as in the denoiser alone."""
    step = step_network(open_model("random:tiny-lcm", size_px=(64, 64)).recipe.denoiser(), 0.8)
    path = onnx_export.export(step, tmp_path / "step.onnx", precision).path
    stored = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    layers = [one for one in step.build().named_modules() if isinstance(one[1], torch.nn.Linear | torch.nn.Conv2d)]
    assert len(layers) > 50
    for name, layer in layers:
        weight = layer.weight.numpy().astype("float16" if precision == "fp16" else "float32")
        found = [f"{name}.weight{sign}" for sign in ("", ".T") if f"{name}.weight{sign}" in stored]
        assert len(found) == 1, name
        assert np.array_equal(weight, stored[found[0]].T if found[0].endswith(".T") else stored[found[0]])


def test_what_others_print_meanwhile_is_printed_and_nothing_else(tmp_path, capsys):
    """Standard output is every thread's: what ends a show while its model is prepared is to be read."""

    class Printing(Small):
        def forward(self, x, t):
            sys.stdout.write("0 frames\n")
            return super().forward(x, t)

    onnx_export.export(small(Printing), tmp_path / "small.onnx")
    assert {"0 frames"} == set(capsys.readouterr().out.splitlines())


def test_a_wrong_file_fails_its_check(exported):
    class Different(Small):
        def forward(self, x, t):
            y, p = super().forward(x, t)
            return y * 1.01, p

    with pytest.raises(ModelError, match="differs from torch by"):
        onnx_export.check(small(Different), exported)


class FixedBatch(Small):
    """What the tracing exporter can get wrong: a batch that is a number."""

    def forward(self, x, t):
        y, p = super().forward(x, t)
        return y.reshape(int(x.shape[0]), *y.shape[1:]), p


class Overflowing(Small):
    """Right in float32, infinite in float16."""

    def forward(self, x, t):
        return x * 4e4 * 4e4 * (1 + t[:, None, None, None]), super().forward(x, t)[1]


@pytest.mark.parametrize(
    ("module", "precision", "words"), [(FixedBatch, "fp32", "small"), (Overflowing, "fp16", "differs from torch")]
)
def test_what_fails_its_check_is_never_kept(module, precision, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        onnx_export.export(small(module), tmp_path / "small.onnx", precision)
    assert not list(tmp_path.iterdir())


def test_half_precision_has_half_the_weights_and_takes_and_gives_float32(exported, tmp_path):
    half = onnx_export.export(small(), tmp_path / "half.onnx", "fp16")
    assert 1e-6 < half.error < onnx_export.TOLERANCE["fp16"]
    run = open_session(half.path, small())
    assert {out.dtype for out in run(*small().example(3))} == {torch.float32}
    weights = {tuple(w.dims): w.data_type for w in onnx.load(half.path).graph.initializer}
    assert weights[4, 4, 3, 3] == onnx.TensorProto.FLOAT16
    with pytest.raises(InputError, match="fp32 or fp16"):
        onnx_export.export(small(), tmp_path / "other.onnx", "int3")


class Steep(torch.nn.Module):
    """What float16 cannot follow, unless it is kept from it."""

    def __init__(self, precise: bool) -> None:
        super().__init__()
        self.precise = precise
        self.cut = torch.nn.Parameter(torch.tensor(0.1003))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(4000 * (x.half().to(x.dtype) - self.cut))


@pytest.mark.parametrize("precise", [False, True])
def test_a_precise_part_stays_in_float32(precise):
    module = torch.nn.Sequential(Steep(precise)).eval()
    x = torch.linspace(-1, 1, 4096)
    with torch.no_grad():
        error = max_relative_error((onnx_export._InHalf(module)(x),), (module(x),))
    assert (error < 1e-3) == precise
    assert module[0].cut.dtype == torch.float32


def test_real_inputs_count(tmp_path):
    def wild(tensors: Tensors) -> Tensors:
        return tuple(tensor * torch.nan if tensor.is_floating_point() else tensor for tensor in tensors)

    network = small()
    assert onnx_export.export(network, tmp_path / "good.onnx", real=[network.example(3)]).error < 1e-5
    with pytest.raises(ModelError, match="differs from torch by nan"):
        onnx_export.export(network, tmp_path / "bad.onnx", real=[wild(network.example(1))])


def test_weights_beside_the_graph_and_what_is_missing_is_built_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "_EXTERNAL_BYTES", 100)
    monkeypatch.setattr(onnx_export, "_SMALLEST_EXTERNAL_BYTES", 100)
    runner, example = onnx_runner.runner(folder=tmp_path), small().example(2)
    want = runner(small())(*example)
    graph = onnx_export.cached_path(small(), tmp_path)
    beside = graph.with_suffix(".data")
    assert {file.name for file in graph.parent.iterdir()} == {beside.name, graph.name, f"{graph.name}.sha256"}
    assert onnx_export.export(small(), tmp_path / "again.onnx").path.stat().st_size < 4000
    for harm in (beside.unlink, lambda: beside.write_bytes(b"cut")):
        harm()
        with pytest.raises(ModelError, match="cannot load"):
            open_session(graph, small())
        assert max_relative_error(runner(small())(*example), want) < 1e-6
        assert beside.stat().st_size > 100


def test_the_cache_is_used_and_a_damaged_file_is_rebuilt(tmp_path, monkeypatch):
    built = []
    real = onnx_export.export
    monkeypatch.setattr(onnx_runner, "export", lambda network, path: built.append(path) or real(network, path))
    runner = onnx_runner.runner(folder=tmp_path)
    example = small().example(2)
    want = runner(small())(*example)
    assert len(built) == 1
    runner(small())
    assert len(built) == 1
    graph = built[0].read_bytes()
    weights = onnx.load(built[0]).graph.initializer[0].raw_data
    at = graph.index(weights) + 3  # a float's sign and exponent: it loads, and answers otherwise
    flipped = graph[:at] + bytes([graph[at] ^ 0x40]) + graph[at + 1 :]
    for times, harmed in enumerate((graph[:200], flipped), 2):
        built[0].write_bytes(harmed)
        assert max_relative_error(runner(small())(*example), want) < 1e-6
        assert len(built) == times
    assert not list(built[0].parent.glob(".building-*"))


def test_a_cache_that_cannot_be_written_costs_a_build_not_the_show(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="TPOS_CACHE"):
        onnx_export.export(small(), blocked / "onnx" / "small.onnx")
    run = onnx_runner.runner(folder=blocked)(small())
    assert run(*small().example(1))[0].shape == (1, 4, 8, 8)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path):
    class Big(Small):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.randn(1 << 18))

        def forward(self, x, t):
            y, p = super().forward(x, t)
            return y + self.table.mean(), p

    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))
    try:
        with pytest.raises(StorageError, match="TPOS_CACHE"):
            onnx_export.export(small(Big), tmp_path / "big.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_two_processes_that_build_at_once_both_play(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from small_networks import small;"
        "from export import onnx_runner; run = onnx_runner.runner(folder=Path(sys.argv[2]))(small());"
        "assert run(*small().example(2))[0].shape == (2, 4, 8, 8)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parents[1] / "support"), str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, trouble = process.communicate(timeout=300)
        assert process.returncode == 0, trouble
    graph = onnx_export.cached_path(small(), tmp_path)
    assert sorted(graph.parent.iterdir()) == [graph, graph.with_name(f"{graph.name}.sha256")]
    assert intact(graph)


def test_a_foreign_file_is_refused(exported):
    other = Network("other", Small, small().example, ("latents",), ("y",), "f" * 64)
    with pytest.raises(ModelError, match="inputs are"):
        open_session(exported, other)
    with pytest.raises(ModelError, match="outputs are"):
        open_session(exported, replace(small(), outputs=("y", "q")))


def test_other_weights_or_another_torch_are_another_file(tmp_path, monkeypatch):
    here = onnx_export.cached_path(small(), tmp_path)
    assert here != onnx_export.cached_path(replace(small(), fingerprint="e" * 64), tmp_path)
    assert here != onnx_export.cached_path(small(), tmp_path, "fp16")
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert here != onnx_export.cached_path(small(), tmp_path)
