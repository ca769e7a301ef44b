"""TensorRT engines: built for GPUs that are not here, kept whole, and never trusted when they are not exactly right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from real_parts import missing
from small_networks import small

from export import cuda_graphs, onnx_export, tensorrt
from export.cache import building
from tpos_models.diffusion.step import pixels_network, step_network
from tpos_models.errors import DeviceError, MissingPart, ModelError, RunError, StorageError
from tpos_models.network import Network, max_relative_error, run_in_torch
from tpos_models.pocket import networks as pocket
from tpos_models.stable_diffusion import open_model
from tpos_models.stable_diffusion.random_encoder import random_tpos_networks

RTX: tensorrt.Library = "tensorrt_rtx"
IDENTITY = tensorrt.Identity("small", "small-abc-fp16.onnx", "tensorrt_rtx 1.7", "8.9", 4, "REFIT=0")


@pytest.fixture(scope="module")
def rtx() -> tensorrt.Library:
    try:
        tensorrt.load_library(RTX)
    except MissingPart as error:
        missing(error)
    return RTX


@pytest.fixture(scope="module")
def kept(rtx, tmp_path_factory) -> Path:
    """A cache that holds the small network's engine."""
    folder = tmp_path_factory.mktemp("cache")
    tensorrt.ensure_engine(small(), rtx, "8.9", folder=folder)
    return folder


@cache
def every_network() -> dict[str, Network]:
    """Stable Diffusion and the paper's encoder in small, and pocket."""
    recipe = open_model("random:tiny-lcm", size_px=(64, 64)).recipe
    denoiser, decoder = recipe.denoiser(), recipe.decoder()
    frame = (denoiser, step_network(denoiser, 0.8), decoder, pixels_network(decoder))
    tiny = (recipe.text_encoder(), *frame, *random_tpos_networks(32))
    draws, decodes, _ = pocket.picture_networks()
    whole = (step_network(draws, pocket.SPEC.guidance.quantile), pixels_network(decodes))
    return {network.name: network for network in (*tiny, *pocket.networks(), *whole)}


NAMES = (
    "text_encoder", "denoiser-64x64", "step-64x64", "decoder-64x64", "pixels-64x64", "tpos-segment", "tpos-temporal",
    "pocket-segment", "pocket-temporal", "pocket-denoiser", "pocket-decoder", "pocket-encoder", "pocket-step",
    "pocket-pixels",
)  # fmt: skip


def test_no_network_is_forgotten():
    assert set(every_network()) == set(NAMES)


def told(shares: list[float]) -> Callable[[str], Callable[[float], None]]:
    """Keeps the shares of what is built."""
    return lambda name: shares.append


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_built_for_gpus_that_are_not_here(rtx, tmp_path, name):
    network, shares = every_network()[name], list[float]()
    engine = tensorrt.ensure_engine(network, rtx, "8.9", folder=tmp_path, notify=told(shares))
    assert len(engine) > 10_000
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 10
    again: list[float] = []
    for gpu in ("8.6", "12.0"):
        assert tensorrt.ensure_engine(network, rtx, gpu, folder=tmp_path, notify=told(again)) == engine
    assert not again, "what one of them has, the others need not build"


def test_the_oldest_gpus_have_engines_of_their_own(rtx, tmp_path):
    """By NVIDIA's manual a portable engine does not play on Turing (7.5), and one for Turing is asked for by name."""
    newer, turing = (tensorrt.ensure_engine(small(), rtx, gpu, folder=tmp_path) for gpu in ("8.9", "7.5"))
    assert newer != turing


def test_engines_are_built_to_be_captured_and_in_true_float32(rtx, tmp_path, monkeypatch):
    trt: Any = tensorrt.load_library(rtx)
    real, configs = trt.Builder, list[Any]()

    def made(builder):
        configs.append(real.create_builder_config(builder))
        return configs[-1]

    monkeypatch.setattr(trt, "Builder", type("Builder", (trt.Builder,), {"create_builder_config": made}))
    tensorrt.ensure_engine(small(), rtx, "8.9", folder=tmp_path)
    assert configs[0].get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    assert not configs[0].get_flag(trt.BuilderFlag.TF32)
    flags = tensorrt.identify(small(), rtx, "8.9").flags.split(",")
    assert {"REQUIRE_USER_ALLOCATION=1", "TF32=0"} <= set(flags), "another flag is another engine"


