"""Models by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpos_models.errors import InputError
from tpos_models.precision import Precision

if TYPE_CHECKING:  # torch is imported where a model is: a command line that needs none should not wait for it
    import torch

    from tpos_models.contracts import Model
    from tpos_models.network import Network, Runner

POCKET = "pocket"
FIELD_PX = (512, 288)
SIDE_PX = 64
"""Sides are whole multiples of this: three halvings in a UNet of 8-pixel cells."""


@dataclass(frozen=True)
class Additions:
    """What a Stable Diffusion model may be given beside its name.

    `loras` are FILE or FILE:STRENGTH; `audio_encoder` is "auto" (CLAP where it was fetched, else pocket's), "pocket",
    "clap", or a folder that holds CLAP or an imported TPoS checkpoint.
    """

    loras: tuple[str, ...] = ()
    audio_encoder: str = "auto"


PLAIN = Additions()


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
        Available(name, "GPU, slow on a CPU", ", ".join(filter(None, (hub.repository, hub.lora, hub.terms))))
        for name, hub in KNOWN.items()
    )
    random = (Available(f"random:{name}", "anywhere, for benchmarks", "random weights") for name in ARCHITECTURES)
    folder = Available("FOLDER", "GPU, slow on a CPU", "any diffusers folder of that family")
    return (
        Available(POCKET, "any CPU or NVIDIA GPU, live", "built in, 256x256 or any --model-size, no download"),
        *known,
        folder,
        *random,
    )


def load(
    name: str,
    runner: Runner | None = None,
    runner_name: str = "torch",
    size_px: tuple[int, int] | None = None,
    additions: Additions = PLAIN,
    precision: Precision = Precision.AUTO,
    device_name: str = "auto",
    whole_steps: bool = False,
) -> Model:
    """Load a model: `pocket`, a Stable Diffusion name or folder, or `random:ARCH`; raises `InputError`.

    `runner` is torch's where there is none; `size_px` is (width, height) of its pictures, by default the size it was
    trained at; `pocket` takes any, and no additions. `precision` is what Stable Diffusion's modules are built in where
    a runner runs them as they are, `device_name` where a model's lie (see `device`). With `whole_steps` the runner is
    given whole steps and decodes (`Model.step`, `Model.pixels`).
    """
    from tpos_models.network import run_in_torch

    runner = runner or run_in_torch
    if name == POCKET:
        from tpos_models.pocket import model

        _check_plain(additions)
        return model.load(
            runner, runner_name, device=device(name, device_name), whole_steps=whole_steps, size_px=size_px
        )
    from tpos_models import stable_diffusion
    from tpos_models.stable_diffusion.devices import choose_precision

    here = device(name, device_name)
    dtype = choose_precision(precision, here)
    loras = tuple(stable_diffusion.Lora.parse(lora) for lora in additions.loras)
    return stable_diffusion.load(
        name, here, dtype, loras, runner, runner_name, size_px, additions.audio_encoder, whole_steps
    )


def check(name: str, additions: Additions = PLAIN) -> None:
    """Raise `InputError` for a model that is not on this machine, before anything of it is loaded."""
    if name == POCKET:
        _check_plain(additions)
        return
    from tpos_models.stable_diffusion import architectures, hub

    if name.startswith(architectures.PREFIX):
        architectures.architecture(name)
    else:
        hub.locate(name)


def built_with(name: str) -> tuple[str, ...]:
    """Modules that are imported when a model's networks are built, and not before: seconds of them."""
    return ("tpos_models.pocket.denoiser",) if name == POCKET else ()


def device(name: str, asked: str = "auto") -> torch.device:
    """Where a model's modules lie: `pocket`'s on an NVIDIA GPU or the CPU, others wherever torch computes.

    `asked` as `stable_diffusion.devices.choose_device` takes it, for `pocket` "auto" or "cpu".
    """
    if name == POCKET:
        import torch

        return torch.device("cuda" if asked == "auto" and torch.cuda.is_available() else "cpu")
    from tpos_models.stable_diffusion.devices import choose_device  # and all of diffusers with it

    return choose_device(asked)


def _check_plain(additions: Additions) -> None:
    if additions not in (PLAIN, Additions(audio_encoder=POCKET)):
        raise InputError("--lora and --ear: pocket has neither; a Stable Diffusion --model would be accepted")


def resizable(name: str) -> bool:
    """Whether a model's pictures can have another size."""
    return name != POCKET


def own_size(name: str) -> tuple[int, int] | None:
    """(width, height) of a model's pictures where none is asked for; None: what it is loaded with.

    On a CPU `pocket` is drawn as a field, as finely as two cores draw some ten times a second; on a GPU its networks
    are compiled.
    """
    return FIELD_PX if name == POCKET and device(name).type == "cpu" else None


def most_steps(name: str) -> int | None:
    """Steps a frame beyond which a model's pictures get worse; None where that is not known without opening it."""
    if name != POCKET:
        return None
    from tpos_models.pocket.networks import SPEC

    return SPEC.most_steps


def smaller(name: str, size_px: tuple[int, int] | None, halvings: int) -> tuple[int, int] | None:
    """`size_px`, or the model's own size, with its sides halved; whole cells of 64 pixels, at least one."""
    if not halvings:
        return size_px
    if size_px is None:
        from tpos_models.stable_diffusion import open_model

        spec = open_model(name).spec
        size_px = spec.sample_size[1] * spec.scale, spec.sample_size[0] * spec.scale
    width, height = (max(SIDE_PX, side // 2**halvings // SIDE_PX * SIDE_PX) for side in size_px)
    return width, height


def networks(name: str) -> tuple[Network, ...]:
    """Every network of a model, for export; raises as `load` does."""
    if name == POCKET:
        from tpos_models.pocket import networks

        return networks.networks()
    from tpos_models.stable_diffusion import open_model

    return open_model(name).networks()
