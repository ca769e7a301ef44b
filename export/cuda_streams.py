"""A CUDA stream for each thread that has work for the GPU, and tensors that pass between them.

The host never waits: the stream that takes waits for the stream that gives. On a CPU none of it does anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

import torch


class Turns:
    """Callers one after the other, whichever their threads and streams: what each enqueues waits for the one before."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._calling = threading.Lock()
        self._done: torch.cuda.Event | None = None

    def __enter__(self) -> None:
        self._calling.acquire()
        if self._done is not None:
            torch.cuda.current_stream(self._device).wait_event(self._done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda" and error is None:
            self._done = torch.cuda.current_stream(self._device).record_event(self._done)
        self._calling.release()


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