def test_an_engine_that_is_there_is_not_built_again_and_a_harmed_one_is(kept, rtx):
    built: list[str] = []

    def ensure(gpu: str = "8.9") -> bytes:
        return tensorrt.ensure_engine(small(), rtx, gpu, folder=kept, notify=lambda name: built.append(name) or print)

    identity = tensorrt.identify(small(), rtx, "8.9")
    path = tensorrt.cached_path(identity, kept)
    ensure()
    assert built == []
    path.write_bytes(path.read_bytes()[:-100])
    ensure()
    assert built == ["small"]
    assert tensorrt.read_engine(path, identity)
    assert not list(kept.rglob(".building-*"))


HARMS = {
    "truncated": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
    "longer": lambda data: data + b"x",
    "another format": lambda data: b"\x89PNG" + data,
    "a head without sense": lambda data: b"tpos engine 1\n{]\n" + data,
    "a head of another kind": lambda data: b"tpos engine 1\n[1]\n" + data,
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("harm", HARMS)
def test_no_damage_is_taken_for_an_engine(harm, tmp_path):
    path = tensorrt.cached_path(IDENTITY, tmp_path)
    tensorrt.write_engine(path, IDENTITY, b"kernels" * 100)
    assert tensorrt.read_engine(path, IDENTITY) == b"kernels" * 100
    path.write_bytes(HARMS[harm](path.read_bytes()))
    with pytest.raises(ModelError, match="built anew"):
        tensorrt.read_engine(path, IDENTITY)


@pytest.mark.parametrize(
    "other",
    [
        {"gpu": "8.6"}, {"library": "tensorrt_rtx 1.8"}, {"graph": "small-def-fp16.onnx"}, {"max_batch": 2},
        {"flags": "REFIT=1"}, {"network": "other"},
    ],
)  # fmt: skip
def test_an_engine_for_something_else_is_foreign_even_under_the_right_name(other, tmp_path):
    wanted = replace(IDENTITY, **other)
    assert tensorrt.cached_path(wanted) != tensorrt.cached_path(IDENTITY)
    path = tensorrt.cached_path(wanted, tmp_path)
    tensorrt.write_engine(path, IDENTITY, b"kernels")
    with pytest.raises(ModelError, match="another network, GPU or version"):
        tensorrt.read_engine(path, wanted)


def test_weights_precision_and_gpu_are_part_of_what_an_engine_is(rtx):
    paths = {
        tensorrt.cached_path(tensorrt.identify(network, rtx, gpu, precision))
        for network in (small(), replace(small(), fingerprint="e" * 64))
        for gpu in ("7.5", "12.0")
        for precision in ("fp16", "fp32")
    }
    assert len(paths) == 8


def test_a_cache_that_cannot_be_written_costs_a_build_not_the_show(rtx, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert len(tensorrt.ensure_engine(small(), rtx, "8.9", folder=blocked)) > 10_000
    with pytest.raises(StorageError, match="TPOS_CACHE"):
        tensorrt.write_engine(blocked / "x.engine", IDENTITY, b"kernels")


def test_a_graph_without_its_weights_is_exported_anew(rtx, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "_EXTERNAL_BYTES", 100)
    monkeypatch.setattr(onnx_export, "_SMALLEST_EXTERNAL_BYTES", 100)
    graph = onnx_export.export(small(), onnx_export.cached_path(small(), tmp_path, "fp16"), "fp16").path
    graph.with_suffix(".data").unlink()
    assert len(tensorrt.ensure_engine(small(), rtx, "8.9", folder=tmp_path)) > 10_000
    assert graph.with_suffix(".data").is_file()


def test_ctrl_c_stops_a_build_and_leaves_no_engine(rtx, tmp_path):
    def interrupt(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tensorrt.ensure_engine(small(), rtx, "8.9", folder=tmp_path, notify=lambda _: interrupt)
    assert not list(tmp_path.rglob("*.engine"))


def test_two_processes_that_build_at_once_both_have_an_engine(rtx, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from small_networks import small;"
        "from export import tensorrt; folder = Path(sys.argv[2]);"
        "engine = tensorrt.ensure_engine(small(), 'tensorrt_rtx', '8.9', folder=folder);"
        "path = tensorrt.cached_path(tensorrt.identify(small(), 'tensorrt_rtx', '8.9'), folder);"
        "assert tensorrt.read_engine(path, tensorrt.identify(small(), 'tensorrt_rtx', '8.9'))"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parents[1] / "support"), str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, trouble = process.communicate(timeout=300)
        assert process.returncode == 0, trouble
    assert len(list(tmp_path.rglob("*"))) == 5  # two folders, a graph and its sum, an engine


def test_a_library_that_is_absent_or_does_not_load_is_told(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert tensorrt.available("tensorrt") == (
        False, "tensorrt is not installed; pip install 'tpos-live[tensorrt]' adds it",
    )  # fmt: skip
    (tmp_path / "tensorrt.py").write_text("import ctypes\nctypes.CDLL('libnvinfer.so.10')\n")
    sys.path_importer_cache.clear()
    found, why = tensorrt.available("tensorrt")
    assert not found
    assert "does not load (libnvinfer.so.10: cannot open" in why


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_the_reason_and_the_way_out_are_told(rtx):
    found, why = tensorrt.available(rtx)
    assert not found
    assert "without CUDA" in why or "no NVIDIA driver" in why
    assert not cuda_graphs.available()[0]
    with pytest.raises(DeviceError, match=r"--gpu .*8\.9.* builds for another"):
        tensorrt.ensure_engine(small(), rtx)


def test_a_gpu_no_library_knows_is_told(rtx, tmp_path):
    with pytest.raises(DeviceError, match=r"GPU 9\.0: tensorrt_rtx builds for compute capability .*8\.9"):
        tensorrt.ensure_engine(small(), rtx, "9.0", folder=tmp_path)


def test_a_graph_tensorrt_cannot_read_is_refused(rtx, tmp_path):
    from export.tensorrt_build import build

    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="TensorRT cannot read it"):
        build(tensorrt.load_library(rtx), tmp_path / "bad.onnx", small(), None, {}, print)


def test_an_engine_is_compared_with_torch_once_on_each_gpu(tmp_path):
    right, stamp, asked = run_in_torch(small()), tmp_path / "small.checked", list[int]()

    def counted(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        asked.append(len(tensors[0]))
        return right(*tensors)

    def wrong(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(out * 1.1 for out in right(*tensors))

    def broken(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(out * torch.nan for out in right(*tensors))

    for run, error in ((wrong, r"0\.1"), (broken, "nan")):
        with pytest.raises(RunError, match=rf"small: its engine's answer is {error} off torch's \(RTX 4090\)"):
            tensorrt.check_once(run, small(), "fp16", stamp, "RTX 4090")
        assert not stamp.exists()
    for gpu in ("RTX 4090", "RTX 4090", "RTX 3060", "RTX 4090"):
        tensorrt.check_once(counted, small(), "fp16", stamp, gpu)
    assert asked == [1, 2] * 2


def test_what_is_being_built_is_moved_whole_or_not_at_all(tmp_path):
    def fail() -> None:
        with building(tmp_path / "a") as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())
    with building(tmp_path / "a") as part:
        part.write_text("whole")
        part.with_name("beside").write_text("too")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "beside"]


@pytest.mark.gpu
class TestOnAGpu:
    """Written for a machine with an NVIDIA GPU that one of the libraries builds for."""

    @pytest.fixture
    def library(self) -> tensorrt.Library:
        found = [library for library in tensorrt.LIBRARIES if tensorrt.available(library)[0]]
        if not found:
            pytest.skip("; ".join(tensorrt.available(library)[1] for library in tensorrt.LIBRARIES))
        return found[0]

    @pytest.mark.parametrize("precision", ["fp32", "fp16"])
    def test_an_engine_answers_as_torch_does_at_every_batch(self, library, precision, tmp_path):
        run = tensorrt.runner(library, precision, tmp_path)(small())
        reference = run_in_torch(small())
        for batch in (1, 2, 3, 4, 2):
            example = small().example(batch)
            got = run(*(tensor.cuda() for tensor in example))
            assert (
                max_relative_error(tuple(t.cpu() for t in got), reference(*example)) < onnx_export.TOLERANCE[precision]
            )

    def test_a_damaged_engine_is_rebuilt_and_plays(self, library, tmp_path):
        tensorrt.runner(library, "fp16", tmp_path)(small())
        path = next(tmp_path.rglob("*.engine"))
        path.write_bytes(path.read_bytes()[:1000])
        assert tensorrt.runner(library, "fp16", tmp_path)(small())(*small().example(1))[0].shape == (1, 4, 8, 8)
