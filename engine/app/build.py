"""`tpos build`: every network of a model as ONNX, checked against torch, or as TensorRT engines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.audio import soundtrack
from engine.core import console
from engine.core.clock import VirtualClock
from engine.core.messages import GuidanceTier, ShowState, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import own_precision
from engine.inference.plan import eager_plan
from export import onnx_export, tensorrt
from export.cache import intact
from tpos_models import registry
from tpos_models.errors import DeviceError, InputError, MissingPart, StorageError
from tpos_models.network import Network, Run, Tensors, run_in_torch
from tpos_models.pocket.networks import audio_encoder_networks
from tpos_models.registry import PLAIN, Additions
from tpos_models.stable_diffusion import open_model
from tpos_models.stable_diffusion.architectures import PREFIX
from tpos_models.stable_diffusion.random_encoder import random_tpos_networks
from tpos_models.stable_diffusion.tokens import MAX_TOKENS

TARGETS = ("onnx", "tensorrt")
"""What can be built: files in float32 unless told, engines in what plays."""


@dataclass(frozen=True)
class BuildOptions:
    """What `tpos build` is asked for; `gpu` is a compute capability as "8.9", None for the GPU at hand."""

    model: str = registry.POCKET
    to: str = "onnx"
    out: Path | None = None
    precision: str | None = None
    gpu: str | None = None
    size_px: tuple[int, int] | None = None
    additions: Additions = PLAIN

    def __post_init__(self) -> None:
        if self.to not in TARGETS:
            raise InputError(f"--to {self.to}: {' or '.join(TARGETS)} would be accepted")
        if self.precision not in (None, *onnx_export.TOLERANCE):
            raise InputError(f"--precision {self.precision}: {' or '.join(onnx_export.TOLERANCE)} would be accepted")
        if self.gpu is not None and self.to != "tensorrt":
            raise InputError(f"--gpu {self.gpu}: for --to tensorrt only; ONNX is the same everywhere")


class Recorder:
    """A runner in torch that remembers every network it runs and the first inputs each was given."""

    def __init__(self) -> None:
        self.networks: dict[str, Network] = {}
        self.inputs: dict[str, Tensors] = {}

    def __call__(self, network: Network) -> Run:
        self.networks[network.name] = network
        run = run_in_torch(network)

        def recorded(*tensors: Any) -> Tensors:
            self.inputs.setdefault(network.name, tuple(tensor.clone() for tensor in tensors))
            return run(*tensors)

        return recorded


def record(options: BuildOptions) -> Recorder:
    """Sample one frame to the built-in soundtrack: which networks a model plays with, and what they are given."""
    recorder = Recorder()
    model = registry.load(
        options.model, recorder, "torch", options.size_px, options.additions, whole_steps=options.to == "tensorrt"
    )
    pipeline = FramePipeline(model, VirtualClock(), eager_plan(model))
    state = ShowState(guidance=GuidanceTier.SEMANTIC)
    sound = next(soundtrack.stream())
    pipeline.hear(SoundWindow(sound, len(sound), 0.0), state)
    pipeline.frame(state)
    return recorder


def build_model(options: BuildOptions, notify: Callable[[str], None] | None) -> dict[str, Any]:
    """Build into `out`, or the cache that the live show starts from.

    Raises `ModelError` where a check fails, `DeviceError`, `MissingPart`, `StorageError`, `RunError`.
    """
    build = _onnx(options) if options.to == "onnx" else _tensorrt(options)
    recorder = record(options)
    rows = []
    hears = any("beta" in network.outputs for network in recorder.networks.values())
    for network in (*recorder.networks.values(), *(() if hears else _ears(options.model))):
        start_s = time.monotonic()
        with console.progress(f"building {network.name}", quiet=notify is None) as progress:
            row = build(network, recorder.inputs.get(network.name), progress)
        rows.append({"network": network.name, **row, "seconds": round(time.monotonic() - start_s, 1)})
        if notify:
            notify(f"built {network.name} in {rows[-1]['seconds']} s")
    return {"model": options.model, "to": options.to, "networks": rows}


def _ears(name: str) -> tuple[Network, ...]:
    """The networks a model hears with where they do not run on its runner: pocket's.

    With `random:` models the paper's own leave, MAP among them, where they can write for the model: not for SDXL.
    """
    if not name.startswith(PREFIX) or (spec := open_model(name).spec).tokens != MAX_TOKENS:
        return audio_encoder_networks()
    return random_tpos_networks(spec.token_size)


Build = Callable[[Network, Tensors | None, console.Progress], dict[str, Any]]


def _onnx(options: BuildOptions) -> Build:
    precision = options.precision or "fp32"

    def build(network: Network, real: Tensors | None, _progress: console.Progress) -> dict[str, Any]:
        kept = onnx_export.cached_path(network, precision=precision)
        path = options.out / f"{network.name}.onnx" if options.out else kept
        exported = onnx_export.export(network, path, precision, [real] if real else [])
        files = [path, path.with_suffix(".data")]
        size = sum(file.stat().st_size for file in files if file.exists())
        return {
            "path": str(path),
            "precision": precision,
            "bytes": size,
            "error": exported.error,
            "real": real is not None,
        }

    return build


def _tensorrt(options: BuildOptions) -> Build:
    library = choose_library(options.gpu)
    precision = options.precision or own_precision(library, options.model)
    label = tensorrt.gpu_label(library, options.gpu)

    def build(network: Network, real: Tensors | None, progress: console.Progress) -> dict[str, Any]:
        path = tensorrt.cached_path(tensorrt.identify(network, library, options.gpu, precision), options.out)
        graph = onnx_export.cached_path(network, options.out, precision)
        if not intact(graph):
            onnx_export.export(network, graph, precision, [real] if real else [])
        tensorrt.ensure_engine(network, library, options.gpu, precision, options.out, notify=lambda _name: progress)
        if not path.is_file():
            raise StorageError(f"{path}: cannot be written; --out with a folder with space would be accepted")
        return {
            "path": str(path),
            "precision": precision,
            "bytes": path.stat().st_size,
            "gpu": label,
            "library": library,
        }

    return build


def choose_library(gpu: str | None) -> tensorrt.Library:
    """TensorRT-RTX where it builds for that GPU, else TensorRT; raises `MissingPart` or `DeviceError` for neither."""
    refusals: list[MissingPart | DeviceError] = []
    for library in tensorrt.LIBRARIES:
        try:
            tensorrt.gpu_label(library, gpu)
            return library
        except (MissingPart, DeviceError) as error:
            refusals.append(error)
    raise next((error for error in refusals if isinstance(error, DeviceError)), refusals[0])


def lines(report: dict[str, Any]) -> list[str]:
    """A report for a person: one line for each file."""
    return [f"{row['network']}: {row['path']}{_quality(row)}" for row in report["networks"]]


def _quality(row: dict[str, Any]) -> str:
    if "error" not in row:
        return f", for {row['gpu']} by {row['library']}"
    return f", differs from torch by {row['error']:.1e} at most"
