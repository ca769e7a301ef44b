"""A model by name, on the best runner this machine has."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from engine.core import console
from engine.inference.fallback import Ladder, Rung, ladder_of
from engine.inference.priority import step_back
from export import cuda_graphs as cuda
from export import onnx_runner as onnx_runtime
from export import tensorrt
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.network import Runner, run_in_torch
from tpos_models.registry import PLAIN, Additions

Watch = Callable[[Runner], Runner]
"""Looks over a runner's shoulder: the benchmark times every network so."""


@dataclass(frozen=True)
class Kind:
    """One kind of runner: `missing(model)` says why it cannot play a model here, empty where it can."""

    name: str
    missing: Callable[[str], str]
    make: Callable[[], Runner]


def _gpu_missing(here: Callable[[], tuple[bool, str]]) -> Callable[[str], str]:
    def missing(model: str) -> str:
        if model == registry.POCKET:
            return "pocket lives on the CPU"
        for needed in (cuda.available, here):
            found, words = needed()
            if not found:
                return words
        return ""

    return missing


def _tensorrt(library: tensorrt.Library) -> Kind:
    def building(network: str) -> Callable[[float], None]:
        console.say(f"building {network} for this GPU, once; minutes")
        return lambda share: None

    return Kind(
        library,
        _gpu_missing(lambda: tensorrt.available(library)),
        lambda: tensorrt.runner(library, watch=building),
    )


def _onnx_missing(model: str) -> str:
    return "" if model == registry.POCKET else "ONNX Runtime plays pocket only"


def _onnx() -> Runner:
    return onnx_runtime.runner(
        building=lambda: console.say("preparing the model for this machine, once; under a minute")
    )


KINDS: tuple[Kind, ...] = (
    *(_tensorrt(library) for library in tensorrt.LIBRARIES),
    Kind("cuda", _gpu_missing(cuda.available), cuda.runner),
    Kind("onnx", _onnx_missing, _onnx),
    Kind("torch", lambda model: "", lambda: run_in_torch),
)
"""Every kind of runner, best first."""


def runners(name: str) -> tuple[str, ...]:
    """The runners that can play a model on this machine, best first."""
    return tuple(kind.name for kind in KINDS if not kind.missing(name))


def passed_over(name: str) -> tuple[str, ...]:
    """Why a model plays on no better runner here: what each of those lacks."""
    lacking = itertools.takewhile(bool, (kind.missing(name) for kind in KINDS))
    return tuple(dict.fromkeys(lacking))


def open_ladder(
    name: str,
    size_px: tuple[int, int] | None = None,
    say: Callable[[str], None] = console.say,
    additions: Additions = PLAIN,
) -> Ladder:
    """A model on the best rung that works here; `size_px` (width, height) where the model has no size of its own."""
    rungs = ladder_of(runners(name), registry.resizable(name))
    return Ladder(rungs, lambda rung: open_on(rung, name, size_px, additions=additions), say)


def open_model(name: str, size_px: tuple[int, int] | None = None, additions: Additions = PLAIN) -> Model:
    """Load a model ready to play; raises `ModelError` or `MissingFileError`."""
    return open_ladder(name, size_px, additions=additions).model


def open_on(
    rung: Rung,
    name: str,
    size_px: tuple[int, int] | None = None,
    watch: Watch = lambda runner: runner,
    additions: Additions = PLAIN,
) -> Model:
    """Load a model on one rung; raises what its runner raises where that does not work."""
    kind = next(kind for kind in KINDS if kind.name == rung.runner)
    size_px = registry.smaller(name, size_px, rung.halvings)
    runner = watch(kind.make())
    if kind.name != "onnx":
        torch.set_num_threads(onnx_runtime.threads_alone())
        return registry.load(name, runner, kind.name, size_px, additions)
    torch.set_num_threads(1)  # torch must keep no pool of its own spinning beside ONNX Runtime's
    with ThreadPoolExecutor(1, initializer=step_back) as behind:  # whose threads inherit its place
        return behind.submit(registry.load, name, runner, kind.name, size_px, additions).result()
