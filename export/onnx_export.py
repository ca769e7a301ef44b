"""Networks to ONNX files, each checked against torch before it counts."""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.cache import building, cache_folder
from export.onnx_session import open_session
from tpos_models.errors import InputError, ModelError
from tpos_models.network import Network, Tensors, as_function, max_relative_error

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest accepted relative error of an exported network against torch in fp32, by precision."""

OPSET = 17
TRANSPOSED = ".T"
"""Behind a parameter's name in a graph that holds it transposed, as the tracer leaves every linear layer's."""
_LARGE = 100_000_000
"""Parameters from which a network is checked at batch 1 and 2 only: ONNX Runtime spells attention out, and that of a
512x512 picture takes 0.5 GB for each."""
_EXTERNAL_BYTES = 256 * 2**20
"""Graphs with more weights than this keep them in a file beside; one file holds 2 GiB at most."""
_SMALLEST_EXTERNAL_BYTES = 1024


@dataclass(frozen=True)
class Exported:
    """One file and its largest relative error against torch; weights too large for it lie beside, as NAME.data."""

    path: Path
    error: float


@dataclass(frozen=True)
class Case:
    """Tensors of a network and what torch answers in float32, both on the CPU."""

    inputs: Tensors
    answer: Tensors


def cached_path(network: Network, folder: Path | None = None, precision: str = "fp32", recipe: str = "") -> Path:
    """The file name that holds exactly these weights, exported by exactly this torch, and by which recipe rewritten."""
    version = torch.__version__.split("+")[0]
    made = "-".join(part for part in (precision, recipe, f"torch{version}") if part)
    stem = f"{network.name}-{network.fingerprint[:16]}-{made}"
    return (folder or cache_folder()) / "onnx" / f"{stem}.onnx"


def export(network: Network, path: Path, precision: str = "fp32", real: Sequence[Tensors] = ()) -> Exported:
    """Write `network` as ONNX with float32 in and out and a dynamic batch; whole or not at all.

    It is compared with torch on random inputs and on the `real` ones. Raises `ModelError` above `TOLERANCE`,
    `StorageError` where it cannot be written.
    """
    if precision not in TOLERANCE:
        raise InputError(f"precision {precision}: {' or '.join(TOLERANCE)} would be accepted")
    expected = cases(network, real)
    with building(path, summed=True) as temporary:
        errors = _trace(network, temporary, precision, expected)
        errors += _errors(network, temporary, expected)
        return Exported(path, _accepted(network, precision, errors))


def check(network: Network, path: Path, precision: str = "fp32") -> float:
    """Max relative error of a file against torch; raises `ModelError` above `TOLERANCE`."""
    return _accepted(network, precision, _errors(network, path, cases(network)))


def cases(network: Network, real: Sequence[Tensors] = ()) -> tuple[Case, ...]:
    """Random inputs at batch 1 and the largest, then the real ones, with torch's answers."""
    module = network.build().float()
    large = sum(parameter.numel() for parameter in module.parameters()) > _LARGE
    run = as_function(module)
    examples = (network.example(1), network.example(2 if large else network.max_batch), *map(network.comparable, real))
    return tuple(Case(_on_cpu(inputs), _on_cpu(run(*inputs))) for inputs in examples)


def _on_cpu(tensors: Tensors) -> Tensors:
    return tuple(tensor.cpu() for tensor in tensors)


def _errors(network: Network, path: Path, expected: tuple[Case, ...]) -> list[float]:
    """What a file answers in ONNX Runtime against what torch answers."""
    run = open_session(path, network)
    try:
        return [max_relative_error(run(*case.inputs), case.answer, network.rounding) for case in expected]
    except RuntimeError as failure:
        reason = str(failure).splitlines()[0][:200]
        raise ModelError(f"{path.name}: {network.name} does not run as ONNX ({reason})") from failure


def _accepted(network: Network, precision: str, errors: list[float]) -> float:
    error = float(torch.tensor(errors).max())  # NaN, where there is one
    if not error <= TOLERANCE[precision]:
        raise ModelError(
            f"{network.name} in {precision} differs from torch by {error:.1e}, "
            f"at most {TOLERANCE[precision]:.0e} is accepted"
        )
    return error


def _trace(network: Network, path: Path, precision: str, expected: tuple[Case, ...]) -> list[float]:
    """By torch's tracing exporter: `pocket` takes it 1 s where the one built on torch.export takes 20.

    Returns the errors of float16 in torch itself, in what it traced. ONNX Runtime on a CPU computes in float32 between
    its casts, and would not notice what is too large.
    """
    module, answers = network.build().float(), list[Tensors]()
    parameters = dict(module.named_parameters())
    if precision == "fp16":
        module = _in_half(module)
        module.register_forward_hook(lambda _module, _inputs, out: answers.append(_as_tuple(out)))
    first, device = expected[0], network.example(1)[0].device
    names = (*network.inputs, *network.outputs)
    raw = path.parent / "traced"
    raw.mkdir()
    with _quiet(), torch.no_grad(), _swift_half_convolutions():
        torch.onnx.export(
            module,
            tuple(tensor.to(device) for tensor in first.inputs),
            str(raw / path.name),
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            dynamic_axes={name: {0: "batch"} for name in names if name not in network.unbatched},
            opset_version=OPSET,
            dynamo=False,
        )
    del module
    _finish(raw / path.name, path, first, network.unbatched, parameters)
    return [max_relative_error(_on_cpu(answer), first.answer, network.rounding) for answer in answers]


