"""Where a film's frames are drawn, by the word of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.inference.farm.chunks import Farm, Worker
from engine.inference.farm.drawing import Drawer, Drawing
from engine.inference.farm.on_ray import open_ray
from tpos_models.errors import InputError

HERE = "here"


class Here(Farm):
    """One worker, a thread of this process with a model of its own: for films that are stopped and go on."""

    def workers(self, drawing: Drawing) -> int:
        """One."""
        return 1

    def start(self, drawing: Drawing) -> Worker:
        """Raises what `Drawer` raises."""
        return Drawer(drawing)


@contextmanager
def open_farm(on: str | None, most: int | None = None) -> Iterator[Farm | None]:
    """The farm `on` names: "here", "ray" or an address of Ray's; None without. Raises InputError, MissingPart."""
    if most is not None and (on in (None, HERE) or most < 1):
        raise InputError(f"--workers {most}: 1 or more, with --on ray or an address, would be accepted")
    if on is None or on == HERE:
        yield Here() if on else None
        return
    with open_ray(on, most) as farm:
        yield farm
