"""A network as every runner sees it: how to build it, what goes in and out, and which weights it holds.

torch, ONNX Runtime and TensorRT are runners: each turns a `Network` into a function from tensors to tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Tensors = tuple[torch.Tensor, ...]
MAX_BATCH = 4
"""Samples in one call that every network takes."""

Run = Callable[..., Tensors]

Write = Callable[[str, torch.Tensor], object]
"""Takes a parameter's name and what it becomes, in float32."""


class Adapters(Protocol):
    """What is added to a network's weights, each part as strongly as the show asks while it plays.

    Owned by the thread that runs the network.
    """

    strengths: tuple[float, ...]

    def attach(self, module: torch.nn.Module, write: Write, written: Callable[[], None]) -> Callable[[], None]:
        """Call `write` for every weight of the network's module that is added to, and `written` behind the last.

        At once and whenever strengths change, until what is returned is called. The module's weights now are those that
        are added to.
        """
        ...

    def set(self, strengths: Sequence[float]) -> bool:
        """Change the strengths; whether that changed a weight."""
        ...


@dataclass(frozen=True)
class Network:
    """One network of a model.

    `build()` gives the module in eval mode with its weights; it is called only by runners that need the module, so a
    compiled network starts without it. `example(batch)` gives inputs of real shapes. Every input and output has the
    batch in front, 1 to `max_batch`, the first input in any case; those named `unbatched` have one size. `fingerprint`
    changes whenever the module or its weights do. `real()`, where a network may be rounded to integers, gives inputs as
    a show makes them, one sample each, by timestep of the schedule. `rounding` is a difference that does
    not count, where it answers in whole numbers; `comparable` makes of real inputs some at which little errors stay
    little, where they may not. `adapters` change its weights while it plays: `build()` and `fingerprint` are without.
    """

    name: str
    build: Callable[[], torch.nn.Module]
    example: Callable[[int], tuple[torch.Tensor, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fingerprint: str
    max_batch: int = MAX_BATCH
    real: Callable[[], Mapping[int, Sequence[Tensors]]] | None = None
    unbatched: tuple[str, ...] = ()
    rounding: float = 0.0
    comparable: Callable[[Tensors], Tensors] = lambda tensors: tensors
    adapters: Adapters | None = None


Runner = Callable[[Network], Run]


def run_in_torch(network: Network) -> Run:
    """The eager runner: the module itself, without gradients."""
    module = network.build()
    follow(network, module)
    return as_function(module)


def follow(network: Network, module: torch.nn.Module) -> Callable[[], None]:
    """Let a module's weights be what the network's adapters make of them, where they lie; gives what ends it."""
    if network.adapters is None:
        return lambda: None
    weights = dict(module.named_parameters())
    return network.adapters.attach(module, lambda name, value: weights[name].copy_(value), lambda: None)


def as_function(module: torch.nn.Module) -> Run:
    """A module as runners see one: a tuple out, no gradients."""

    @torch.inference_mode()
    def run(*tensors: torch.Tensor) -> Tensors:
        out = module(*tensors)
        return out if isinstance(out, tuple) else (out,)

    return run


def max_relative_error(got: Tensors, want: Tensors, rounding: float = 0.0) -> float:
    """The largest difference over the largest value, over all outputs; NaN where either holds one.

    Differences of `rounding` do not count.
    """
    errors = [
        ((a.double() - b.double()).abs().max() - rounding).clamp_min(0) / b.double().abs().max().clamp_min(1e-12)
        for a, b in zip(got, want, strict=True)
    ]
    return float(torch.stack(errors).max())