def _finish(
    raw: Path, path: Path, case: Case, unbatched: Sequence[str], parameters: Mapping[str, torch.Tensor]
) -> None:
    """Write the traced file anew: outputs with the shapes they have, weights within it or all in one file beside.

    Weights have their parameters' names (`TRANSPOSED` behind some), as refitting an engine needs them.
    """
    import onnx  # which a network that is built already does not need

    model = onnx.load(raw)
    for file in raw.parent.iterdir():
        file.unlink()
    raw.parent.rmdir()
    for output, answer in zip(model.graph.output, case.answer, strict=True):
        sizes = list(zip(output.type.tensor_type.shape.dim, answer.shape, strict=True))
        for dimension, size in sizes if output.name in unbatched else sizes[1:]:
            dimension.dim_value = size
    _rename(model.graph, parameters)
    beside = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > _EXTERNAL_BYTES
    location = f"{path.stem}.data" if beside else None
    onnx.save_model(
        model, path, save_as_external_data=beside, location=location, size_threshold=_SMALLEST_EXTERNAL_BYTES
    )


def _rename(graph: Any, parameters: Mapping[str, torch.Tensor]) -> None:
    """The names that the tracer knows no longer by value, those within `_InHalf` by what stands before them."""
    matrices = {name: weight.cpu() for name, weight in parameters.items() if weight.ndim == 2}
    names: dict[str, str] = {}
    for stored in graph.initializer:
        if (outside := re.sub(r"(^|\.)module\.", r"\1", stored.name, count=1)) in parameters:
            names[stored.name] = outside
        elif (name := _transposed(stored, matrices)) is not None:
            matrices.pop(name)
            names[stored.name] = f"{name}{TRANSPOSED}"
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _transposed(stored: Any, matrices: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the matrix that a graph's tensor is the transpose of."""
    if len(stored.dims) != 2:
        return None
    from onnx import numpy_helper

    value = torch.from_numpy(numpy_helper.to_array(stored).copy())
    alike = [name for name, weight in matrices.items() if weight.shape == value.T.shape]
    alike = [name for name in alike if torch.equal(matrices[name][:, 0].to(value.dtype), value[0])]
    return next((name for name in alike if torch.equal(matrices[name].to(value.dtype).T, value)), None)


def _in_half(module: nn.Module) -> nn.Module:
    """Computed in float16, or those of its parts that it names as its `halves`."""
    parts = getattr(module, "halves", None)
    if parts is None:
        return _InHalf(module)
    for part in parts:
        setattr(module, part, _InHalf(getattr(module, part)))
    return module


def _as_tuple(out: torch.Tensor | Tensors) -> Tensors:
    return out if isinstance(out, tuple) else (out,)


class _InHalf(nn.Module):
    """A network in float16 between float32 tensors; the weights of `module` itself stay as they are.

    Parts that call themselves `precise` stay in float32.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        precise = [part for part in module.modules() if getattr(part, "precise", False)]
        halves: dict[int, torch.Tensor] = {}
        for parameter in module.parameters():
            halves[id(parameter)] = nn.Parameter(_half(parameter.detach()), requires_grad=False)
        for buffer in module.buffers():
            halves[id(buffer)] = _half(buffer)
        for tensor in (tensor for part in precise for tensor in (*part.parameters(), *part.buffers())):
            halves.pop(id(tensor), None)
        self.module = copy.deepcopy(module, halves)
        for part in self.module.modules():
            if getattr(part, "precise", False):
                part.register_forward_pre_hook(_in_full)
                part.register_forward_hook(_back_to_half)
        self.eval()

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | Tensors:
        out = self.module(*(_half(tensor) for tensor in tensors))
        answer = tuple(tensor.float() for tensor in _as_tuple(out))
        return answer if isinstance(out, tuple) else answer[0]


def _in_full(_part: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.float() if torch.is_tensor(tensor) else tensor for tensor in inputs)


def _back_to_half(_part: nn.Module, _inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> torch.Tensor:
    return out.half()


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


@contextlib.contextmanager
def _swift_half_convolutions() -> Iterator[None]:
    """Convolutions in float16 on a CPU are computed in float32 and rounded, a hundred times faster than by torch.

    What is traced is not changed by it.
    """

    def convolve(
        x: torch.Tensor, weight: torch.Tensor, _size: Any, bias: torch.Tensor | None, stride: Any, padding: Any
    ) -> torch.Tensor:
        offset = None if bias is None else bias.float()
        return torch.mkldnn_convolution(x.float(), weight.float(), offset, padding, stride, (1, 1), 1).to(x.dtype)

    if not torch.backends.mkldnn.is_available():
        yield
        return
    library = torch.library.Library("aten", "IMPL")
    library.impl("_slow_conv2d_forward", convolve, "CPU")  # where those go that oneDNN does not take
    try:
        yield
    finally:
        del library  # and torch has its own again


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks through warnings and logging; progress is the caller's to show.

    Standard output is left alone: it is every thread's, and a show that ends meanwhile sums itself up there.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
