"""How a frame is made of a request: the two functions of tensors, steps and decode, that are compiled and captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from engine.inference.cuda_graph import CALLS_TO_CAPTURE, Capture, CapturedSampler
from export.cuda_graphs import Replayed, to_device
from export.tensorrt import LIBRARIES
from tpos_models.contracts import Decoder, Model
from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.guidance import Guidance
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.plms import PAPER, PlmsSampler
from tpos_models.diffusion.sampler import Sampled, Sampler, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.step import StepSampler
from tpos_models.diffusion.stream_batch import StreamBatch
from tpos_models.errors import InputError, RunError
from tpos_models.network import Run, Tensors, max_relative_error

RECORDING_RUNNERS = (*LIBRARIES, "cuda")
"""Below them plain torch on the GPU records nothing: a capture that fails is not tried on every backend."""

CAPTURE_TOLERANCE = 2e-2
"""Relative error of a captured frame in half precision."""

GRAPHS: Capture = partial(Replayed, lends=True)
"""What a frame needs is copied out of its recording before the next one."""

Decode = Callable[[torch.Tensor], torch.Tensor]
"""Latents x0 (1, C, h, w) to opaque RGBA uint8 (H, W, 4), where they lie."""


@dataclass(frozen=True)
class Plan:
    """A frame's steps, from a request to x0, and its decode, from x0 to pixels."""

    sampler: Sampler
    decode: Decode
    guidance: Guidance
    """The strengths that suit model and sampler, where the operator asks for no others."""
    captured: bool = False
    """Whether both are recorded when they first come, and replayed from then. What they give is the recordings' own,
    and holds until the next frame is begun: whoever needs it longer has it copied first, on the same stream."""

    def draw(self, request: SampleRequest) -> tuple[Sampled, torch.Tensor]:
        """A frame and its pixels."""
        sampled = self.sampler(_placed(request))
        return sampled, self.decode(sampled.x0) if sampled.pixels is None else sampled.pixels


def _placed(request: SampleRequest) -> SampleRequest:
    """The request with its conditions where its noise lies: tokens of the host's are sent as one, nobody waits.

    The request that comes from the pipeline keeps the host's, which can be compared and read without the GPU.
    """
    conditions, device = request.conditions, request.noise.device
    if not isinstance(conditions, Conditions) or conditions.text.device == device:
        return request
    sets = (conditions.text, conditions.null, conditions.uncond, *(term.tokens for term in conditions.audio))
    text, null, uncond, *sounds = to_device(torch.stack(sets), device)
    audio = tuple(replace(term, tokens=tokens) for term, tokens in zip(conditions.audio, sounds, strict=True))
    return replace(request, conditions=Conditions(text, null, uncond if conditions.negative else null, audio))


def choose_plan(model: Model, reference_steps: int = 0, stream_batch: bool = False) -> Plan:
    """The plan of a show: few steps a frame, captured where the model's runner on an NVIDIA GPU records.

    `reference_steps` > 0 takes the paper's sampler with so many steps, `stream_batch` one step of several successive
    frames in one call: a frame of n steps then comes n - 1 frames later. Raises `InputError` for reference steps on a
    model that knows few steps only.
    """
    if reference_steps:
        if model.spec.schedule != "scaled_linear":
            raise InputError(f"--sampler reference: {model.spec.name} knows few steps only; Stable Diffusion has it")
        return Plan(PlmsSampler(model.denoiser, NoiseSchedule(model.spec), reference_steps), decoding(model), PAPER)
    if stream_batch and model.sampler is None:
        return Plan(StreamBatch(model.denoiser, NoiseSchedule(model.spec)), decoding(model), model.spec.guidance)
    plan = eager_plan(model)
    records = model.sampler is None and model.device.type == "cuda" and model.runner in RECORDING_RUNNERS
    return captured(plan) if records else plan


def eager_plan(model: Model) -> Plan:
    """Few steps a frame, network by network."""
    sampler: Sampler = model.sampler or few_steps(model)
    if model.sampler is None and model.step is not None:
        sampler = StepSampler(model.step, model.spec, sampler)
    return Plan(sampler, decoding(model), model.spec.guidance)


def few_steps(model: Model) -> LcmSampler:
    """The sampler of few steps that evaluates the denoiser."""
    return LcmSampler(model.denoiser, NoiseSchedule(model.spec))


def captured(plan: Plan, capture: Capture = GRAPHS) -> Plan:
    """The same plan, each of its halves captured as a CUDA graph, or both as one; owned by one thread.

    A step that is one network is captured for its shapes, another sampler for everything that is no tensor.
    """
    sampler, decode = plan.sampler, partial(_only, capture(partial(_as_tensors, plan.decode)))
    if isinstance(sampler, StepSampler):
        apart = CapturedSampler(sampler.otherwise, capture)
        return replace(plan, sampler=sampler.captured(capture, plan.decode, apart), decode=decode, captured=True)
    return replace(plan, sampler=CapturedSampler(sampler, capture), decode=decode, captured=True)


def prepare(
    plan: Plan, uncaptured: Plan, requests: Sequence[SampleRequest], progress: Callable[[float], None] = lambda _: None
) -> None:
    """Capture what these requests need, before the show: on its first beat nothing is compiled or recorded any more.

    `progress` hears the share that is done. Raises `RunError` where a captured frame is not the one that `uncaptured`
    samples from the same request.
    """
    for done, request in enumerate(requests, 1):
        want, pictures = uncaptured.draw(request)
        for _ in range(CALLS_TO_CAPTURE + 1):
            got, drawn = plan.draw(request)
        error = max_relative_error((got.x0, drawn[..., :3]), (want.x0, pictures[..., :3]))
        if not error <= CAPTURE_TOLERANCE:  # nor a NaN
            raise RunError(f"a captured frame is {error:.2g} off the same frame uncaptured")
        progress(done / len(requests))


def decoding(model: Model) -> Decode:
    """A model's pictures as bytes."""
    if model.pixels is not None:
        return partial(_pixels, model.pixels)
    return partial(_decode, model.decoder)  # no closure: a failure's traceback would hold it, and the decoder's memory


def _decode(decoder: Decoder, x0: torch.Tensor) -> torch.Tensor:
    return to_bytes(decoder(x0))


def _pixels(pixels: Run, x0: torch.Tensor) -> torch.Tensor:
    return pixels(x0)[0][0]


def _as_tensors(decode: Decode, x0: torch.Tensor) -> Tensors:
    return (decode(x0),)


def _only(run: Run, x0: torch.Tensor) -> torch.Tensor:
    return run(x0)[0]


def to_bytes(image: torch.Tensor) -> torch.Tensor:
    """RGB (1, 3, h, w) in 0..1 to opaque RGBA uint8 (h, w, 4), where it lies."""
    colours = (image[0] * 255).clamp_(0, 255).round_().to(torch.uint8)
    return torch.stack((*colours, torch.full_like(colours[0], 255)), -1)
