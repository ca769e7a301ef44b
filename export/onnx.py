"""Networks to ONNX files, each checked against torch before it counts."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from tpos_models.errors import ModelError, StorageError
from tpos_models.network import Network, max_relative_error, run_in_torch

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest accepted relative error of an exported network against torch in fp32."""

OPSET = 20


def cache_folder() -> Path:
    """Where built networks are kept: $TPOS_CACHE, else $XDG_CACHE_HOME/tpos, else ~/.cache/tpos."""
    if chosen := os.environ.get("TPOS_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tpos"


def cached_path(network: Network, folder: Path | None = None) -> Path:
    """The file name that holds exactly these weights, exported by exactly this torch."""
    version = torch.__version__.split("+")[0]
    return (folder or cache_folder()) / "onnx" / f"{network.name}-{network.fingerprint[:16]}-torch{version}.onnx"


def export(network: Network, path: Path) -> Path:
    """Write `network` as fp32 ONNX with a dynamic batch; whole or not at all. Raises `StorageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
            temporary = Path(folder) / path.name
            _export(network, temporary)
            temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); set TPOS_CACHE to a folder with space"
        ) from error
    return path


def _export(network: Network, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=network.max_batch)
    example = network.example(2)  # a batch of one would be taken for a constant
    with _quiet():
        torch.onnx.export(
            network.build(),
            example,
            str(path),
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            dynamic_shapes=tuple({0: batch} for _ in example),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on stdout, through warnings and through logging; progress is the caller's to show."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check(network: Network, path: Path, precision: str = "fp32") -> float:
    """Max relative error of the file against torch, batch 1 and the largest; raises `ModelError` above `TOLERANCE`."""
    from export.onnx_runtime import open_session

    run, reference = open_session(path, network), run_in_torch(network)
    error = max(
        max_relative_error(run(*example), reference(*example))
        for example in (network.example(1), network.example(network.max_batch))
    )
    if not error <= TOLERANCE[precision]:
        raise ModelError(
            f"{path}: {network.name} differs from torch by {error:.1e}, at most {TOLERANCE[precision]:.0e}"
        )
    return error
