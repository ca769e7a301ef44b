"""One ONNX graph to one TensorRT engine, with its progress reported and its complaints in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tpos_models.errors import ModelError, RunError
from tpos_models.network import Network

Progress = Callable[[float], None]
"""Called with the share done, 0..1."""


class Log:
    """The library's own logger, silent, that remembers the last error."""

    def __init__(self, trt: Any) -> None:
        severity = trt.ILogger.Severity
        serious = (severity.ERROR, severity.INTERNAL_ERROR)
        self.last = "no reason given"

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(_, level: Any, message: str) -> None:  # noqa: N805 - `self` is the Log around it
                if level in serious:
                    self.last = message.splitlines()[0][:200]

        self.logger = Logger()


class ProgressMonitor:
    """How far a build is, from the library's tree of phases; several threads may report to it.

    Ctrl-C is noted and stops the build at its next step: an exception would not survive the way through C++.
    """

    def __init__(self, progress: Progress) -> None:
        self.interrupted = False
        self._progress = progress
        self._phases: dict[str, tuple[int, int]] = {}
        self._share = 0.0
        self._lock = threading.Lock()

    def start(self, name: str, steps: int) -> None:
        with self._lock:
            self._phases[name] = (0, max(1, steps))

    def step(self, name: str, step: int) -> bool:
        """One step of a phase is done; False asks the library to stop."""
        with self._lock:
            _, steps = self._phases.get(name, (0, step + 1))
            self._phases[name] = (step + 1, steps)
            share = 0.0
            for done, steps in reversed(
                self._phases.values()
            ):  # innermost first: each is one step of the one around it
                share = min(1.0, (done + share) / steps)
            self._share = max(self._share, share)
        try:
            self._progress(self._share)
        except KeyboardInterrupt:
            self.interrupted = True
        return not self.interrupted

    def finish(self, name: str) -> None:
        with self._lock:
            self._phases.pop(name, None)

    def adapt(self, trt: Any) -> Any:
        """As the library takes it."""
        monitor = self

        class Monitor(trt.IProgressMonitor):
            def __init__(self) -> None:
                trt.IProgressMonitor.__init__(self)

            def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
                monitor.start(phase_name, num_steps)

            def step_complete(self, phase_name: str, step: int) -> bool:
                return monitor.step(phase_name, step)

            def phase_finish(self, phase_name: str) -> None:
                monitor.finish(phase_name)

        return Monitor()


Flags = Mapping[str, bool]
"""The library's names of builder flags, and whether each is set."""


def builder_flags(trt: Any, refittable: bool) -> Flags:
    """What engines are built with, as far as the library knows it.

    `REQUIRE_USER_ALLOCATION`: an engine that allocates while it runs cannot be captured in a CUDA graph. Without TF32:
    ten bits of mantissa are not what float32 promises. `REFIT`: weights can be exchanged; builds on a GPU only.
    """
    wanted = {"TF32": False, "REQUIRE_USER_ALLOCATION": True, "REFIT": refittable}
    return {name: on for name, on in wanted.items() if hasattr(trt.BuilderFlag, name)}


def build(trt: Any, graph: Path, network: Network, target: Any, flags: Flags, progress: Progress) -> Any:
    """A serialized engine (a buffer) of strong types for batches 1 to `max_batch`.

    `target` is the library's name of a compute capability, None for what it builds for by itself. Raises
    `ModelError` where the graph is damaged or refused, `RunError` where the build fails.
    """
    log, monitor = Log(trt), ProgressMonitor(progress)
    builder = trt.Builder(log.logger)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(definition, log.logger)
    if not graph.is_file() or not parser.parse_from_file(str(graph)):
        reason = parser.get_error(0).desc() if parser.num_errors else log.last
        raise ModelError(f"{graph}: TensorRT cannot read it ({reason.splitlines()[0][:160]})")
    config = builder.create_builder_config()
    config.add_optimization_profile(_batches(builder, definition, network.max_batch))
    adapted = monitor.adapt(trt)
    config.progress_monitor = adapted
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(target, 0)
    for name, on in flags.items():
        (config.set_flag if on else config.clear_flag)(getattr(trt.BuilderFlag, name))
    engine = builder.build_serialized_network(definition, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if engine is None:
        raise RunError(f"{network.name}: TensorRT cannot build it ({log.last})")
    progress(1.0)
    return engine


def _batches(builder: Any, definition: Any, most: int) -> Any:
    """Batch 1 to `most`, at its best with two: the prompt, and the prompt with the sound."""
    profile = builder.create_optimization_profile()
    for index in range(definition.num_inputs):
        tensor = definition.get_input(index)
        batch, *rest = tuple(tensor.shape)
        if batch != -1:  # the same for every batch
            continue
        profile.set_shape(tensor.name, (1, *rest), (min(2, most), *rest), (most, *rest))
    return profile


def torch_dtype(trt: Any, dtype: Any) -> torch.dtype:
    """The library's type as torch has it."""
    kinds = {
        trt.float32: torch.float32, trt.float16: torch.float16, trt.bfloat16: torch.bfloat16, trt.int64: torch.int64,
        trt.int32: torch.int32, trt.uint8: torch.uint8, trt.bool: torch.bool,
    }  # fmt: skip
    return kinds[dtype]
