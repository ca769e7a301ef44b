"""Networks in eight-bit integers, for CPUs that multiply those faster: used only where it pays and hardly shows.

Static quantisation: convolutions in int8 with one scale for each output channel, activations in uint8 over the range
that real inputs take, as ONNX's QuantizeLinear and DequantizeLinear pairs say it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.cache import building
from tpos_models.errors import ModelError
from tpos_models.network import Network, Run, Tensors

OPERATORS = (("Conv",), ("Conv", "Add", "Relu"))
"""What is rounded. The longer list is faster, for networks whose sums bear it."""
LEAST_SIGNAL_DB = 25.0
"""What a network says over what int8 changes of it, in power, on inputs that it was not calibrated with."""
LEAST_SPEEDUP = 1.1
_ROUNDS = 12


def choose(plain: Path, path: Path, network: Network) -> Path:
    """Write to `path` the fastest of `plain`, a network in float32 with real inputs, and the same in int8.

    Whole or not at all; raises `StorageError` where it cannot be written.
    """
    from export.onnx_runner import open_session

    real = network.real() if network.real else ()
    known, unseen = real[: -len(real) // 3], real[-len(real) // 3 :]
    reference, best = open_session(plain, network), LEAST_SPEEDUP
    with building(path) as temporary:
        shutil.copyfile(plain, temporary)
        candidate = temporary.with_suffix(".candidate")
        for operators in OPERATORS:
            try:
                quantise(plain, candidate, network.inputs, known, operators)
                run = open_session(candidate, network)
                if signal_db(run, reference, unseen) >= LEAST_SIGNAL_DB:
                    faster = speedup(run, reference, unseen)
                    if faster >= best:
                        best = faster
                        shutil.copyfile(candidate, temporary)
            except (ModelError, RuntimeError, ValueError):  # an operator that this ONNX Runtime knows in float32 only
                continue
        candidate.unlink(missing_ok=True)
    return path


def quantise(plain: Path, path: Path, names: Sequence[str], real: Sequence[Tensors], operators: Sequence[str]) -> None:
    """An ONNX file in float32 to one whose `operators` compute in int8, calibrated on `real` inputs."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._rows: Iterator[dict[str, Any]] = (
                {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)} for tensors in real
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self._rows, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends a preparation that changes nothing here
    try:
        quantization.quantize_static(
            str(plain),
            str(path),
            Reader(),
            op_types_to_quantize=list(operators),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logger.setLevel(level)


def signal_db(run: Run, reference: Run, real: Sequence[Tensors]) -> float:
    """Power of what `reference` answers over that of the difference of `run`, in dB."""
    got, want = (torch.cat([out.flatten() for tensors in real for out in one(*tensors)]) for one in (run, reference))
    return float(10 * torch.log10(want.var() / (got - want).square().mean().clamp_min(1e-20)))


def speedup(run: Run, reference: Run, real: Sequence[Tensors]) -> float:
    """How many times faster `run` answers, medians of turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS):
        for one, taken in zip((run, reference), times, strict=True):
            start_s = time.perf_counter()
            one(*real[number % len(real)])
            taken.append(time.perf_counter() - start_s)
    return float(np.median(times[1]) / np.median(times[0]))
