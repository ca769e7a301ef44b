"""A CUDA stream for each thread that has work for the GPU, and tensors that pass between them.

The host never waits: the stream that takes waits for the stream that gives. On a CPU none of it does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch


def nothing() -> None:
    """What is ready needs no waiting for."""


def own_stream(device: torch.device) -> AbstractContextManager[object]:
    """A context in which a thread works on a stream of its own, behind all that was begun on this thread's by now."""
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


def handed_over(tensors: Iterable[torch.Tensor]) -> Callable[[], None]:
    """For tensors made on this thread's stream: what another thread calls before it uses them on its own.

    That stream then waits for them, and their memory for it.
    """
    here = tuple(tensor for tensor in tensors if tensor.device.type == "cuda")
    if not here:
        return nothing
    made = torch.cuda.current_stream(here[0].device).record_event()

    def take() -> None:
        stream = torch.cuda.current_stream(here[0].device)
        stream.wait_event(made)
        for tensor in here:
            tensor.record_stream(stream)

    return take
