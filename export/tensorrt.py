"""Networks on TensorRT: engines built from ONNX, kept in the cache, run on torch's own tensors.

`tensorrt` and `tensorrt_rtx` are one API under two names. The first builds for the GPU at hand, and takes minutes; the
second takes seconds, for all its GPUs at once, where there is none too, and finishes its kernels on the GPU that runs
them.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch

from export import cuda_graphs, onnx_export
from export.cache import building, cache_folder, intact
from export.tensorrt_build import Flags, Progress, build, builder_flags
from export.tensorrt_engine import Engine
from tpos_models.errors import DeviceError, MissingPart, ModelError, RunError, StorageError
from tpos_models.network import Network, Run, Runner, as_function, follow, max_relative_error

Library = Literal["tensorrt_rtx", "tensorrt"]
LIBRARIES: tuple[Library, ...] = ("tensorrt", "tensorrt_rtx")
"""The faster first."""

Notify = Callable[[str], Progress]
"""Called with the name of a network that is about to be built; gives who hears of its progress."""

_PORTABLE_FROM, _PORTABLE = 8.0, "8.0 and newer"
"""TensorRT-RTX builds one engine for compute capability 8.0, 8.6, 8.9, 12.0 and newer, unless it is asked for another
(its manual, "CPU-Only AOT and TensorRT-RTX Engines"): what was built on one of these plays on the others."""
_MAGIC = b"tpos engine 1\n"


def silent(_name: str) -> Progress:
    """Nobody hears of it."""
    return lambda _share: None


def load_library(library: Library) -> ModuleType:
    """Import it; raises `MissingPart` that says how to get it, or why it does not load."""
    extra = library.replace("_", "-")
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingPart(f"{library} is not installed; pip install 'tpos-live[{extra}]' adds it") from error
    except (ImportError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise MissingPart(
            f"{library} is installed and does not load ({reason}); its NVIDIA driver is needed"
        ) from error


def available(library: Library) -> tuple[bool, str]:
    """Whether a library can play here, and why not, or on what."""
    try:
        version = load_library(library).__version__
        here, words = cuda_graphs.available()
        if here:
            gpu_label(library, None)
    except (MissingPart, DeviceError) as error:
        return False, str(error)
    return here, f"{library} {version}, {words}"


def gpus(library: Library) -> dict[str, Any]:
    """The compute capabilities a library builds for without having one: "8.9" and its own name for it; may be none."""
    known = getattr(load_library(library), "ComputeCapability", None)
    names = [name for name in getattr(known, "__members__", {}) if name.startswith("SM")]
    return {f"{name[2:-1]}.{name[-1]}": known.__members__[name] for name in names} if known else {}


def gpu_label(library: Library, gpu: str | None) -> str:
    """What an engine is tied to: the GPU's own name, where it is TensorRT-RTX's a compute capability or all newer ones.

    `gpu` is a compute capability, or None for the GPU at hand. Raises `DeviceError` for one the library does not know.
    """
    known = gpus(library)
    if gpu is None:
        here, words = cuda_graphs.available()
        if not here:
            accepted = f"--gpu {', '.join(known)} builds for another" if known else "a machine with one is needed"
            raise DeviceError(f"no GPU to build for: {words}; {accepted}")
        if not known:
            return torch.cuda.get_device_name()
        gpu = "{}.{}".format(*torch.cuda.get_device_capability())
    if gpu not in known:
        accepted = ", ".join(known) or "the GPU at hand only"
        raise DeviceError(f"GPU {gpu}: {library} builds for compute capability {accepted}")
    return _PORTABLE if float(gpu) >= _PORTABLE_FROM else gpu


@dataclass(frozen=True)
class Identity:
    """Everything an engine depends on; it is part of its file name and written in its head."""

    network: str
    graph: str
    """The file name of the ONNX graph: its weights, its sizes, its precision and the torch that exported it."""
    library: str
    gpu: str
    max_batch: int
    flags: str
    """The builder's, as `NAME=1,NAME=0`."""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def identify(network: Network, library: Library, gpu: str | None = None, precision: str = "fp16") -> Identity:
    """The engine of a network for a GPU, which takes other weights where the network has adapters.

    Raises `MissingPart` or `DeviceError`.
    """
    trt = load_library(library)
    graph = onnx_export.cached_path(network, Path(), precision).name
    flags = ",".join(f"{name}={on:d}" for name, on in builder_flags(trt, network.adapters is not None).items())
    return Identity(
        network.name, graph, f"{library} {trt.__version__}", gpu_label(library, gpu), network.max_batch, flags
    )


def cached_path(identity: Identity, folder: Path | None = None) -> Path:
    """Where an engine is kept."""
    return (folder or cache_folder()) / "tensorrt" / f"{identity.network}-{identity.digest[:24]}.engine"


def write_engine(path: Path, identity: Identity, engine: Any) -> None:
    """Keep an engine behind a head that says what it is and what its bytes add up to; raises `StorageError`."""
    view = memoryview(engine).cast("B")
    head = {**asdict(identity), "bytes": view.nbytes, "sha256": hashlib.sha256(view).hexdigest()}
    with building(path) as temporary, temporary.open("wb") as file:
        file.write(_MAGIC + json.dumps(head).encode() + b"\n")
        file.write(view)


