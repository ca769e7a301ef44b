"""Stepping down: networks that really fail, and a show that goes on with its last frame held."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from small_networks import failing

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.options import LookOptions
from engine.audio.sources import SynthSource
from engine.core.clock import WallClock
from engine.core.messages import ShowState
from engine.inference.fallback import (
    AGAIN_S,
    PATIENCE_S,
    Backend,
    FallbackChain,
    HungError,
    NotFiniteError,
    backends_on,
    cause,
)
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import open_on, runners
from engine.inference.worker import Inference
from engine.outputs.headless import HeadlessOutput, PlainFrames
from engine.outputs.screens import Screen
from tpos_models.contracts import Model
from tpos_models.errors import MissingFileError, ModelError, RunError
from tpos_models.network import Network, Run, Runner

MODEL = "random:tiny-turbo"
SIZE_PX = (128, 128)


class NotFinite(torch.nn.Module):
    """A network of which one call, the n-th, answers with a NaN among its numbers."""

    def __init__(self, inner: torch.nn.Module, call: int) -> None:
        super().__init__()
        self.inner, self.left = inner, call

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        drawn = self.inner(*tensors).clone()
        if self.left == 0:
            drawn.view(-1)[7] = torch.nan
        return drawn


def test_backends_lead_from_the_best_runner_to_fewer_steps_and_a_smaller_picture():
    assert backends_on(("onnx", "torch"), resizable=False) == (Backend("onnx"), Backend("torch"), Backend("torch", 1))
    assert backends_on(("torch",), resizable=True) == (Backend("torch"), Backend("torch", 1), Backend("torch", 1, 1))
    assert [str(backend) for backend in backends_on(("torch",), True)] == [
        "torch", "torch at 1 step a frame", "torch at 1 step a frame and half the size",
    ]  # fmt: skip
    on_a_gpu = [str(backend) for backend in backends_on(("cuda", "torch", "cpu"), resizable=False)]
    assert on_a_gpu == ["cuda", "torch", "torch at 1 step a frame", "cpu", "cpu at 1 step a frame"]
    assert runners("pocket")[-2:] == ("onnx", "torch")
    assert runners(MODEL)[-1] == "torch"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory"),
        (MemoryError(), "out of memory"),
        (ImportError("libnvinfer.so.10: cannot open"), "a library is missing (libnvinfer.so.10: cannot open)"),
        (RunError("denoiser: the kernel failed\nmore"), "a network failed (denoiser: the kernel failed)"),
        (
            OSError("libcudnn.so.9: cannot open shared object file"),
            "a network failed (libcudnn.so.9: cannot open shared object file)",
        ),
        (RuntimeError(), "a network failed (RuntimeError)"),
        (
            RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"),
            "the GPU is lost (CUDA error: an illegal memory access was encountered)",
        ),
        (torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors"), "out of memory"),
        (
            torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing"),
            "a network failed (CUDA error: operation not permitted when stream is capturing)",
        ),
        (torch.AcceleratorError("device-side assert triggered"), "the GPU is lost (device-side assert triggered)"),
        (HungError("a frame hangs: no answer in 20 s"), "a frame hangs: no answer in 20 s"),
        (KeyError("a mistake of ours"), ""),
        (ModelError("weights are damaged"), ""),
        (MissingFileError("no such file"), ""),
    ],
)
def test_what_another_backend_would_cure(error, words):
    assert cause(error) == words


def test_memory_that_really_runs_out_is_named_as_such():
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert cause(caught.value) == "out of memory"


def test_a_network_that_fails_while_loading_is_left_and_the_users_mistake_is_not():
    said: list[str] = []
    tried: list[Backend] = []

    def open_or_fail(backend: Backend) -> Model:
        tried.append(backend)
        if backend.runner == "tensorrt":
            raise ImportError("libnvinfer.so.10: no driver")
        return open_on(backend, MODEL, SIZE_PX)

    chain = FallbackChain(backends_on(("tensorrt", "torch"), True), open_or_fail, said.append)
    assert chain.model.runner == "torch"
    assert tried == [Backend("tensorrt"), Backend("torch")]
    assert said == ["tensorrt: a library is missing (libnvinfer.so.10: no driver); going on with torch"]

    def damaged(backend: Backend) -> Model:
        raise ModelError("SHA-256 differs")

    with pytest.raises(ModelError):
        _ = FallbackChain(backends_on(("onnx", "torch"), False), damaged, said.append).model


def test_a_backend_that_changes_nothing_is_passed_over():
    said: list[str] = []
    chain = FallbackChain(backends_on(("torch",), True), lambda backend: open_on(backend, MODEL, SIZE_PX), said.append)
    assert chain.step_down(RuntimeError("kernel"), steps=1)
    assert chain.backend == Backend("torch", 1, 1)
    spec = chain.model.spec
    assert spec.sample_size[0] * spec.scale == SIZE_PX[0] // 2
    assert chain.step_down(RuntimeError("kernel"), steps=1) == ""
    assert len(said) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: an illegal memory access was encountered"), HungError("a frame hangs")]
)
def test_of_a_gpu_that_is_lost_nothing_more_is_asked(monkeypatch, error):
    asked: list[str] = []

    def fails() -> None:
        asked.append("empty_cache")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", fails)
    said: list[str] = []
    backends = backends_on(("tensorrt", "cuda", "torch", "cpu"), resizable=True)
    chain = FallbackChain(backends, lambda backend: pytest.fail("not asked for"), said.append)
    chain.step_down(RuntimeError("a kernel failed"))
    assert (chain.backend, asked) == (Backend("cuda"), ["empty_cache"]), "its error does not end the show"
    chain.step_down(error)
    assert chain.backend == Backend("cpu")
    chain.step_down(RuntimeError("slow"))
    assert asked == ["empty_cache"]
    assert said[1].endswith("; going on with cpu")


def test_what_hangs_on_a_processor_loses_no_gpu():
    """ONNX Runtime on the processor hangs once: torch is there too, and so is all that may fail after it."""
    said: list[str] = []
    chain = FallbackChain(
        backends_on(("onnx", "torch"), True), lambda backend: pytest.fail("not asked for"), said.append
    )
    for error in (HungError("a frame hangs"), MemoryError(), HungError("a frame hangs")):
        assert chain.step_down(error, steps=4)
    assert chain.backend == Backend("torch", 1, 1)
    beside_gpu = FallbackChain(
        backends_on(("cuda", "onnx", "torch", "cpu"), False), lambda backend: pytest.fail("not asked for"), said.append
    )
    beside_gpu.step_down(RuntimeError("a kernel failed"))
    beside_gpu.step_down(HungError("a frame hangs"))
    assert beside_gpu.backend == Backend("torch"), "onnx hung on the processor: the GPU answers"
    beside_gpu.step_down(HungError("a frame hangs"))
    assert beside_gpu.backend == Backend("cpu")


def test_what_cannot_be_prepared_costs_the_backend_and_not_the_show(monkeypatch):
    prepared: list[int] = []

    def prepare(pipeline: FramePipeline, state: ShowState, progress: Callable[[float], None]) -> None:
        prepared.append(pipeline.model.spec.sample_size[0])
        if len(prepared) == 1:
            raise RunError("a captured frame is nan off the same frame uncaptured")

    monkeypatch.setattr(FramePipeline, "prepare", prepare)
    said: list[str] = []
    chain = FallbackChain(backends_on(("torch",), True), lambda one: open_on(one, MODEL, SIZE_PX), said.append)
    look = LookOptions(model=MODEL, settings={"guidance": "blend", "steps": 4})
    options = LiveOptions(look=look, source="synth", mute=True, headless=True, osc=OscOptions(port=0), seconds=120.0)
    with open_live(options, chain=chain) as live:

        class Enough(threading.Event):
            def is_set(self) -> bool:
                return live.engine.frames.count >= 2

        summary = live.run(Enough())
    assert summary.frames >= 2
    assert summary.restarts == 0
    assert len(prepared) == 2
    assert said == [
        "torch: a network failed (a captured frame is nan off the same frame uncaptured); "
        "going on with torch at 1 step a frame"
    ]


def test_a_show_whose_network_fails_holds_its_frame_and_goes_on_on_the_next_backend(caplog):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def open_backend(backend: Backend) -> Model:
        profiler = failing(8, error) if backend == Backend("torch") else lambda runner: runner
        return open_on(backend, MODEL, SIZE_PX, profiler)

    look = LookOptions(model=MODEL, settings={"guidance": "blend", "steps": 4})
    options = LiveOptions(look=look, source="synth", headless=True, osc=OscOptions(port=0))
    stopping = threading.Event()
    shown: list[int] = []

    class Watching(PlainFrames):
        """Notes which frame is on screen at every redraw."""

        index = 0

        def show(self, frame):
            super().show(frame)
            self.index = frame.index

        def redraw(self, features, state, now_s):
            shown.append(self.index)
            if live.engine.frames.count > 6:
                stopping.set()
            return super().redraw(features, state, now_s)

    chain = FallbackChain(backends_on(("torch",), True), open_backend, lambda line: live.notices.post(line))
    screen, clock = Screen(HeadlessOutput((64, 64), None), Watching((64, 64)), (64, 64)), WallClock()
    live = Live(options, look.build_show()[0], screen, SynthSource(clock), clock, chain=chain)
    deadline = threading.Timer(120, stopping.set)
    deadline.start()
    summary = live.run(stopping)
    deadline.cancel()
    line = "torch: out of memory; going on with torch at 1 step a frame"
    assert summary.troubles == (line,)
    assert summary.restarts == 1
    assert summary.frames > 6
    assert 0 not in shown[next(i for i, index in enumerate(shown) if index) :], "the last frame left the screen"
    assert live.engine.worker.evaluations == 2 * 4 + (summary.frames - 2), (
        "two frames of four steps, then one step each"
    )
    assert live.status().state != line
    assert "CUDA out of memory" in str(caplog.records[0].exc_info)


def test_a_nan_is_never_shown_and_the_show_goes_on_as_it_was_also_where_it_is_slow(monkeypatch):
    monkeypatch.setattr(Inference, "stall", property(lambda self: f"no new picture at {time.monotonic()}"))
    made: list[int] = []

    def profiler(runner: Runner) -> Runner:
        def run(network: Network) -> Run:
            if not network.name.startswith("denoiser") or made:
                return runner(network)
            made.append(1)
            return runner(replace(network, build=lambda: NotFinite(network.build(), 9)))

        return run

    said: list[str] = []
    chain = FallbackChain(
        backends_on(("torch",), True), lambda one: open_on(one, MODEL, SIZE_PX, profiler), said.append
    )
    look = LookOptions(model=MODEL, settings={"guidance": "blend", "steps": 1, "feedback": 0.6})
    options = LiveOptions(look=look, source="synth", mute=True, headless=True, osc=OscOptions(port=0), seconds=120.0)
    with open_live(options, chain=chain) as live:
        seen: list[bool] = []

        class Enough(threading.Event):
            def is_set(self) -> bool:
                frame = live.engine.frames.peek()
                seen.append(frame is None or frame.image.std() > 0)
                return live.engine.worker.restarts > 0 and live.engine.frames.count >= 12

        summary = live.run(Enough())
    assert all(seen)
    assert summary.restarts == 1
    assert "inference stopped: a frame of NaN or infinity was refused; the model begins anew" in summary.troubles
    assert (summary.backend, said) == ("torch", []), "an accident costs no backend"


class Clock:
    """A clock that is set by hand."""

    s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_numbers_that_are_none_again_and_again_cost_the_backend():
    now = Clock()
    chain = FallbackChain(backends_on(("torch",), True), lambda one: pytest.fail("not asked for"), print, now)
    error = NotFiniteError("NaN")
    assert chain.step_down(error) == ""
    now.s += 2 * AGAIN_S
    assert chain.step_down(error) == ""
    now.s += 0.5 * AGAIN_S
    assert chain.step_down(error, steps=4).endswith("going on with torch at 1 step a frame")


def test_a_better_backend_is_tried_again_with_patience_that_grows():
    now, error = Clock(), RuntimeError("a kernel failed")
    said: list[str] = []
    chain = FallbackChain(backends_on(("onnx", "torch"), False), lambda one: pytest.fail("not asked"), said.append, now)
    assert chain.step_down(error, steps=4)
    waits = []
    for _ in range(4):
        left_s = now.s
        while not chain.climb():
            now.s += 10.0
        waits.append(now.s - left_s)
        assert chain.backend == Backend("onnx")
        now.s += 1.0
        assert chain.step_down(error, steps=4)
        assert chain.backend == Backend("torch")
    assert waits == [PATIENCE_S, 2 * PATIENCE_S, 4 * PATIENCE_S, 8 * PATIENCE_S]
    now.s += 10 * PATIENCE_S * 16
    assert chain.climb() == "onnx is tried again"
    now.s += 100 * PATIENCE_S
    assert chain.climb() == ""
    assert chain.step_down(error, steps=4)
    now.s += PATIENCE_S + 1
    assert chain.climb(), "what went well for long is tried as soon as the first time"


@pytest.mark.parametrize("error", [ImportError("libnvinfer.so.10"), HungError("a frame hangs")])
def test_what_cannot_come_back_is_not_tried_again(error):
    now = Clock()
    chain = FallbackChain(backends_on(("tensorrt", "cpu"), False), lambda one: pytest.fail("not asked"), print, now)
    assert chain.step_down(error)
    now.s += 1e6
    assert chain.climb() == ""
