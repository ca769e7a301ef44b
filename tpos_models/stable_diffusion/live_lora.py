"""LoRAs whose strengths move while a model plays: W = W_0 + sum_i s_i alpha_i / rank_i up_i @ down_i (Hu et al. 2021).

Weights are written where they lie, so graphs that were recorded read the new ones. Each is computed from the kept W_0,
in float32 and rounded once: a strength that comes back gives the same bits, 0 those of the plain model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tpos_models.errors import InputError
from tpos_models.network import Write
from tpos_models.stable_diffusion.lora import Layer, Lora, check_fits, flat_name, read_lora

MOST = 16
ROOTS = {"unet": {"unet": "unet"}, "text_encoder": {"text_encoder": "clip", "text_encoder_2": "clip_2"}}
"""The parts of a network, and what each is called within the module around it (`stable_diffusion.modules`)."""


def by_name(loras: Sequence[Lora]) -> dict[str, Lora]:
    """LoRAs by their files' stems, which a show calls them by; raises `InputError` for two of one name, or too many."""
    named = {lora.path.stem: lora for lora in loras}
    for name, lora in named.items():
        if sum(name == other.path.stem for other in loras) > 1:
            raise InputError(f"--lora {lora.path}: another is called {name} too; files of different names are accepted")
    if len(named) > MOST:
        raise InputError(f"--lora: {len(named)} are given; at most {MOST} are accepted")
    return named


@dataclass(frozen=True, eq=False)
class _Attached:
    """Weights of one module: W_0, and the LoRAs' layers for each, by number of the LoRA."""

    base: Mapping[str, torch.Tensor]
    layers: Mapping[str, Mapping[int, Layer]]
    write: Write
    written: Callable[[], None]


class Adapters:
    """The LoRAs of one network (`tpos_models.network.Adapters`): `files` as `read_lora` gives them, parts by `roots`.

    Owned by the thread that samples.
    """

    def __init__(
        self, roots: Mapping[str, str], loras: Sequence[Lora], files: Sequence[Mapping[str, Mapping[str, Layer]]]
    ) -> None:
        self._roots, self._loras = roots, loras
        self._layers = [{part: file[part] for part in roots if file[part]} for file in files]
        self._attached: list[_Attached] = []
        self.strengths = tuple(lora.strength for lora in loras)

    def attach(self, module: nn.Module, write: Write, written: Callable[[], None]) -> Callable[[], None]:
        """Keep the weights that LoRAs change, and write them now; raises `ModelError` for a LoRA of another base."""
        weights = {part: dict(_weights(module, root)) for part, root in self._roots.items()}
        base, layers = dict[str, torch.Tensor](), dict[str, dict[int, Layer]]()
        for i, (lora, own) in enumerate(zip(self._loras, self._layers, strict=True)):
            for part, theirs in own.items():
                check_fits(lora.path, part, theirs, {flat: weight for flat, (_, weight) in weights[part].items()})
                for flat, layer in theirs.items():
                    name, weight = weights[part][flat]
                    base.setdefault(name, weight.detach().clone())
                    layers.setdefault(name, {})[i] = layer.to(weight.device)
        attached = _Attached(base, layers, write, written)
        self._attached.append(attached)
        self._write(attached, range(len(self._loras)))
        return lambda: self._attached.remove(attached)

    def set(self, strengths: Sequence[float]) -> bool:
        """Write the weights of other strengths; whether any is another."""
        before, self.strengths = self.strengths, tuple(strengths)
        moved = [i for i, own in enumerate(self._layers) if own and before[i] != self.strengths[i]]
        for attached in self._attached if moved else ():
            self._write(attached, moved)
        return bool(moved)

    @torch.no_grad()
    def _write(self, attached: _Attached, moved: Sequence[int]) -> None:
        """Every weight that a LoRA with another strength has a part in."""
        for name, layers in attached.layers.items():
            if not layers.keys().isdisjoint(moved):
                value = attached.base[name].float()
                for i, layer in layers.items():
                    if self.strengths[i] and (delta := layer.delta(value.shape)) is not None:
                        value = value + self.strengths[i] * delta
                attached.write(name, value)
        attached.written()


def _weights(module: nn.Module, root: str) -> Iterator[tuple[str, tuple[str, torch.Tensor]]]:
    """Flat name within a part, parameter's name within the module, and the weight."""
    for name, layer in module.named_modules():
        within = name.partition(f"{root}.")[2]
        if within and isinstance(layer, nn.Linear | nn.Conv2d):
            yield flat_name(within), (f"{name}.weight", layer.weight)


class LiveLoras:
    """A model's LoRAs by name (`tpos_models.contracts.Loras`), owned by the thread that samples.

    `adapters` are those of each network that any of them changes; `stale` is called when the text encoder has become
    another. Raises `ModelError` for a file that is no LoRA, `InputError` as `by_name`.
    """

    def __init__(self, loras: Sequence[Lora]) -> None:
        self._loaded = {name: lora.strength for name, lora in by_name(loras).items()}
        files = [read_lora(lora.path) for lora in loras]
        self.adapters = {
            network: Adapters(roots, loras, files)
            for network, roots in ROOTS.items()
            if any(file[part] for file in files for part in roots)
        }
        self.stale: Callable[[], None] = lambda: None

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they were given."""
        return tuple(self._loaded)

    @property
    def words(self) -> bool:
        """Whether any of them changes the text encoder."""
        return "text_encoder" in self.adapters

    def set(self, strengths: Mapping[str, float]) -> bool:
        """Give them other strengths; one that is not named has that of its file."""
        wanted = [strengths.get(name, loaded) for name, loaded in self._loaded.items()]
        moved = [network for network, adapters in self.adapters.items() if adapters.set(wanted)]
        if "text_encoder" in moved:
            self.stale()
        return "text_encoder" in moved