def read_engine(path: Path, identity: Identity) -> bytes:
    """An engine that is whole and exactly this one; raises `ModelError` for any other, `FileNotFoundError` for none."""
    with path.open("rb") as file:
        if file.readline(len(_MAGIC)) != _MAGIC:
            raise ModelError(f"{path}: not an engine of this program; it is built anew")
        try:
            head = dict(json.loads(file.readline(1 << 16)))
        except (ValueError, TypeError) as error:
            raise ModelError(f"{path}: its head is damaged; it is built anew") from error
        engine = file.read()
    wanted = asdict(identity)
    if {key: head.get(key) for key in wanted} != wanted:
        raise ModelError(f"{path}: an engine for another network, GPU or version; it is built anew")
    if (len(engine), hashlib.sha256(engine).hexdigest()) != (head.get("bytes"), head.get("sha256")):
        raise ModelError(f"{path}: {len(engine)} bytes, {head.get('bytes')} were written; it is built anew")
    return engine


def ensure_engine(
    network: Network,
    library: Library,
    gpu: str | None = None,
    precision: str = "fp16",
    folder: Path | None = None,
    notify: Notify = silent,
) -> bytes:
    """The engine from the cache, built where it is not there, damaged or foreign.

    A cache that cannot be written costs a build at every start, never the show. Raises `MissingPart`, `DeviceError`,
    `ModelError` where the graph is refused, `RunError` where the build fails.
    """
    identity = identify(network, library, gpu, precision)
    path = cached_path(identity, folder)
    try:
        return read_engine(path, identity)
    except (OSError, ModelError):
        flags = builder_flags(load_library(library), network.adapters is not None)
        if network.adapters is not None and not cuda_graphs.available()[0]:
            here = cuda_graphs.available()[1]
            raise DeviceError(f"{network.name}: with --lora an engine is built on a GPU only; {here}") from None
        engine = _build(network, library, identity, flags, precision, folder, notify(network.name))
    with suppress(StorageError):
        write_engine(path, identity, engine)
    return bytes(engine)


def _build(
    network: Network,
    library: Library,
    identity: Identity,
    flags: Flags,
    precision: str,
    folder: Path | None,
    progress: Progress,
) -> Any:
    """From the graph in the cache; a graph that does not parse is exported once more, one that does not fit the cache
    lives as long as the build."""
    target = gpus(library).get(identity.gpu)
    trt = load_library(library)
    graph = onnx_export.cached_path(network, folder, precision)
    torch.cuda.empty_cache()
    try:
        if intact(graph):
            try:
                return build(trt, graph, network, target, flags, progress)
            except ModelError:
                graph.unlink(missing_ok=True)
        return build(trt, onnx_export.export(network, graph, precision).path, network, target, flags, progress)
    except StorageError:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as elsewhere:
            graph = onnx_export.export(network, Path(elsewhere) / graph.name, precision).path
            return build(trt, graph, network, target, flags, progress)


def runner(
    library: Library,
    precision: str = "fp16",
    folder: Path | None = None,
    notify: Notify = silent,
) -> Runner:
    """A runner of engines for the GPU at hand, each call one replay of a CUDA graph.

    Raises as `ensure_engine`, and `RunError` where an engine does not answer as torch does.
    """

    def run(network: Network) -> Run:
        engine = ensure_engine(network, library, None, precision, folder, notify)
        kept = cached_path(identify(network, library, None, precision), folder)
        torch.cuda.empty_cache()  # engines take their memory from the driver, not from torch
        running = Engine(load_library(library), engine, network, kept.with_suffix(".kernels"))
        running.follow()
        here = f"{torch.cuda.get_device_name()}, {hashlib.sha256(engine).hexdigest()[:16]}"
        check_once(running, network, precision, kept.with_suffix(".checked"), here)
        return running

    return run


def check_once(run: Run, network: Network, precision: str, stamp: Path, engine: str) -> None:
    """Compare an engine with torch on the same device, once; `stamp` is the file that remembers which (a line each).

    Where torch's own network does not fit beside it, nothing is compared. Raises `RunError` above the exporter's
    tolerance.
    """
    known: list[str] = []
    with suppress(OSError):
        known = stamp.read_text("utf-8").splitlines()
    if engine in known:
        return
    try:
        error = _differs(run, network)
    except torch.OutOfMemoryError:
        return
    if not error <= onnx_export.TOLERANCE[precision]:  # nor a NaN
        raise RunError(f"{network.name}: its engine's answer is {error:.2g} off torch's ({engine})")
    with suppress(StorageError), building(stamp) as temporary:
        temporary.write_text("\n".join((*known, engine)), "utf-8")


def _differs(run: Run, network: Network) -> float:
    """From torch, in full float32 where it is float32; without what its adapters add, and with it."""
    module, adapters, errors = network.build(), network.adapters, list[float]()
    if adapters is None:
        return _largest_error(run, network, module)
    unfollow, loaded = follow(network, module), adapters.strengths
    try:
        for strength in (0.0, 1.0):  # the second time, what was recorded the first time is replayed
            adapters.set([strength] * len(loaded))
            errors.append(_largest_error(run, network, module))
    finally:
        unfollow()
        adapters.set(loaded)
    return float(torch.tensor(errors).max())


def _largest_error(run: Run, network: Network, module: torch.nn.Module) -> float:
    reference, errors = as_function(module), list[float]()
    for batch in (1, min(2, network.max_batch)):
        example = network.example(batch)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            want = reference(*example)
        errors.append(max_relative_error(run(*example), want, network.rounding))
    return float(torch.tensor(errors).max())  # NaN, where there is one
