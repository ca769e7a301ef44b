"""Down rather than out: what a show falls back to when memory, a kernel or a library fails it.

tensorrt -> tensorrt_rtx -> cuda -> onnx -> torch -> one step a frame -> half the size, as far as they work here; where
torch lies on a GPU, the same three on the CPU: a small picture in time is more of a show than a large one too late. Of
a GPU that is lost nothing more is asked.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from tpos_models.contracts import Model
from tpos_models.errors import InputError, RunError

UNLIMITED = 1000
"""Steps a frame where a backend does not limit them."""


@dataclass(frozen=True)
class Backend:
    """One way to run a model: on which runner, with at most how many steps a frame, its sides halved how often."""

    runner: str
    most_steps: int = UNLIMITED
    halvings: int = 0

    def __str__(self) -> str:
        words = [f"{self.most_steps} step{'s' * (self.most_steps > 1)} a frame"] * (self.most_steps < UNLIMITED)
        words += ["half the size"] * (self.halvings > 0)
        return f"{self.runner} at {' and '.join(words)}" if words else self.runner


def backends_on(runners: Sequence[str], resizable: bool) -> tuple[Backend, ...]:
    """Every backend for a model that these runners can run, best first."""
    backends = []
    for runner in runners:
        backends.append(Backend(runner))
        if runner in PLAIN:
            fewer = Backend(runner, most_steps=1)
            backends += [fewer, replace(fewer, halvings=1)] if resizable else [fewer]
    return tuple(backends)


PLAIN = ("torch", "cpu")
"""The runners that are asked for less before the next is tried."""
OFF_GPU = ("onnx", "cpu")
"""The runners that go on where the GPU is lost; torch, too, where it lies on the CPU and "cpu" is none of its own."""


AGAIN_S = 60.0
"""Numbers that are none twice within this are no accident."""
PATIENCE_S, MOST_PATIENCE_S = 120.0, 3600.0
"""How long it is waited before a better backend is tried again: the first time, and at most."""


class NotFiniteError(RunError):
    """A frame of NaN or infinity: what is rebuilt forgets it."""


class HungError(RunError):
    """A network that does not answer: the thread that called it is given up, and the GPU with it where it was there."""


def gpu_is_lost(error: Exception) -> bool:
    """Whether every further call of this process to the GPU will fail, or wait, as well.

    A CUDA error is sticky (an illegal address, an assertion, a launch that timed out); memory that ran out, of the host
    for pinned pixels, too, and a recording that failed are not.
    """
    if _out_of_memory(error) or "captur" in str(error):
        return False
    return isinstance(error, HungError | torch.AcceleratorError) or "CUDA error" in str(error)


def _out_of_memory(error: Exception) -> bool:
    first_line = str(error).partition("\n")[0]
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "out of memory" in first_line
        or "allocate" in first_line
    )


def cause(error: Exception) -> str:
    """Why a show should step down, in words; empty for an error that no other backend would cure."""
    if isinstance(error, InputError):
        return ""
    first_line = (str(error).splitlines() or [type(error).__name__])[0][:160]
    if _out_of_memory(error):
        return "out of memory"
    if isinstance(error, ImportError):
        return f"a library is missing ({first_line})"
    if isinstance(error, HungError):
        return first_line
    if gpu_is_lost(error):
        return f"the GPU is lost ({first_line})"
    if isinstance(error, RuntimeError | OSError):
        return f"a network failed ({first_line})"
    return ""


class FallbackChain:
    """The model of one show, opened on the best backend that works. Owned by whoever builds the sampling stage.

    `open` loads the model on a backend; `notify` gets one line for each step down.
    """

    def __init__(
        self,
        backends: tuple[Backend, ...],
        open: Callable[[Backend], Model],
        notify: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backends, self._open, self._notify, self._now = backends, open, notify, now
        self._off_gpu = OFF_GPU if any(one.runner == "cpu" for one in backends) else (*OFF_GPU, "torch")
        self._at = 0
        self._lost = False
        self._model: Model | None = None
        self._not_finite_s = -AGAIN_S
        self._better: int | None = None
        """The backend to try again, the best that failed of what may pass."""
        self._left_s, self._patience_s = 0.0, PATIENCE_S

    @property
    def backend(self) -> Backend:
        """The backend in use."""
        return self._backends[self._at]

    @property
    def place(self) -> tuple[int, int]:
        """Which backend that is, from 1, the best, and how many there are."""
        return self._at + 1, len(self._backends)

    @property
    def loaded(self) -> Model | None:
        """The model, if it is loaded."""
        return self._model

    @property
    def precision(self) -> str:
        """What that is computed in, "" where none is loaded. For any thread: one that draws may drop it meanwhile."""
        model = self._model
        return model.precision if model else ""

    @property
    def model(self) -> Model:
        """The model, loaded when first asked for; raises what the last backend raised where none works."""
        while self._model is None:
            try:
                self._model = self._open(self.backend)
            except (RuntimeError, OSError, ImportError, MemoryError) as error:
                if not self.step_down(error):
                    raise
        return self._model

    def step_down(self, error: Exception, steps: int = UNLIMITED) -> str:
        """Leave the backend that failed a show of `steps` a frame; the line for the operator, empty where none helps.

        The model goes at once, its memory with it; `model` loads the next. What may have been an accident is tried
        again (`climb`).
        """
        if isinstance(error, NotFiniteError):
            before_s, self._not_finite_s = self._not_finite_s, self._now()
            if self._not_finite_s - before_s > AGAIN_S:
                return ""
        why, failed = cause(error), self.backend
        hung_elsewhere = isinstance(error, HungError) and failed.runner in self._off_gpu
        self._lost = self._lost or (gpu_is_lost(error) and not hung_elsewhere)
        below = [i for i in range(self._at + 1, len(self._backends)) if self._helps(self._backends[i], failed, steps)]
        if not why or not below:
            return ""
        self._remember(error)
        self._at, self._model = below[0], None
        _release(self._lost)
        line = f"{failed}: {why}; going on with {self.backend}"
        self._notify(line)
        return line

    def climb(self) -> str:
        """Try a better backend again when it is time to; the line for the operator, empty where it is not.

        `model` then loads it. Each time it fails it is left for twice as long.
        """
        if self._better is None or self._now() - self._left_s < self._patience_s:
            return ""
        self._at, self._better, self._model = self._better, None, None
        self._left_s = self._now()
        _release(self._lost)
        line = f"{self.backend} is tried again"
        self._notify(line)
        return line

    def _remember(self, error: Exception) -> None:
        """When the backend in use is to be tried again: never, where a library is missing or a GPU lost."""
        now_s = self._now()
        if self._lost or isinstance(error, ImportError):
            self._better = None
            return
        if self._better is None:
            held = now_s - self._left_s > self._patience_s  # it went well for as long as it was waited for
            self._patience_s = PATIENCE_S if held or not self._left_s else min(2 * self._patience_s, MOST_PATIENCE_S)
            self._better = self._at
        self._left_s = now_s

    def _helps(self, backend: Backend, failed: Backend, steps: int) -> bool:
        return _differs(backend, failed, steps) and not (self._lost and backend.runner not in self._off_gpu)


def _differs(backend: Backend, failed: Backend, steps: int) -> bool:
    """Whether a show of `steps` a frame costs anything less, or runs elsewhere, on `backend`."""
    same_place = (backend.runner, backend.halvings) == (failed.runner, failed.halvings)
    return not same_place or min(steps, backend.most_steps) < min(steps, failed.most_steps)


def _release(gpu_is_lost: bool) -> None:
    """Give memory back; a GPU that is lost is asked for nothing more, it would raise or wait."""
    gc.collect()
    if torch.cuda.is_available() and not gpu_is_lost:
        with suppress(RuntimeError):
            torch.cuda.empty_cache()
