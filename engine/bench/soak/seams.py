"""Faults within a show's own process: its real parts, wrapped from outside where they meet, while one lasts."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch

from engine.app.live import Live
from engine.control import hot_reload
from engine.core.clock import WallClock
from engine.recording import keeping
from export.media.writing import Sink
from tpos_models.network import Network, Run, Runner, Tensors

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""From what a seam calls to what it calls instead."""
JUMP_S = 10.0
AGAIN_S = 0.5


class OutOfTheBlue(RuntimeError):
    """What a thread is made to raise, wherever it is."""


@contextmanager
def instead(owner: Any, name: str, wrap: Wrap) -> Iterator[None]:
    """Within, `owner.name` is what `wrap` makes of it."""
    own, was = name in vars(owner), getattr(owner, name)
    setattr(owner, name, wrap(was))
    try:
        yield
    finally:
        setattr(owner, name, was) if own else delattr(owner, name)


def raising(error: Exception, times: int = 1_000_000) -> Wrap:
    """The first calls raise."""
    left = iter(range(times))

    def wrap(was: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            for _ in left:
                raise type(error)(*error.args)  # one alone would hold on to all that it went through
            return was(*args, **named)

        return call

    return wrap


@contextmanager
def hanging(seam: Callable[[Wrap], AbstractContextManager[None]]) -> Iterator[None]:
    """Within, every call through a seam waits; then it is carried out."""
    over = threading.Event()

    def wrap(was: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            over.wait()
            return was(*args, **named)

        return call

    with seam(wrap):
        try:
            yield
        finally:
            over.set()


class Networks:
    """Wraps a runner (see `loading.open_on`): within `calling` every network's call is another."""

    def __init__(self) -> None:
        self._wrap: Wrap | None = None
        self._of = ""

    def __call__(self, runner: Runner) -> Runner:
        def wrapped(network: Network) -> Run:
            run = runner(network)

            def call(*tensors: torch.Tensor) -> Tensors:
                wrap = self._wrap if self._of in network.name else None
                return (wrap(run) if wrap else run)(*tensors)

            return call

        return wrapped

    @contextmanager
    def calling(self, of: str, wrap: Wrap) -> Iterator[None]:
        """Within, calls of networks with `of` in their name are what `wrap` makes of them."""
        self._wrap, self._of = wrap, of
        try:
            yield
        finally:
            self._wrap = None


def _not_a_number(run: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *tensors: tuple(
        torch.full_like(one, torch.nan) if one.is_floating_point() else one for one in run(*tensors)
    )


class JumpingClock(WallClock):
    """A wall clock that may be put forward."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@contextmanager
def _struck(name: str) -> Iterator[None]:
    """Each thread of a name meets an exception, wherever it is."""
    for thread in threading.enumerate():
        if thread.name == name and thread.ident:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTheBlue))
    yield


@contextmanager
def _jumped(clock: JumpingClock) -> Iterator[None]:
    clock.ahead_s += JUMP_S
    yield


def _times(error: Exception, name: str, owner: Any) -> AbstractContextManager[None]:
    return instead(owner, name, raising(error))


class Inside:
    """The faults that strike within the process of `live`, by name; begun and ended from any thread."""

    def __init__(self, live: Live, networks: Networks, clock: JumpingClock) -> None:
        ring = live.engine.capture.source.ring
        self.faults: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "picture raises": lambda: networks.calling("denoiser", raising(RuntimeError("a kernel failed"))),
            "picture out of memory": lambda: networks.calling("denoiser", raising(MemoryError("no memory left"))),
            "picture is NaN": lambda: networks.calling("denoiser", _not_a_number),
            "picture wedged": lambda: hanging(partial(networks.calling, "denoiser")),
            "picture hangs": lambda: hanging(partial(networks.calling, "denoiser")),
            "ear raises": lambda: networks.calling("segment", raising(RuntimeError("a kernel failed"))),
            "ear hangs": lambda: hanging(partial(networks.calling, "segment")),
            "feed hangs": lambda: hanging(partial(instead, ring, "write")),
            "analysis hangs": lambda: hanging(partial(instead, ring, "read")),
            "osc hangs": lambda: hanging(partial(instead, live.show.queue, "take_failures")),
            "presets hang": lambda: hanging(partial(instead, hot_reload, "signature")),
            "keeper hangs": lambda: hanging(partial(instead, keeping, "replace_file")),
            "redraw raises": lambda: instead(live.screen, "redraw", raising(RuntimeError("a texture is gone"), 3)),
            "disk full": lambda: instead(Sink, "write", raising(OSError(28, "No space left on device"))),
            "disk stalls": lambda: hanging(partial(instead, Sink, "write")),
            "disk never syncs": lambda: hanging(partial(instead, Sink, "sync")),
            "clock jumps": lambda: _jumped(clock),
        }
        self._open: dict[str, AbstractContextManager[None]] = {}

    def begin(self, name: str) -> None:
        """Throw a fault; a name that is a thread's strikes that."""
        self._open[name] = self.faults[name]() if name in self.faults else _struck(name)
        self._open[name].__enter__()

    def end(self, name: str) -> None:
        """Let it be over."""
        self._open.pop(name).__exit__(None, None, None)
