"""What NVIDIA GPUs have in common, with TensorRT and without: CUDA graphs, and the frame's way back to the host.

Everything runs on torch's current stream and nothing here waits for the whole device once a graph is recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from export.cuda_streams import Turns
from tpos_models.network import Network, Run, Runner, Tensors, as_function, follow

DEVICE = torch.device("cuda")
_WARM_UP = 3
"""Calls before a recording: libraries choose their kernels and take their workspaces in them."""

_recording = threading.local()
"""`.now` while this thread records: calls of other recorded functions then become part of what is recorded."""

_one_records = threading.Lock()
"""Held while any thread records: another's recording begins with a wait for the device, which ends this one's."""

_Key = tuple[tuple[torch.Size, torch.dtype], ...]

Record = Callable[[Callable[[], Tensors]], tuple[Callable[[], None], Tensors]]
"""Calls a function of no arguments, warm-up included; gives what does the same work again, and the tensors it fills."""


def available() -> tuple[bool, str]:
    """Whether torch can use a GPU here, and why not, or which."""
    if torch.version.cuda is None:
        return False, f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return False, "torch finds no NVIDIA driver or GPU"
    major, minor = torch.cuda.get_device_capability()
    return True, f"{torch.cuda.get_device_name()}, compute capability {major}.{minor}"


def runner() -> Runner:
    """Networks in torch, each call one replay of a CUDA graph.

    Shapes are fixed, so cuDNN's fastest convolutions are looked for, once, where they need not be the same on every run
    (`torch.backends.cudnn.deterministic`); none in TF32, whose ten bits of mantissa err
    by more than float32 is held to.
    """

    def run(network: Network) -> Run:
        cudnn = torch.backends.cudnn
        cudnn.benchmark, cudnn.allow_tf32 = not cudnn.deterministic, False
        module = network.build().to(DEVICE)
        follow(network, module)
        return Replayed(as_function(module))

    return run


def recording() -> bool:
    """Whether this thread records, warm-up included."""
    return getattr(_recording, "now", False)


def stream() -> int:
    """The handle of torch's current stream."""
    return torch.cuda.current_stream().cuda_stream


@dataclass(frozen=True)
class _Recording:
    """What one recording reads and writes, at addresses that are part of it, and the call that repeats it."""

    inputs: Tensors
    repeat: Callable[[], None]
    outputs: Tensors

    def replay(self, tensors: Tensors) -> None:
        for mine, given in zip(self.inputs, tensors, strict=True):
            mine.copy_(given, non_blocking=True)
        self.repeat()


class Replayed:
    """A function of tensors on the GPU behind CUDA graphs, one for each combination of shapes it is called with.

    `execute` reads its inputs and enqueues its work on the current stream; it may neither wait nor copy to the host.
    Inputs may lie on the host or the GPU; outputs are the caller's own and lie where the first input does. They come
    from torch's pools, so that a call of known shapes asks the driver for no memory. One that `lends` gives the
    recording's own outputs, on the GPU, which hold until the next call: it is owned by one thread. Any other may be
    called by several, on streams of their own, and serves one after the other. Called while another one records, it
    adds its work to that graph. `record` makes a recording, by default a CUDA graph.
    """

    def __init__(
        self, execute: Run, record: Record | None = None, device: torch.device = DEVICE, *, lends: bool = False
    ) -> None:
        self._execute, self._device, self._lends = execute, device, lends
        self._record = record or _Graphs()
        self._recordings: dict[_Key, _Recording] = {}
        self._turns = Turns(device)

    @torch.inference_mode()
    def __call__(self, *tensors: torch.Tensor) -> Tensors:
        if recording():
            return self._execute(*(tensor.to(self._device) for tensor in tensors))
        key = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        with self._turns:
            if key not in self._recordings:
                self._recordings[key] = self._recorded(tensors)
            one = self._recordings[key]
            one.replay(tensors)
            if self._lends:
                return one.outputs
            return tuple(out.to(tensors[0].device, copy=True) for out in one.outputs)

    def _recorded(self, tensors: Tensors) -> _Recording:
        inputs = tuple(
            torch.empty(tensor.shape, dtype=tensor.dtype, device=self._device).copy_(tensor) for tensor in tensors
        )
        with _one_records:
            _recording.now = True
            try:
                return _Recording(inputs, *self._record(lambda: self._execute(*inputs)))
            finally:
                _recording.now = False


class _Graphs:
    """Records CUDA graphs that share a pool: they never overlap, and each one's outputs are copied out, or read for the
    last time by whom they are lent to, before the next one starts."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, call: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        current = torch.cuda.current_stream()
        _clear_workspaces()
        try:
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = call()
        finally:
            torch.cuda.set_stream(current)  # which torch leaves as it is where a recording fails
            _clear_workspaces()
        return graph.replay, outputs


def _clear_workspaces() -> None:
    """Have cuBLAS take its workspace of each graph from that graph's own pool, as torch's own graph trees do.

    Else later graphs write where an earlier one's pool was, also when that is gone.
    """
    torch._C._cuda_clearCublasWorkspaces()


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host's where it is needed; a GPU takes it behind what it is given already, and nobody waits.

    It is pinned for that: a copy from other memory may wait until the GPU is done.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_host(pixels: torch.Tensor) -> Callable[[], np.ndarray]:
    """Send a frame's pixels home: the call that is returned waits for them, on any thread, and gives the array.

    From a GPU they are copied into pinned memory behind the work that draws them, before whatever is enqueued next. The
    array owns its block; torch's pool of them takes it back when the last frame that uses it is gone, so that a show
    soon has as many as its screens and recorders hold, and asks the driver for no more.
    """
    if pixels.device.type != "cuda":
        return pixels.cpu().numpy
    pinned = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
    pinned.copy_(pixels, non_blocking=True)
    arrived = torch.cuda.Event(blocking=True)  # sleeps: the display needs the core more than we need the microseconds
    arrived.record()

    def wait() -> np.ndarray:
        arrived.synchronize()
        return pinned.numpy()

    return wait
