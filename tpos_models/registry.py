"""Models by name."""

from __future__ import annotations

from dataclasses import dataclass

from tpos_models.contracts import Model
from tpos_models.network import Network, Runner, run_in_torch

POCKET = "pocket"


@dataclass(frozen=True)
class Available:
    """One line of `tpos models list`."""

    name: str
    where: str
    words: str


def available() -> tuple[Available, ...]:
    """Models that can be played."""
    from tpos_models.stable_diffusion.architectures import ARCHITECTURES
    from tpos_models.stable_diffusion.hub import KNOWN

    known = (
        Available(name, "GPU, slow on a CPU", f"Stable Diffusion, {hub.repository}") for name, hub in KNOWN.items()
    )
    random = (Available(f"random:{name}", "anywhere, for benchmarks", "random weights") for name in ARCHITECTURES)
    folder = Available("FOLDER", "GPU, slow on a CPU", "any diffusers folder of that family")
    return (Available(POCKET, "any CPU, live", "built in, 256x256, no download"), *known, folder, *random)


def load(name: str, runner: Runner = run_in_torch, runner_name: str = "torch") -> Model:
    """Load a model: `pocket`, a Stable Diffusion name or folder, or `random:ARCH`; raises `ModelError`."""
    if name == POCKET:
        from tpos_models.pocket import model

        return model.load(runner, runner_name)
    from tpos_models import stable_diffusion
    from tpos_models.stable_diffusion.devices import choose_device, choose_precision

    device = choose_device()
    return stable_diffusion.load(name, device, choose_precision("auto", device), runner=runner)


def networks(name: str) -> tuple[Network, ...]:
    """Every network of a model, for export; raises as `load` does."""
    if name == POCKET:
        from tpos_models.pocket import model

        return model.networks()
    from tpos_models.stable_diffusion import open_model

    return open_model(name).networks()
