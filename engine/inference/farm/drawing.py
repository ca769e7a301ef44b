"""What a worker does: a chunk of a film's frames from their requests, the same pictures wherever it runs.

A request is everything that a frame is made of, so a chunk needs nothing of the show before it: state, sound, slews,
noise walk and feedback are already in it, exactly as the show had them there.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import blake2b

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from engine import __version__
from engine.core.messages import LoraStrength
from engine.inference.fallback import NotFiniteError
from engine.inference.loading import open_model
from engine.inference.plan import choose_plan
from export.cuda_graphs import to_device
from export.onnx_session import draw_films, threads, threads_alone
from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.errors import MediaError, RunError
from tpos_models.precision import Precision
from tpos_models.registry import PLAIN, POCKET, Additions

QUICKLY = 1
"""zlib's level: pictures are hardly smaller with more, and a worker has better things to do."""


@dataclass(frozen=True)
class Asked:
    """One frame to draw, with the strengths that the model's LoRAs had then."""

    request: SampleRequest
    loras: tuple[LoraStrength, ...] = ()


@dataclass(frozen=True, eq=False)
class DrawnFrame:
    """What comes back of it: "image", opaque RGBA uint8 (H, W, 4), "mask" (h, w) if it was asked for, and evaluations.

    `x0` (1, C, h, w) is that of a chunk's last frame, which the next one may be fed.
    """

    arrays: dict[str, np.ndarray]
    evaluations: int
    x0: torch.Tensor | None


@dataclass(frozen=True)
class Drawing:
    """The model and the sampler that draw a film; fields as `open_model` and `choose_plan` take them."""

    name: str
    size_px: tuple[int, int] | None
    additions: Additions
    precision: Precision | None
    reference_steps: int
    runner: str
    """What the model runs on where the film is put together."""
    version: str = __version__

    @property
    def threads(self) -> int:
        """Cores that a worker without a GPU keeps busy."""
        return threads() if self.runner == "onnx" else threads_alone()


class Drawer:
    """Draws chunks. Owned by one thread, in whatever process; raises what `open_model` raises."""

    def __init__(self, drawing: Drawing) -> None:
        begun_s = time.monotonic()
        if drawing.version != __version__:
            raise RunError(f"a worker has version {__version__}: {drawing.version}, as here, would be accepted")
        same_every_time()
        ear = PLAIN.audio_encoder if drawing.name == POCKET else POCKET  # nothing is heard here
        additions = replace(drawing.additions, audio_encoder=ear)
        self._model = open_model(drawing.name, drawing.size_px, additions, drawing.precision)
        self._plan = choose_plan(self._model, drawing.reference_steps)
        self._unpaid_s = time.monotonic() - begun_s

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        """Its frames as `unpack` takes them, and the seconds that it cost, the loading of the model with the first."""
        begun_s = time.monotonic() - self._unpaid_s
        packed = self._pack(chunk)
        self._unpaid_s = 0.0
        return packed, time.monotonic() - begun_s

    @torch.no_grad()
    def _pack(self, chunk: Sequence[Asked]) -> bytes:
        tensors: dict[str, torch.Tensor] = {}
        for number, asked in enumerate(chunk):
            if self._model.loras is not None:
                self._model.loras.set({lora.name: lora.strength for lora in asked.loras})
            sampled, pixels = self._plan.draw(_placed(asked.request, self._model.device))
            if not torch.isfinite(sampled.x0).all():
                raise NotFiniteError("a frame of NaN or infinity was refused")
            tensors[f"image.{number}"] = pixels[..., :3].cpu().contiguous()
            tensors[f"evaluations.{number}"] = torch.tensor(sampled.evaluations)
            if sampled.mask is not None:
                tensors[f"mask.{number}"] = sampled.mask.cpu().contiguous()
            tensors["x0"] = sampled.x0.cpu().contiguous()
        return zlib.compress(save(tensors), QUICKLY)


def same_every_time() -> None:
    """For models that are opened from now on: the same bits on the next run, and beside other numbers of cores.

    Convolutions that were chosen by timing them would be others then.
    """
    draw_films()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True


def unpack(packed: bytes, count: int) -> list[DrawnFrame]:
    """The `count` frames of a chunk; raises MediaError where it is damaged."""
    try:
        tensors = load(zlib.decompress(packed))
        return [
            DrawnFrame(
                {"image": np.pad(tensors[f"image.{n}"].numpy(), ((0, 0), (0, 0), (0, 1)), constant_values=255)}
                | ({"mask": tensors[f"mask.{n}"].numpy()} if f"mask.{n}" in tensors else {}),
                int(tensors[f"evaluations.{n}"]),
                tensors["x0"] if n == count - 1 else None,
            )
            for n in range(count)
        ]
    except (zlib.error, SafetensorError, KeyError, ValueError) as error:
        raise MediaError(f"frames that were drawn are damaged ({error})") from error


def on_host(request: SampleRequest) -> SampleRequest:
    """A request that may travel, without what is the caller's own."""
    return replace(_placed(request, torch.device("cpu")), metadata=None)


def _placed(request: SampleRequest, device: torch.device) -> SampleRequest:
    """The request with its latents on a device, and its tokens on the host."""
    start = None if request.start is None else to_device(request.start, device)
    assert isinstance(request.conditions, Conditions)
    return replace(request, noise=to_device(request.noise, device), start=start)


def digest(made_of: object) -> str:
    """Of records, sequences, tensors and plain values, down to their bits."""
    sums = blake2b(digest_size=16)
    known: dict[int, int] = {}

    def take(value: object) -> None:
        if isinstance(value, torch.Tensor):
            if id(value) in known:
                sums.update(f"={known[id(value)]}".encode())
                return
            known[id(value)] = len(known)
            sums.update(f"{value.dtype}{tuple(value.shape)}".encode())
            sums.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        elif is_dataclass(value):
            sums.update(type(value).__name__.encode())
            for field in fields(value):
                take(getattr(value, field.name))
        elif isinstance(value, tuple | list):
            sums.update(f"({len(value)}".encode())
            for one in value:
                take(one)
        else:
            sums.update(f"{value!r};".encode())

    take(made_of)
    return sums.hexdigest()
