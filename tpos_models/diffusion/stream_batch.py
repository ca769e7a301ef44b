"""Stream batch: one step of several successive frames in one call of the network, after StreamDiffusion.

A frame of n steps leaves n - 1 frames after it came in; each call then makes one step of n frames instead of n steps
of one (Kodaira et al. 2023). The pictures are those of `tpos_models.diffusion.lcm`, later.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from tpos_models.contracts import Denoiser
from tpos_models.diffusion.lcm import trajectory
from tpos_models.diffusion.prediction import Evaluation, Evaluator, FrameTrajectory
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule


@dataclass
class _InFlight:
    """A frame under way, and the evaluation it waits for."""

    trajectory: FrameTrajectory
    evaluation: Evaluation
    request: SampleRequest


class StreamBatch:
    """The `Sampler` of the frames under way of one show; owned by one thread.

    Each call takes in one frame and gives one, and counts the evaluations it made, whichever frames they were for.
    """

    concurrent = False

    def __init__(self, denoiser: Denoiser, schedule: NoiseSchedule) -> None:
        self._schedule = schedule
        self._evaluate = Evaluator(denoiser)
        self._in_flight: deque[_InFlight] = deque()
        self._path: tuple[int, float | None] | None = None

    def __call__(self, request: SampleRequest) -> Sampled:
        """Take in a frame; the one that is finished, with its own request.

        Frames on another path than the new one, of other steps or another start, are dropped. A line that is not full
        is filled with the new frame, so that every call gives one.
        """
        path = request.steps, None if request.start is None else request.strength
        if path != self._path:
            self._in_flight.clear()
            self._path = path
        before = self._evaluate.count
        while True:
            steps = trajectory(self._schedule, request)
            self._in_flight.append(_InFlight(steps, next(steps), request))
            finished = self._advance()
            if finished is not None:
                (x0, mask), finished_request = finished
                return Sampled(x0, self._evaluate.count - before, finished_request, mask=mask)

    def _advance(self) -> tuple[tuple[torch.Tensor, torch.Tensor | None], SampleRequest] | None:
        """One step of every frame; the first of them, if that was its last."""
        answers = self._evaluate.together([frame.evaluation for frame in self._in_flight])
        finished = None
        for frame, answer in zip(tuple(self._in_flight), answers, strict=True):
            try:
                frame.evaluation = frame.trajectory.send(answer)
            except StopIteration as done:
                finished = done.value, frame.request
        if finished is not None:
            self._in_flight.popleft()
        return finished
