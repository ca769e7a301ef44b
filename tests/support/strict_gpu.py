"""Stand-ins for a GPU that forgive less than one, on the CPU.

Recordings repeat what was done, with the addresses of that time. TensorRT reads raw pointers as contiguous, and takes
one shape a context once it is recorded.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from export import onnx_export
from export.cuda_graphs import Replayed
from export.tensorrt_engine import Engine
from tpos_models.network import Network, Run, Runner, Tensors, as_function

CPU = torch.device("cpu")
_tapes: list[Tape] = []


class Tape(TorchDispatchMode):
    """What is done under it, launch by launch: what a CUDA graph would hold. Host values are as they were then."""

    def __init__(self) -> None:
        super().__init__()
        self._launches: list[Callable[[], None]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        assert "_local_scalar_dense" not in name, "the host waits for a value while a graph is recorded"
        call = partial(func, *args, **(kwargs or {}))
        out = call()
        if "empty" not in name:
            self.launch(partial(_again, call, out))
        return out

    def launch(self, work: Callable[[], None]) -> None:
        """Note work that is enqueued."""
        self._launches.append(work)

    def replay(self) -> None:
        """Do all of it again, where it was done."""
        for work in self._launches:
            work()


def _again(call: Callable[[], Any], out: Any) -> None:
    for old, new in zip(pytree.tree_leaves(out), pytree.tree_leaves(call()), strict=True):
        if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
            old.copy_(new)


def record(call: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
    """A recording on the CPU (`export.cuda_graphs.Record`)."""
    call()
    tape = Tape()
    _tapes.append(tape)
    try:
        with tape:
            outputs = call()
    finally:
        _tapes.pop()
    return tape.replay, outputs


def capture(execute: Run) -> Replayed:
    """`Replayed` on the CPU, as a show captures its frames."""
    return Replayed(execute, record, CPU, lends=True)


class StrictContext:
    """An execution context; after it was recorded it takes no other shape and no other address."""

    def __init__(self, engine: StrictEngine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._memory = self._recorded = False

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory % 16 == 0
        assert size >= self._engine.device_memory_size_v2
        self._memory = True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        network = self._engine.network
        if name in network.unbatched:
            assert shape == self._engine.kinds[name][0]
        elif not 1 <= shape[0] <= network.max_batch:
            return False
        assert not self._recorded or self._shapes[name] == shape, f"{name}: another shape after it was recorded"
        self._shapes[name] = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        unbatched = self._engine.network.unbatched
        (batch,) = {shape[0] for given, shape in self._shapes.items() if given not in unbatched}
        whole = self._engine.kinds[name][0]
        return whole if name in unbatched else (batch, *whole[1:])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert not self._recorded or self._addresses[name] == memory, f"{name}: moved after it was recorded"
        self._addresses[name] = memory
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return self._engine.capturable

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self._memory, "it was given no memory to work in"
        with _disable_current_modes():
            self._run()
        if _tapes:
            _tapes[-1].launch(self._run)
            self._recorded = True
        return True

    def _run(self) -> None:
        """On what lies at its addresses now, read as contiguous."""
        network = self._engine.network
        inputs = [self._raw(name).clone() for name in network.inputs]
        for name, out in zip(network.outputs, self._engine.run(*inputs), strict=True):
            self._raw(name).copy_(out)

    def _raw(self, name: str) -> torch.Tensor:
        shape, dtype = self.get_tensor_shape(name), self._engine.kinds[name][1]
        memory = (ctypes.c_byte * (prod(shape) * dtype.itemsize)).from_address(self._addresses[name])
        return torch.frombuffer(memory, dtype=dtype).view(shape)


class StrictEngine:
    """An engine of one network, computed by torch."""

    device_memory_size_v2 = 4096

    def __init__(self, network: Network, real: ModuleType, capturable: bool) -> None:
        self.network, self.module, self.capturable = network, network.build(), capturable
        self.run = as_function(self.module)
        self._real = real
        example = network.example(1)
        names = zip((*network.inputs, *network.outputs), (*example, *self.run(*example)), strict=True)
        self.kinds = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in names}

    def create_runtime_config(self) -> StrictConfig:
        return StrictConfig()

    def create_execution_context(self, runtime_config: StrictConfig) -> StrictContext:
        assert runtime_config.strategy == self._real.ExecutionContextAllocationStrategy.USER_MANAGED
        return StrictContext(self)

    def get_tensor_dtype(self, name: str) -> Any:
        kinds = {torch.float32: self._real.float32, torch.int64: self._real.int64, torch.uint8: self._real.uint8}
        return kinds[self.kinds[name][1]]


class StrictRefitter:
    """Weights under the names of the network's real graph, found by value; combined ones are exchanged together."""

    def __init__(self, engine: StrictEngine, real: ModuleType) -> None:
        self._engine, self._real = engine, real
        parameters = dict(engine.module.named_parameters())
        with TemporaryDirectory() as folder:
            path = onnx_export.export(engine.network, Path(folder) / "strict.onnx").path
            stored = {one.name: numpy_helper.to_array(one).copy() for one in onnx.load(path).graph.initializer}
        self._where = {
            name: (parameter, value.shape != parameter.shape or not np.array_equal(value, parameter.cpu()))
            for name, value in stored.items()
            for parameter in parameters.values()
            if sorted(value.shape) == sorted(parameter.shape)
            and any(np.array_equal(one, value) for one in (parameter.cpu().numpy(), parameter.cpu().numpy().T))
        }
        self._lent: dict[str, Any] = {}

    def get_all_weights(self) -> list[str]:
        return list(self._where)

    def get_missing_weights(self) -> list[str]:
        """Keys and values of one attention are one matrix."""
        begun = {name.replace(".to_k.", ".to_v.").partition(".to_v.")[0] for name in self._lent if ".to_" in name}
        combined = [name for name in self._where if ".to_k." in name or ".to_v." in name]
        return [name for name in combined if name not in self._lent and re.split(r"\.to_[kv]\.", name)[0] in begun]

    def get_weights_prototype(self, weights_name: str) -> Any:
        return self._real.Weights(self._real.float32)

    def set_named_weights(self, name: str, weights: Any, location: Any) -> bool:
        assert location == self._real.TensorLocation.DEVICE
        assert weights.dtype == self._real.float32
        parameter, _ = self._where[name]
        self._lent[name] = weights
        return weights.size == parameter.numel()

    def refit_cuda_engine_async(self, stream_handle: int) -> bool:
        assert stream_handle == 7
        assert not _tapes, "a refit would be recorded"
        if self.get_missing_weights():
            return False
        for name, weights in self._lent.items():
            parameter, transposed = self._where[name]
            value = torch.from_numpy(weights.numpy().copy())
            parameter.copy_(value.view(parameter.T.shape).T if transposed else value.view(parameter.shape))
        return True


