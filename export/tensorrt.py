"""Networks on TensorRT: engines built from ONNX for one kind of GPU, kept in the cache, run on torch's own tensors.

`tensorrt` and `tensorrt_rtx` are one API under two names. The first builds for the GPU at hand, and takes minutes; the
second takes seconds, for any of its GPUs, where there is none too, and finishes its kernels on the GPU that runs them.
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
from export.cache import building, cache_folder
from export.tensorrt_build import Log, Progress, build
from tpos_models.errors import DeviceError, InputError, MissingPart, ModelError, RunError, StorageError
from tpos_models.network import Network, Run, Runner, Tensors

Library = Literal["tensorrt_rtx", "tensorrt"]
LIBRARIES: tuple[Library, ...] = ("tensorrt_rtx", "tensorrt")

Notify = Callable[[str], Progress]
"""Called with the name of a network that is about to be built; gives who hears of its progress."""

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
    """What an engine is tied to: a compute capability where the library can name it, else the GPU's own name.

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
    return gpu


@dataclass(frozen=True)
class Identity:
    """Everything an engine depends on; it is part of its file name and written in its head."""

    network: str
    graph: str
    """The file name of the ONNX graph: its weights, its sizes, its precision and the torch that exported it."""
    library: str
    gpu: str
    max_batch: int
    refittable: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def identify(
    network: Network, library: Library, gpu: str | None = None, precision: str = "fp16", refittable: bool = False
) -> Identity:
    """The engine of a network for a GPU; raises `MissingPart` or `DeviceError`."""
    version = f"{library} {load_library(library).__version__}"
    graph = onnx_export.cached_path(network, Path(), precision).name
    return Identity(network.name, graph, version, gpu_label(library, gpu), network.max_batch, refittable)


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
    refittable: bool = False,
    notify: Notify = silent,
) -> bytes:
    """The engine from the cache, built where it is not there, damaged or foreign.

    A cache that cannot be written costs a build at every start, never the show. Raises `MissingPart`, `DeviceError`,
    `ModelError` where the graph is refused, `RunError` where the build fails.
    """
    identity = identify(network, library, gpu, precision, refittable)
    path = cached_path(identity, folder)
    try:
        return read_engine(path, identity)
    except (OSError, ModelError):
        engine = _build(network, library, identity, precision, folder, notify(network.name))
    with suppress(StorageError):
        write_engine(path, identity, engine)
    return bytes(engine)


def _build(
    network: Network, library: Library, identity: Identity, precision: str, folder: Path | None, progress: Progress
) -> Any:
    """From the graph in the cache; a graph that does not parse is exported once more, one that does not fit the cache
    lives as long as the build."""
    target = gpus(library).get(identity.gpu)
    trt = load_library(library)
    graph = onnx_export.cached_path(network, folder, precision)
    try:
        if graph.is_file():
            try:
                return build(trt, graph, network, target, identity.refittable, progress)
            except ModelError:
                graph.unlink(missing_ok=True)
        return build(
            trt, onnx_export.export(network, graph, precision).path, network, target, identity.refittable, progress
        )
    except StorageError:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as elsewhere:
            graph = onnx_export.export(network, Path(elsewhere) / graph.name, precision).path
            return build(trt, graph, network, target, identity.refittable, progress)


def runner(
    library: Library,
    precision: str = "fp16",
    folder: Path | None = None,
    refittable: bool = False,
    notify: Notify = silent,
) -> Runner:
    """A runner of engines for the GPU at hand, each call one replay of a CUDA graph; raises as `ensure_engine`."""

    def run(network: Network) -> Run:
        engine = ensure_engine(network, library, None, precision, folder, refittable, notify)
        kept = cached_path(identify(network, library, None, precision, refittable), folder)
        return Engine(load_library(library), engine, network, kept.with_suffix(".kernels"))

    return run


