"""ONNX Runtime's sessions, bound to torch tensors without copies. The one place that imports ONNX Runtime.

It writes a device id and a database of events into the user's cache folder as soon as it is imported, unless this
variable says otherwise by then.
"""

from __future__ import annotations

import importlib
import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as state

from tpos_models.errors import ModelError, RunError
from tpos_models.network import Network, Run

VERSION: str = ort.__version__
"""Of ONNX Runtime; graphs that it rewrote, as it does to quantise them, carry it in their names."""

_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_TORCH = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(int64)": torch.int64,
    "tensor(uint8)": torch.uint8,
}

_FAILURES = (state.Fail, state.RuntimeException, state.EPFail, state.InvalidArgument, state.NotImplemented)


def cores() -> int:
    """Cores there are, at most 8, or $OMP_NUM_THREADS."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return min(8, int(chosen))
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, here, psutil.cpu_count(logical=False) or here))


_films = False


def draw_films() -> None:
    """From now on in this process no network is shared by threads, and each core has a frame of its own.

    Threads that share a convolution add up its parts in an order that depends on how many they are.
    """
    global _films
    _films = True


def frames_at_once(beside_display: bool) -> int:
    """Frames that are best computed side by side: two on a CPU, unless a core must be left to the display for it.

    A network's operations are so short that threads which share them mostly wait for each other.
    """
    return 1 if len(providers()) > 1 else max(1, min(cores() if _films else 2, cores() - beside_display))


def threads() -> int:
    """Threads for each network of two frames at once; a core's worth is left to the display and the sound."""
    return 1 if _films else max(1, (cores() - 1) // 2)


def threads_alone() -> int:
    """Threads for a model that has one frame at a time; two cores are both taken, behind everybody else."""
    return cores() if cores() <= 2 else cores() - 1


def providers() -> list[str | tuple[str, dict[str, str]]]:
    """CUDA where its package (onnxruntime-gpu) is installed, in full float32, and the CPU for what that cannot do."""
    if "CUDAExecutionProvider" in ort.get_available_providers():
        return [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def session_options() -> ort.SessionOptions:
    """Threads that sleep rather than spin between calls: the display and the sound card need the cores then."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def open_session(path: Path, network: Network) -> Run:
    """Load an ONNX file as a function of torch tensors; raises `ModelError` for a damaged or foreign file."""
    try:
        session = ort.InferenceSession(str(path), session_options(), providers=providers())
    except Exception as error:
        raise ModelError(f"{path}: ONNX Runtime cannot load it ({str(error).splitlines()[0][:160]})") from error
    for kind, found, wanted in (
        ("inputs", session.get_inputs(), network.inputs),
        ("outputs", session.get_outputs(), network.outputs),
    ):
        names = tuple(value.name for value in found)
        if names != wanted:
            raise ModelError(f"{path}: {kind} are {names}, {network.name} has {wanted}")
    return _BoundSession(session, network.name)


def inner_values(model: Any, name: str, rows: Iterable[Mapping[str, np.ndarray]]) -> list[np.ndarray]:
    """What the tensor `name` inside an ONNX model is for each row of its inputs."""
    probe = type(model)()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.add().name = name
    session = ort.InferenceSession(probe.SerializeToString(), session_options(), providers=providers())
    return [session.run([name], dict(row))[0] for row in rows]


class _BoundSession:
    """One session. Inputs are read where torch keeps them; outputs are allocated by torch, fresh for each call."""

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self._session, self._name = session, name
        self._inputs = [(i.name, i.type) for i in session.get_inputs()]
        self._outputs = [(o.name, o.type, o.shape) for o in session.get_outputs()]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        binding = self._session.io_binding()
        kept = [tensor.contiguous() for tensor in tensors]
        for (name, kind), tensor in zip(self._inputs, kept, strict=True):
            binding.bind_input(name, "cpu", 0, _NUMPY[kind], tuple(tensor.shape), tensor.data_ptr())
        outputs = []
        for name, kind, shape in self._outputs:
            first = shape[0] if isinstance(shape[0], int) else len(kept[0])
            out = torch.empty((first, *shape[1:]), dtype=_TORCH[kind])
            binding.bind_output(name, "cpu", 0, _NUMPY[kind], tuple(out.shape), out.data_ptr())
            outputs.append(out)
        try:
            self._session.run_with_iobinding(binding)
        except _FAILURES as error:
            reason = str(error).splitlines()[0][:160]
            raise RunError(f"{self._name}: ONNX Runtime failed ({reason})") from error
        return tuple(outputs)


def quantization() -> ModuleType:
    """ONNX Runtime's tools for integer networks, which only a build needs."""
    return importlib.import_module("onnxruntime.quantization")
