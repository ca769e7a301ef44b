"""The CPU runner: networks in ONNX Runtime, from the cache or built into it, in float32 or int8."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from export import int8
from export.cache import building, intact
from export.onnx_export import cached_path, export
from export.onnx_session import open_session
from tpos_models.errors import ModelError, StorageError
from tpos_models.network import Network, Run, Runner
from tpos_models.precision import Precision

PRECISIONS = (Precision.FP32, Precision.INT8)
"""What a CPU computes in; a graph in float16 it would only cast to float32 and back."""

Notify = Callable[[str, Precision], None]
"""Told a network's name, and in what it is built, before it is."""


def silent(network: str, precision: Precision) -> None:
    """Nobody hears that networks are being built."""


def runner(precision: Precision = Precision.FP32, folder: Path | None = None, notify: Notify = silent) -> Runner:
    """A runner that builds what the cache (`folder`, default `cache_folder()`) lacks, and anew what is damaged.

    In int8 run the networks that have real inputs, in float32 the others. A cache that cannot be written costs a build
    at every start, never the show, and never changes the precision. Raises `ModelError` where int8 is asked for and not
    faithful.
    """
    announce = cache(notify)

    def run(network: Network) -> Run:
        chosen = precision if network.real else Precision.FP32
        try:
            return _open(network, chosen, folder, announce)
        except StorageError:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as elsewhere:
                return _open(network, chosen, Path(elsewhere), announce)

    return run


def graph_path(network: Network, precision: Precision, folder: Path | None = None) -> Path:
    """The file of a network's graph; its name says how it was made."""
    return cached_path(network, folder, precision, int8.recipe_id(network) if precision is Precision.INT8 else "")


def _open(network: Network, precision: Precision, folder: Path | None, notify: Notify) -> Run:
    """From the cache, or built into it; raises `StorageError` where it is neither there nor can be written."""
    path = graph_path(network, precision, folder)
    if intact(path):
        try:
            return open_session(path, network)
        except ModelError:
            path.unlink(missing_ok=True)
    if precision is Precision.INT8:
        _open(network, Precision.FP32, folder, notify)
        notify(network.name, precision)
        return open_session(int8.build(graph_path(network, Precision.FP32, folder), path, network), network)
    notify(network.name, precision)
    return open_session(export(network, path).path, network)


def fastest(networks: Iterable[Network], folder: Path | None = None, notify: Notify = silent) -> Precision:
    """int8 where the networks that may be rounded are faithful in it and faster on this processor, else float32.

    Measured once and remembered in the cache; raises `StorageError` where what is measured cannot be kept there.
    """
    rounded = [network for network in networks if network.real]
    if not rounded:
        return Precision.FP32
    note = _note(rounded, folder)
    with suppress(OSError, ValueError):
        return PRECISIONS[PRECISIONS.index(Precision(note.read_text(encoding="utf-8")))]
    announce = cache(notify)
    try:
        plain, quick = ([_open(one, precision, folder, announce) for one in rounded] for precision in PRECISIONS)
        pays = int8.speedup(quick, plain, [network.example(1) for network in rounded]) >= int8.LEAST_SPEEDUP
        choice = Precision.INT8 if pays else Precision.FP32
    except ModelError:
        choice = Precision.FP32
    with suppress(StorageError), building(note) as temporary:
        temporary.write_text(choice, encoding="utf-8")
    return choice


def _note(networks: Iterable[Network], folder: Path | None) -> Path:
    """The file that remembers which precision is the fastest for these graphs on this processor."""
    graphs = [graph_path(network, Precision.INT8, folder) for network in networks]
    key = " ".join([*(graph.name for graph in graphs), platform.machine(), platform.processor(), _processor()])
    return graphs[0].with_name(f"fastest-{hashlib.sha256(key.encode()).hexdigest()[:16]}.txt")


def _processor() -> str:
    """Its name and abilities where Linux tells them: a cache may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return " ".join(dict.fromkeys(line for line in lines if line.startswith(("model name", "flags"))))