class StrictConfig:
    """A runtime configuration without a cache worth keeping."""

    strategy: Any = None
    dynamic_shapes_kernel_specialization_strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> StrictCache:
        return StrictCache()

    def set_runtime_cache(self, cache: StrictCache) -> bool:
        return True


class StrictCache:
    """Compiled kernels, one more each time it is asked."""

    count = 0

    def serialize(self) -> bytes:
        self.count += 1
        return bytes(self.count)

    def deserialize(self, data: bytes) -> bool:
        return True


class StrictTensorRT(ModuleType):
    """The real library with a runtime that needs no GPU; its engines are networks."""

    def __init__(self, real: ModuleType, network: Network, capturable: bool = True) -> None:
        super().__init__("strict")
        self._real, self._network, self._capturable = real, network, capturable

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_real"], name)

    def Runtime(self, logger: Any) -> StrictTensorRT:  # noqa: N802 - the library's name
        return self

    def Refitter(self, engine: StrictEngine, logger: Any) -> StrictRefitter:  # noqa: N802 - the library's name
        return StrictRefitter(engine, self._real)

    def deserialize_cuda_engine(self, data: bytes) -> StrictEngine:
        return StrictEngine(self._network, self._real, self._capturable)


def runner(real: ModuleType, folder: Path, capturable: bool = True) -> Runner:
    """Networks on the strict TensorRT."""

    def run(network: Network) -> Run:
        trt = StrictTensorRT(real, network, capturable)
        engine = Engine(trt, b"", network, folder / f"{network.name}.kernels", CPU, lambda: 7, record)
        engine.follow()
        return engine

    return run
