"""A model by name, on the best backend this machine has, in the precision that is asked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch

from engine.core import console
from engine.inference.fallback import Backend, FallbackChain, backends_on
from engine.inference.priority import behind
from export import cuda_graphs, onnx_runner, tensorrt
from export.onnx_session import threads_alone
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.errors import InputError, RunError, StorageError
from tpos_models.network import Runner, run_in_torch
from tpos_models.precision import Precision
from tpos_models.registry import PLAIN, Additions

Profiler = Callable[[Runner], Runner]
"""Wraps a runner: the benchmark times every network so."""

DEFAULT = "TPOS_PRECISION"
"""The environment variable that says which precision a model that has it plays in where none is asked for."""


@dataclass(frozen=True)
class RunnerKind:
    """What networks can run on: `missing(model)` says why it cannot play a model here, empty where it can.

    `precisions(model)` are what it computes in here, its own first; `make` gives the runner of one of them. `device` is
    where its networks lie. `whole_steps`: it compiles a step with its guidance, and a decode to bytes.
    """

    name: str
    missing: Callable[[str], str]
    precisions: Callable[[str], tuple[Precision, ...]]
    make: Callable[[Precision], Runner]
    device: str = "auto"
    whole_steps: bool = False


def _gpu_missing(here: Callable[[], tuple[bool, str]]) -> Callable[[str], str]:
    def missing(_model: str) -> str:
        for needed in (cuda_graphs.available, here):
            found, words = needed()
            if not found:
                return words
        return ""

    return missing


def _compiled(model: str) -> tuple[Precision, ...]:
    """`pocket`, which a GPU draws in no time, looks there as on a CPU unless it is told otherwise."""
    return (Precision.FP32, Precision.FP16) if model == registry.POCKET else (Precision.FP16, Precision.FP32)


def _in_torch(model: str) -> tuple[Precision, ...]:
    on_cpu = model == registry.POCKET or registry.device(model).type == "cpu"
    return (Precision.FP32,) if on_cpu else (Precision.FP16, Precision.FP32)


def _off_gpu(model: str) -> str:
    return "torch plays on the CPU already" if registry.device(model).type == "cpu" else ""


def _building(network: str) -> Callable[[float], None]:
    _unlocked(network)
    console.notify(f"building {network} for this GPU, once; minutes")
    return lambda share: None


def _tensorrt(library: tensorrt.Library) -> RunnerKind:
    return RunnerKind(
        library,
        _gpu_missing(lambda: tensorrt.available(library)),
        _compiled,
        lambda precision: tensorrt.runner(library, precision, notify=_building),
        whole_steps=True,
    )


_playing: Callable[[], bool] = bool  # which is False when nothing is given


def lock(playing: Callable[[], bool]) -> None:
    """While a show is `playing` nothing is built: what the cache lacks is passed over, as a backend that fails."""
    global _playing
    _playing = playing


def _unlocked(what: str) -> None:
    if _playing():
        raise RunError(f"{what} would have to be built in mid-show; tpos doctor --show PRESETS does so beforehand")


def _prepare(network: str, precision: Precision) -> None:
    _unlocked("the model's networks")
    _preparing()
    console.notify(f"  {network} in {precision}")


@cache
def _preparing() -> None:
    """Once, however many networks and precisions are prepared."""
    console.notify("preparing the model for this machine, once; up to three minutes")


RUNNERS: tuple[RunnerKind, ...] = (
    *(_tensorrt(library) for library in tensorrt.LIBRARIES),
    RunnerKind("cuda", _gpu_missing(cuda_graphs.available), _in_torch, lambda _: cuda_graphs.runner()),
    RunnerKind(
        "onnx",
        lambda model: "" if model == registry.POCKET else "ONNX Runtime plays pocket only",
        lambda _: onnx_runner.PRECISIONS,
        lambda precision: onnx_runner.runner(precision, notify=_prepare),
        "cpu",
    ),
    RunnerKind("torch", lambda _: "", _in_torch, lambda _: run_in_torch),
    RunnerKind("cpu", _off_gpu, lambda _: (Precision.FP32,), lambda _: run_in_torch, "cpu"),
)
"""Every kind of runner, best first."""


def runners(name: str) -> tuple[str, ...]:
    """The runners that can play a model on this machine, best first."""
    return tuple(kind.name for kind in RUNNERS if not kind.missing(name))


def passed_over(name: str) -> tuple[str, ...]:
    """Why a model plays on no better runner here: what each of those lacks."""
    lacking = itertools.takewhile(bool, (kind.missing(name) for kind in RUNNERS))
    return tuple(dict.fromkeys(lacking))


def precisions(name: str) -> tuple[Precision, ...]:
    """What a model can be computed in on this machine's best runner for it, that runner's own first."""
    return _kind(runners(name)[0]).precisions(name)


def own_precision(runner: str, name: str) -> Precision:
    """What a runner computes a model in where it is asked for nothing."""
    return _kind(runner).precisions(name)[0]


def choose_precision(asked: str | None, name: str) -> Precision | None:
    """The precision asked for, else the environment's where the model has it here, else None: the runner's own.

    Raises `InputError` for what is none, or asked for and not to be had here.
    """
    if asked is None:
        default = os.environ.get(DEFAULT)
        chosen = Precision.parse(default, DEFAULT) if default else None
        return chosen if chosen is Precision.AUTO or chosen in precisions(name) else None
    precision, here = Precision.parse(asked), precisions(name)
    if precision is not Precision.AUTO and precision not in here:
        accepted = " or ".join(("auto", *here))
        raise InputError(f"--precision {asked}: {name} on {runners(name)[0]} has {accepted} here")
    return precision


def open_chain(
    name: str,
    size_px: tuple[int, int] | None = None,
    notify: Callable[[str], None] = console.notify,
    additions: Additions = PLAIN,
    precision: Precision | None = None,
) -> FallbackChain:
    """A model on the best backend that works here; `size_px` (width, height) where the model has no size of its own.

    `precision` None is the runner's own, the same on every run; AUTO may measure which is the fastest. A backend
    further down that does not have it plays in its own.
    """
    backends = backends_on(runners(name), registry.resizable(name))
    return FallbackChain(
        backends, lambda one: open_on(one, name, size_px, additions=additions, precision=precision), notify
    )


def open_model(
    name: str,
    size_px: tuple[int, int] | None = None,
    additions: Additions = PLAIN,
    precision: Precision | None = None,
) -> Model:
    """Load a model ready to play, arguments as `open_chain`; raises `ModelError` or `MissingFileError`."""
    return open_chain(name, size_px, additions=additions, precision=precision).model


def open_on(
    backend: Backend,
    name: str,
    size_px: tuple[int, int] | None = None,
    profiler: Profiler = lambda runner: runner,
    additions: Additions = PLAIN,
    precision: Precision | None = None,
) -> Model:
    """Load a model on one backend; raises what its runner raises where that does not work.

    `Model.precision` says what it is computed in.
    """
    kind = _kind(backend.runner)
    size_px = registry.smaller(name, size_px, backend.halvings)

    def load() -> Model:
        chosen = _resolve(kind, name, precision)
        runner = profiler(kind.make(chosen))
        model = registry.load(name, runner, kind.name, size_px, additions, chosen, kind.device, kind.whole_steps)
        return replace(model, precision=chosen)

    if kind.name != "onnx":
        torch.set_num_threads(threads_alone())
        return load()
    torch.set_num_threads(1)  # torch must keep no pool of its own spinning beside ONNX Runtime's
    return behind(load)  # whose threads inherit its place


def _kind(runner: str) -> RunnerKind:
    return next(kind for kind in RUNNERS if kind.name == runner)


def _resolve(kind: RunnerKind, name: str, asked: Precision | None) -> Precision:
    """What is in force: the runner's own where it is not asked for anything, or for what it does not have."""
    here = kind.precisions(name)
    if asked is not Precision.AUTO or Precision.INT8 not in here:
        return asked if asked in here else here[0]
    try:
        return onnx_runner.fastest(registry.networks(name), notify=_prepare)
    except StorageError as error:  # it would be measured at every start
        console.notify(f"{error}; playing in {here[0]}")
        return here[0]
