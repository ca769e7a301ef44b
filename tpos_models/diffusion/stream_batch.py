"""Stream batch: one step of several successive frames in one call of the network, after StreamDiffusion.

A frame of n steps leaves n - 1 frames after it came in; each call then makes one step of n frames instead of n steps
of one (Kodaira et al. 2023). The pictures are those of `tpos_models.diffusion.lcm.sample`, later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.lcm import Evaluator, Request, Steps

About = TypeVar("About")


@dataclass
class _Flight(Generic[About]):
    """A frame under way, and what it waits for."""

    steps: Steps
    request: Request
    about: About


class StreamBatch(Generic[About]):
    """The frames under way of one show. Not shared between threads."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._evaluate = Evaluator(denoiser)
        self._flights: deque[_Flight[About]] = deque()
        self._kind: Hashable = None

    @property
    def evaluations(self) -> int:
        """Network evaluations so far."""
        return self._evaluate.count

    def push(self, begin: Callable[[], Steps], about: About, kind: Hashable) -> tuple[torch.Tensor, About]:
        """Take in a frame, `begin()` its trajectory; x0 (1, C, h, w) of the frame that is finished, and its `about`.

        Frames of another `kind`, with another number of steps, are dropped. A line that is not full is filled with the
        new frame, so that every call gives one.
        """
        if kind != self._kind:
            self._flights.clear()
            self._kind = kind
        while True:
            steps = begin()
            self._flights.append(_Flight(steps, next(steps), about))
            finished = self._advance()
            if finished is not None:
                return finished

    def _advance(self) -> tuple[torch.Tensor, About] | None:
        answers = self._evaluate.together([flight.request for flight in self._flights])
        finished = None
        for flight, answer in zip(tuple(self._flights), answers, strict=True):
            try:
                flight.request = flight.steps.send(answer)
            except StopIteration as done:
                finished = done.value, flight.about
        if finished is not None:
            self._flights.popleft()
        return finished