class Engine:
    """One engine on torch's tensors: it reads and writes them where they lie. Owned by one thread.

    `kernels` is where TensorRT-RTX keeps what it compiles on this GPU, so that the next start need not.
    """

    def __init__(self, trt: ModuleType, engine: bytes, network: Network, kernels: Path) -> None:
        self._trt, self._network, self._log = trt, network, Log(trt)
        self._runtime = trt.Runtime(self._log.logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise RunError(f"{network.name}: its engine does not load ({self._log.last})")
        self._kernels = _Kernels(trt, self._engine, kernels)
        self._context = self._kernels.context()
        if self._context is None:
            raise RunError(f"{network.name}: no memory to run its engine in ({self._log.last})")
        self._dtypes = [_torch_dtype(trt, self._engine.get_tensor_dtype(name)) for name in network.outputs]
        self._replayed = cuda_graphs.Replayed(self._enqueue)

    def __call__(self, *tensors: torch.Tensor) -> Tensors:
        if len(tensors[0]) > self._network.max_batch:
            raise InputError(f"{self._network.name}: batch {len(tensors[0])}, 1 to {self._network.max_batch} accepted")
        out = self._replayed(*tensors)
        self._kernels.keep()
        return out

    def _enqueue(self, *tensors: torch.Tensor) -> Tensors:
        for name, tensor in zip(self._network.inputs, tensors, strict=True):
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        outputs = []
        for name, dtype in zip(self._network.outputs, self._dtypes, strict=True):
            out = torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=dtype, device="cuda")
            self._context.set_tensor_address(name, out.data_ptr())
            outputs.append(out)
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RunError(f"{self._network.name}: TensorRT failed ({self._log.last})")
        return tuple(outputs)

    def refit(self, graph: Path) -> None:
        """Take the weights of another graph of the same network, as of one with a LoRA fused into it.

        For engines built `refittable`. Raises `ModelError` where the graph does not fit.
        """
        refitter = self._trt.Refitter(self._engine, self._log.logger)
        parser = self._trt.OnnxParserRefitter(refitter, self._log.logger)
        torch.cuda.current_stream().synchronize()
        if not parser.refit_from_file(str(graph)) or not refitter.refit_cuda_engine():
            raise ModelError(f"{graph}: its weights do not fit the engine of {self._network.name} ({self._log.last})")
        self._replayed.forget()


class _Kernels:
    """The runtime cache of TensorRT-RTX; TensorRT compiles nothing at run time and has none."""

    def __init__(self, trt: ModuleType, engine: Any, path: Path) -> None:
        self._engine, self._path = engine, path
        self._config: Any = None
        self._cache: Any = None
        self._kept = False
        if hasattr(trt, "IRuntimeCache"):
            self._load(trt)

    def _load(self, trt: ModuleType) -> None:
        """Kernels for a shape are compiled when it first comes, before a graph of them is recorded, not behind it."""
        self._config = self._engine.create_runtime_config()
        self._config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self._cache = self._config.create_runtime_cache()
        if self._path.is_file():  # it checks by itself whether they are of this GPU and version
            self._kept = bool(self._cache.deserialize(self._path.read_bytes()))
        self._config.set_runtime_cache(self._cache)

    def context(self) -> Any:
        return self._engine.create_execution_context(*([] if self._config is None else [self._config]))

    def keep(self) -> None:
        """Write what was compiled, once a call has compiled it; a cache that cannot be written is no loss."""
        if self._cache is None or self._kept:
            return
        self._kept = True
        with suppress(StorageError), building(self._path) as temporary:
            temporary.write_bytes(memoryview(self._cache.serialize()).cast("B"))


def _torch_dtype(trt: ModuleType, dtype: Any) -> torch.dtype:
    kinds = {
        trt.float32: torch.float32, trt.float16: torch.float16, trt.bfloat16: torch.bfloat16, trt.int64: torch.int64,
        trt.int32: torch.int32, trt.bool: torch.bool,
    }  # fmt: skip
    return kinds[dtype]
