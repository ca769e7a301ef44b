"""Small networks that the runners' tests build, and networks that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from tpos_models.network import Network, Run, Runner, Tensors


class Small(torch.nn.Module):
    """Two inputs, two outputs, something of everything an exporter must get right."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.nn.functional.silu(self.conv(x)) * (1 + t[:, None, None, None] / 1000)
        return y, y.flatten(1).softmax(-1)


def small(module: type[torch.nn.Module] = Small) -> Network:
    """The network of `module`, by default `Small`."""
    return Network(
        "small",
        lambda: module().eval(),
        lambda batch: (torch.randn(batch, 4, 8, 8), torch.full((batch,), 999)),
        ("x", "t"),
        ("y", "p"),
        "0123456789abcdef" * 4,
    )


def real_inputs(network: Network) -> Mapping[int, Sequence[Tensors]]:
    """What the network is given in a show, by timestep, of a network that knows it."""
    assert network.real
    return network.real()


def powers_db(run: Run, reference: Run, inputs) -> float:
    """10 log10 of the variance of what is wanted over the mean squared difference, in numpy."""
    want, got = (np.concatenate([one(*tensors)[0].numpy().ravel() for tensors in inputs]) for one in (reference, run))
    return float(10 * np.log10(want.var() / np.mean((want - got) ** 2)))


class FailsAt(torch.nn.Module):
    """A network that works until its n-th call."""

    def __init__(self, inner: torch.nn.Module, calls: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.left, self.error = inner, calls, error

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise type(self.error)(*self.error.args)
        return self.inner(*tensors)


def failing(calls: int, error: Exception) -> Callable[[Runner], Runner]:
    """A runner whose denoiser fails after so many calls."""

    def profiler(runner: Runner) -> Runner:
        def run(network: Network) -> Run:
            if not network.name.startswith("denoiser"):
                return runner(network)
            return runner(replace(network, build=lambda: FailsAt(network.build(), calls, error)))

        return run

    return profiler
