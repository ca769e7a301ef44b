"""Down rather than out: what a show falls back to when memory, a kernel or a library fails it.

tensorrt -> cuda -> onnx -> torch, as far as they work here, -> one step a frame -> half the size.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from tpos_models.contracts import Model
from tpos_models.errors import InputError

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
    full = [Backend(runner) for runner in runners]
    fewer = replace(full[-1], most_steps=1)
    return (*full, fewer, replace(fewer, halvings=1)) if resizable else (*full, fewer)


def cause(error: Exception) -> str:
    """Why a show should step down, in words; empty for an error that no other backend would cure."""
    if isinstance(error, InputError):
        return ""
    first_line = (str(error).splitlines() or [type(error).__name__])[0][:160]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate" in first_line:
        return "out of memory"
    if isinstance(error, ImportError):
        return f"a library is missing ({first_line})"
    if isinstance(error, RuntimeError | OSError):
        return f"a network failed ({first_line})"
    return ""


class FallbackChain:
    """The model of one show, opened on the best backend that works. Owned by whoever builds the sampling stage.

    `open` loads the model on a backend; `notify` gets one line for each step down.
    """

    def __init__(
        self, backends: tuple[Backend, ...], open: Callable[[Backend], Model], notify: Callable[[str], None]
    ) -> None:
        self._backends, self._open, self._notify = backends, open, notify
        self._at = 0
        self._model: Model | None = None

    @property
    def backend(self) -> Backend:
        """The backend in use."""
        return self._backends[self._at]

    @property
    def loaded(self) -> Model | None:
        """The model, if it is loaded."""
        return self._model

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

        The model goes at once, its memory with it; `model` loads the next.
        """
        why, failed = cause(error), self.backend
        below = [i for i in range(self._at + 1, len(self._backends)) if _differs(self._backends[i], failed, steps)]
        if not why or not below:
            return ""
        self._at, self._model = below[0], None
        _release()
        line = f"{failed}: {why}; going on with {self.backend}"
        self._notify(line)
        return line


def _differs(backend: Backend, failed: Backend, steps: int) -> bool:
    """Whether a show of `steps` a frame costs anything less, or runs elsewhere, on `backend`."""
    same_place = (backend.runner, backend.halvings) == (failed.runner, failed.halvings)
    return not same_place or min(steps, backend.most_steps) < min(steps, failed.most_steps)


def _release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
