"""Networks in eight-bit integers, for CPUs that multiply those faster: used only where it pays and hardly shows.

Static quantisation: convolutions in int8 with one scale for each output channel, activations in uint8 over the range
that real inputs take, as ONNX's QuantizeLinear and DequantizeLinear pairs say it. Real inputs come by timestep: those
of a later step are not spread as the first step's are, so every step counts in the ranges and is held to the bar.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.cache import building
from export.onnx_session import VERSION, inner_values, open_session, quantization
from tpos_models.errors import ModelError
from tpos_models.network import Network, Run, Tensors

Inputs = Mapping[int, Sequence[Tensors]]
"""Real inputs by timestep."""

LEAST_SIGNAL_DB = 25.0
"""What a network says over what int8 changes of it, in power, on inputs that it was not calibrated with."""
LEAST_SPEEDUP = 1.1
_ROUNDS = 12


@dataclass(frozen=True)
class Recipe:
    """What is rounded: these operators, and whether the channels that the first convolution reads are equalised.

    It may read features as they are, whose scales differ so much that one range does not suit them all. Weights may be
    `narrow`, of seven bits: processors without VNNI add two products in sixteen bits, which do not hold those of eight.
    """

    operators: tuple[str, ...]
    equalise: bool = False
    narrow: bool = False


RECIPES = (
    Recipe(("Conv", "Add", "Relu")), Recipe(("Conv",), equalise=True), Recipe(("Conv",), equalise=True, narrow=True)
)  # fmt: skip
"""From the fastest to the most faithful. A network takes the first that reaches `LEAST_SIGNAL_DB`: which does not
depend on how fast this machine is, or how busy."""


def recipe_id(network: Network) -> str:
    """What an int8 graph depends on beside its network: this file, whoever gives the real inputs, ONNX Runtime."""
    sources = (__file__, inspect.getsourcefile(inspect.unwrap(network.real)) if network.real else None)
    return f"{_digest(*sources)[:8]}-ort{VERSION}"


@cache
def _digest(*paths: str | None) -> str:
    return hashlib.sha256(b"".join(Path(path).read_bytes() for path in paths if path)).hexdigest()


def build(plain: Path, path: Path, network: Network) -> Path:
    """Write `plain`, a network in float32 with real inputs, to `path` in int8; whole or not at all.

    Raises `ModelError` where no recipe is faithful at every timestep, `StorageError` where it cannot be written.
    """
    known, unseen = split(network.real() if network.real else {})
    reference, best = open_session(plain, network), "no operator of it can be rounded"
    with building(path, summed=True) as temporary:
        for recipe in RECIPES:
            try:
                quantise(plain, temporary, network.inputs, known, recipe)
                signals = signals_db(open_session(temporary, network), reference, unseen)
            except (ModelError, RuntimeError, ValueError):  # an operator that this ONNX Runtime knows in float32 only
                continue
            if min(signals.values()) >= LEAST_SIGNAL_DB:
                return path
            step, signal = min(signals.items(), key=lambda pair: pair[1])
            best = f"{signal:.1f} dB of signal at timestep {step}, {LEAST_SIGNAL_DB:g} would be accepted"
        raise ModelError(f"{network.name} in int8: {best}; --precision fp32 would be accepted")


def split(real: Inputs) -> tuple[Inputs, Inputs]:
    """Two thirds of every timestep's inputs to calibrate with, and the rest to check with."""
    known = {step: inputs[: -len(inputs) // 3] for step, inputs in real.items()}
    unseen = {step: inputs[-len(inputs) // 3 :] for step, inputs in real.items()}
    return known, unseen


def quantise(plain: Path, path: Path, names: Sequence[str], real: Inputs, recipe: Recipe) -> None:
    """An ONNX file in float32 to one that computes in int8 by a recipe, calibrated on `real` inputs."""
    import onnx  # which a network that is built already does not need

    tools, model = quantization(), onnx.load(plain)
    rows = [
        {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        for inputs in real.values()
        for tensors in inputs
    ]
    if recipe.equalise:
        _equalise_first_convolution(model, rows)

    class Reader(tools.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self._rows = iter(rows)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._rows, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends a preparation that changes nothing here
    try:
        tools.quantize_static(
            model,
            str(path),
            Reader(),
            op_types_to_quantize=list(recipe.operators),
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            reduce_range=recipe.narrow,
        )
    finally:
        logger.setLevel(level)


def _equalise_first_convolution(model: Any, rows: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Divide every channel it reads by the largest value that `rows` bring there, and multiply its weights by it.

    It computes what it did. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
    (ICCV 2019), do so between layers; here the activations alone decide, as weights have a scale for each output.
    Raises `ValueError` where there is no convolution with constant weights.
    """
    from onnx import helper, numpy_helper

    constants = {constant.name: constant for constant in model.graph.initializer}
    at, conv = next(((i, node) for i, node in enumerate(model.graph.node) if node.op_type == "Conv"), (0, None))
    if conv is None or conv.input[1] not in constants:
        raise ValueError("no convolution with constant weights")
    read, kernel = conv.input[:2]
    largest = np.max([np.abs(value).max((0, 2, 3)) for value in inner_values(model, read, rows)], axis=0)
    scale = np.where(largest > 0, largest, 1).reshape(1, -1, 1, 1).astype(np.float32)
    equal, inverse, weights = (f"{conv.name}.{name}" for name in ("equal", "inverse", "weights"))
    model.graph.initializer.extend(
        (
            numpy_helper.from_array(1 / scale, inverse),
            numpy_helper.from_array(numpy_helper.to_array(constants[kernel]) * scale, weights),
        )
    )
    model.graph.node.insert(at, helper.make_node("Mul", [read, inverse], [equal], name=equal))
    conv.input[0], conv.input[1] = equal, weights
    if not any(kernel in node.input for node in model.graph.node):
        model.graph.initializer.remove(constants[kernel])


def signals_db(run: Run, reference: Run, real: Inputs) -> dict[int, float]:
    """Power of what `reference` answers over that of the difference of `run`, in dB, by timestep."""
    return {step: _signal_db(run, reference, inputs) for step, inputs in real.items()}


def _signal_db(run: Run, reference: Run, inputs: Sequence[Tensors]) -> float:
    got, want = (torch.cat([out.flatten() for tensors in inputs for out in one(*tensors)]) for one in (run, reference))
    return float(10 * torch.log10(want.var() / (got - want).square().mean().clamp_min(1e-20)))


def speedup(rounded: Sequence[Run], plain: Sequence[Run], inputs: Sequence[Tensors]) -> float:
    """How many times faster networks answer once each than the same in float32, medians of turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for runs, taken in zip((rounded, plain), times, strict=True):
            start_s = time.perf_counter()
            for run, tensors in zip(runs, inputs, strict=True):
                run(*tensors)
            taken.append(time.perf_counter() - start_s)
    return float(np.median(times[1]) / np.median(times[0]))
