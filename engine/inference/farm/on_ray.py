"""Workers on Ray: a cluster of this machine alone, or one that runs. The one place that imports Ray."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from engine.core.own_thread import first_line
from engine.inference.farm.chunks import Farm, Worker, WorkerLost
from engine.inference.farm.drawing import Asked, Drawer, Drawing
from export.cache import cache_folder
from export.onnx_session import cores
from tpos_models.errors import InputError, MissingPart, ModelError, RunError, TposError
from tpos_models.registry import POCKET

LOCAL = "ray"
STORE_BYTES = 256_000_000
"""Of the object store of a cluster of this machine alone: it holds a chunk's requests, and its frames packed."""

CONNECT_S = 5.0


class _Actor:
    """A worker's process."""

    def __init__(self) -> None:
        self._drawers: list[Drawer] = []

    def open(self, drawing: Drawing) -> None:
        """Load the model, one worker of a machine after the other: what the first fetches and builds the others find.

        Raises as `Drawer`.
        """
        from filelock import FileLock  # which Ray needs too

        cache_folder().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / "farm.lock"):
            _fetch(drawing.name)
            self._drawers = [Drawer(drawing)]

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        """As `Drawer.draw`."""
        return self._drawers[0].draw(chunk)


def _fetch(name: str) -> None:
    """Download a model of the hub that this machine has not got."""
    if name == POCKET or name.startswith("random:"):
        return
    from tpos_models.stable_diffusion import hub

    try:
        hub.locate(name)
    except ModelError:
        hub.fetch(name)


class _RayWorker:
    """An actor, whose errors are ours."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self.actor = ray, actor

    def call(self, method: str, given: object) -> Any:
        """What it answers. Raises `WorkerLost` where it is gone, what it raised where that is ours, else RunError."""
        try:
            return self._ray.get(getattr(self.actor, method).remote(given))
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, TposError) else RunError(_said(error.cause)) from error
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(_said(error)) from error

    def draw(self, chunk: Sequence[Asked]) -> tuple[bytes, float]:
        """As `Drawer.draw`; raises `WorkerLost`."""
        packed, seconds = self.call("draw", chunk)
        return packed, seconds


class RayFarm(Farm):
    """The cluster that this process is connected to; `most` workers, None: as many as there is room for."""

    def __init__(self, ray: Any, most: int | None) -> None:
        super().__init__()
        self._ray, self._most = ray, most
        self._has = ray.cluster_resources()
        self._actors: list[Any] = []

    def _needs(self, drawing: Drawing) -> dict[str, float]:
        """What a worker asks for: a GPU where the cluster has any, else the cores that a model keeps busy."""
        if self._has.get("GPU", 0) >= 1:
            return {"GPU": 1, "CPU": 1}
        return {"CPU": max(1, min(drawing.threads, int(self._has.get("CPU", 1))))}

    def workers(self, drawing: Drawing) -> int:
        """As many as there is room for."""
        room = min(int(self._has.get(kind, 0) / each) for kind, each in self._needs(drawing).items())
        return self._most or max(1, room)

    def start(self, drawing: Drawing) -> Worker:
        """Wait for room, and for a model to be loaded there. Raises `WorkerLost`, and what `Drawer` raises."""
        needs = self._needs(drawing)
        actor = (
            self._ray.remote(_Actor)
            .options(
                num_cpus=needs["CPU"],
                num_gpus=needs.get("GPU", 0),
                max_restarts=0,
                runtime_env={"env_vars": {"OMP_NUM_THREADS": str(cores())}},  # sums of as many parts as here
            )
            .remote()
        )
        self._actors.append(actor)
        worker = _RayWorker(self._ray, actor)
        worker.call("open", drawing)
        return worker

    def close(self) -> None:
        """End every worker, and the connection."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()


@contextmanager
def open_ray(address: str, most: int | None) -> Iterator[RayFarm]:
    """Connect to Ray: "ray" is a cluster of this machine alone, which ends with the block; else an address.

    Raises MissingPart, InputError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray's next versions do: else it warns
    try:
        import ray
    except ImportError as error:
        raise MissingPart("Ray is not installed; pip install 'tpos-live[ray]' adds it") from error
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        _answers(address)
        if address == LOCAL:
            ray.init("local", include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
        else:
            ray.init(address, **quiet)
    except (RuntimeError, ValueError, ImportError, OSError, OverflowError) as error:
        said = first_line(error)
        raise InputError(
            f"--on {address}: {said}; here, ray, or the address of a cluster such as ray://host:10001 would be accepted"
        ) from error
    farm = RayFarm(ray, most)
    with redirect_stdout(sys.stderr):  # where Ray says that workers died, whatever it is told
        try:
            yield farm
        finally:
            farm.close()


def _answers(address: str) -> None:
    """Raise OSError where HOST:PORT does not answer: Ray would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_S).close()


def _said(error: BaseException) -> str:
    """Ray's errors have pages: the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:160]
