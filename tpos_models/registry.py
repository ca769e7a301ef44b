"""Models by name."""

from __future__ import annotations

from dataclasses import dataclass

from tpos_models.contracts import Model
from tpos_models.errors import ModelError
from tpos_models.network import Network, Runner, run_in_torch


@dataclass(frozen=True)
class Available:
    """One line of `tpos models list`."""

    name: str
    where: str
    words: str


def available() -> tuple[Available, ...]:
    """Models that can be played here."""
    return (Available("pocket", "any CPU, live", "built in, 256x256, no download"),)


def load(name: str, runner: Runner = run_in_torch, runner_name: str = "torch") -> Model:
    """Load a model by name; raises `ModelError` naming what would be accepted."""
    if name != "pocket":
        raise _unknown(name)
    from tpos_models.pocket import model

    return model.load(runner, runner_name)


def networks(name: str) -> tuple[Network, ...]:
    """Every network of a model, for export; raises as `load` does."""
    if name != "pocket":
        raise _unknown(name)
    from tpos_models.pocket import model

    return model.networks()


def _unknown(name: str) -> ModelError:
    names = ", ".join(known.name for known in available())
    return ModelError(f"no model {name!r}; {names} would be accepted")
