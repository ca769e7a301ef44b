"""The weights of an engine exchanged while it plays, from the GPU's memory, on the stream it runs on.

A graph recorded of an engine goes on reading its weights where they are, and a refit writes them there:
`export.tensorrt.check_once` sees to it on every GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch

from export.onnx_export import TRANSPOSED
from export.tensorrt_build import Log, torch_dtype
from tpos_models.errors import RunError


class Refit:
    """`tpos_models.network.Write` into an engine that was built to be refitted; owned by the thread that runs it.

    Where the library combined weights it asks for all of them: `spare` are the network's own parameters by name.
    Raises `RunError` for weights that it does not exchange.
    """

    def __init__(
        self,
        trt: ModuleType,
        engine: Any,
        network: str,
        log: Log,
        spare: Mapping[str, torch.Tensor],
        stream: Callable[[], int],
        device: torch.device,
    ) -> None:
        self._trt, self._network, self._log, self._stream, self._device = trt, network, log, stream, device
        self._refitter = trt.Refitter(engine, log.logger)
        self._known = frozenset(self._refitter.get_all_weights())
        self._spare = spare
        self._lent: dict[str, torch.Tensor] = {}
        """By the engine's name; the library reads them at each refit."""

    def write(self, name: str, value: torch.Tensor) -> None:
        """What a parameter becomes with the next `refit`, rounded to the engine's precision."""
        transposed = f"{name}{TRANSPOSED}" in self._known
        stored, value = (f"{name}{TRANSPOSED}", value.T) if transposed else (name, value)
        if stored not in self._lent:
            self._lent[stored] = self._lend(stored, value)
        self._lent[stored].copy_(value)

    def refit(self) -> None:
        """Enqueue the exchange behind what is under way."""
        while missing := set(self._refitter.get_missing_weights()) - self._lent.keys():
            for stored in missing:
                name = stored.removesuffix(TRANSPOSED)
                if name not in self._spare:
                    raise self._refused(stored)
                self.write(name, self._spare[name].detach())
        self._spare = {}
        if not self._refitter.refit_cuda_engine_async(self._stream()):
            raise RunError(f"{self._network}: its engine takes no other weights ({self._log.last})")

    def _lend(self, stored: str, value: torch.Tensor) -> torch.Tensor:
        if stored not in self._known:
            raise self._refused(stored)
        kind = self._refitter.get_weights_prototype(stored).dtype
        memory = torch.empty(value.shape, dtype=torch_dtype(self._trt, kind), device=self._device)
        weights = self._trt.Weights(kind, memory.data_ptr(), memory.numel())
        if not self._refitter.set_named_weights(stored, weights, self._trt.TensorLocation.DEVICE):
            raise self._refused(stored)
        return memory

    def _refused(self, stored: str) -> RunError:
        return RunError(f"{self._network}: its engine does not exchange {stored} ({self._log.last})")
