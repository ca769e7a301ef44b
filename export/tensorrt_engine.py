"""A TensorRT engine on torch's own tensors, in memory that torch gives it, ready to be captured in a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from export import cuda_graphs
from export.cache import building
from export.tensorrt_build import Log, torch_dtype
from export.tensorrt_refit import Refit
from tpos_models.errors import InputError, RunError, StorageError
from tpos_models.network import Network, Tensors


class Engine:
    """One engine on torch's tensors, captured in CUDA graphs; callers take turns.

    Inputs of every shape have an execution context and buffers of their own: a captured graph goes on reading and
    writing where it did, whatever is called between two replays. Contexts run one after another and share the memory
    they work in. `kernels` is where TensorRT-RTX keeps what it compiles on this GPU, so that the next start need not.
    """

    def __init__(
        self,
        trt: ModuleType,
        engine: bytes,
        network: Network,
        kernels: Path,
        device: torch.device = cuda_graphs.DEVICE,
        stream: Callable[[], int] = cuda_graphs.stream,
        record: cuda_graphs.Record | None = None,
    ) -> None:
        self._trt, self._network, self._log = trt, network, Log(trt)
        self._device, self._stream = device, stream
        self._runtime = trt.Runtime(self._log.logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise RunError(f"{network.name}: its engine does not load ({self._log.last})")
        self._kernels = _Kernels(trt, self._engine, kernels)
        self._scratch = torch.empty(max(1, self._engine.device_memory_size_v2), dtype=torch.uint8, device=device)
        self._bindings: dict[tuple[torch.Size, ...], _Binding] = {}
        self._replayed = cuda_graphs.Replayed(self._enqueue, record, device)

    def __call__(self, *tensors: torch.Tensor) -> Tensors:
        if len(tensors[0]) > self._network.max_batch:
            raise InputError(f"{self._network.name}: batch {len(tensors[0])}, 1 to {self._network.max_batch} accepted")
        known = len(self._bindings)
        out = self._replayed(*tensors)
        if len(self._bindings) > known:  # kernels were compiled for another shape
            self._kernels.keep()
        return out

    def _enqueue(self, *tensors: torch.Tensor) -> Tensors:
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._bindings:
            self._bindings[shapes] = self._bind(shapes)
        binding = self._bindings[shapes]
        for buffer, tensor in zip(binding.inputs, tensors, strict=True):
            buffer.copy_(tensor, non_blocking=True)
        if not binding.context.execute_async_v3(self._stream()):
            raise RunError(f"{self._network.name}: TensorRT failed ({self._log.last})")
        return tuple(out.clone() for out in binding.outputs)

    def _bind(self, shapes: tuple[torch.Size, ...]) -> _Binding:
        """A context for inputs of these shapes, with its buffers; raises `RunError` where it cannot be captured."""
        name, context = self._network.name, self._kernels.context()
        if context is None:
            raise RunError(f"{name}: no memory to run its engine in ({self._log.last})")
        context.set_device_memory(self._scratch.data_ptr(), self._scratch.nbytes)
        for tensor, shape in zip(self._network.inputs, shapes, strict=True):
            if not context.set_input_shape(tensor, tuple(shape)):
                raise RunError(f"{name}: TensorRT takes no {tuple(shape)} as {tensor} ({self._log.last})")
        buffers = {
            tensor: torch.empty(
                tuple(context.get_tensor_shape(tensor)),
                dtype=torch_dtype(self._trt, self._engine.get_tensor_dtype(tensor)),
                device=self._device,
            )
            for tensor in (*self._network.inputs, *self._network.outputs)
        }
        for tensor, buffer in buffers.items():
            context.set_tensor_address(tensor, buffer.data_ptr())
        capturable = getattr(context, "is_stream_capturable", lambda _: True)
        if not capturable(self._stream()):
            raise RunError(f"{name}: its engine cannot be captured in a CUDA graph ({self._log.last})")
        return _Binding(
            context,
            tuple(buffers[tensor] for tensor in self._network.inputs),
            tuple(buffers[tensor] for tensor in self._network.outputs),
        )

    def follow(self) -> None:
        """Let the engine's weights be what the network's adapters make of them.

        Raises `RunError` where it does not exchange them, `ModelError` as `Adapters.attach`.
        """
        if self._network.adapters is None:
            return
        module = self._network.build()
        spare = dict(module.named_parameters())
        refit = Refit(self._trt, self._engine, self._network.name, self._log, spare, self._stream, self._device)
        self._network.adapters.attach(module, refit.write, refit.refit)


@dataclass(frozen=True)
class _Binding:
    """An execution context and the buffers it reads and writes, for inputs of one shape."""

    context: Any
    inputs: Tensors
    outputs: Tensors


class _Kernels:
    """The runtime cache of TensorRT-RTX; TensorRT compiles nothing at run time and has none."""

    def __init__(self, trt: ModuleType, engine: Any, path: Path) -> None:
        self._engine, self._path, self._strategies = engine, path, trt.ExecutionContextAllocationStrategy
        self._config: Any = None
        self._cache: Any = None
        self._saved = b""
        if hasattr(trt, "IRuntimeCache"):
            self._load(trt)

    def _load(self, trt: ModuleType) -> None:
        """Kernels for a shape are compiled when it first comes, before a graph of them is recorded, not behind it."""
        self._config = self._engine.create_runtime_config()
        self._config.set_execution_context_allocation_strategy(self._strategies.USER_MANAGED)
        self._config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self._cache = self._config.create_runtime_cache()
        with suppress(OSError):  # it checks by itself whether they are of this GPU and version
            self._saved = self._path.read_bytes()
            self._cache.deserialize(self._saved)
        self._config.set_runtime_cache(self._cache)

    def context(self) -> Any:
        """An execution context in memory that it is given; None where there is not enough for it."""
        return self._engine.create_execution_context(self._config or self._strategies.USER_MANAGED)

    def keep(self) -> None:
        """Write what was compiled, where it is more than what was written; a cache that cannot be is no loss."""
        if self._cache is None or (compiled := bytes(memoryview(self._cache.serialize()).cast("B"))) == self._saved:
            return
        self._saved = compiled
        with suppress(StorageError), building(self._path) as temporary:
            temporary.write_bytes(compiled)
