"""A device beside the CPU's, whose memory is the CPU's, that forgives as little as a GPU: for training where none is.

What is computed of its tensors and the CPU's at once is refused, and nothing reads them before they are copied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils import _pytree as pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from tpos_models.training import loop

DEVICE = torch.device("meta")
"""What it goes by: of all that torch knows without a driver, the one that has no values of its own."""
_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
_INDEXED = {torch.ops.aten.index.Tensor}
"""A GPU's tensor may be indexed by the CPU's, not the other way round."""


class There(torch.Tensor):
    """A tensor of the other device; `held` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device=DEVICE
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _computed(func, args, kwargs or {})


class ThereGenerator(torch.Generator):
    """Random numbers of the other device."""

    device = DEVICE
    known: ClassVar[dict[int, ThereGenerator]] = {}
    """By the address by which torch hands them on."""

    def __init__(self) -> None:
        super().__init__()
        self.known[_address(self)] = self


class OtherDevice(TorchDispatchMode):
    """While it is there, torch knows the other device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _address(generator: Any) -> int:
    return int(generator._cdata)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = {id(one.held): one for one in tensors if isinstance(one, There)}
    here = [one for one in tensors if not isinstance(one, There) and one.ndim]
    asked = kwargs.get("device")
    may_mix = func in _MOVES or (func in _INDEXED and isinstance(args[0], There))
    assert may_mix or not (there and here), f"{func}: tensors of two devices"
    onto = torch.device(asked) if asked is not None else args[0].device if func in _MOVES else None
    is_there = onto == DEVICE if onto is not None else bool(there)
    if (generator := kwargs.get("generator")) is not None:
        assert is_there == (_address(generator) in ThereGenerator.known), f"{func}: another device's random numbers"
    if there and torch.Tag.inplace_view in func.tags:
        with no_dispatch():
            func(*args, **kwargs)  # the shape that it goes by
    args, kwargs = pytree.tree_map(lambda leaf: leaf.held if isinstance(leaf, There) else leaf, (args, kwargs))
    out = func(*args, **kwargs | ({"device": torch.device("cpu")} if asked is not None else {}))
    if not is_there:
        return out
    return pytree.tree_map_only(torch.Tensor, lambda one: there[id(one)] if id(one) in there else There(one), out)


def trains_there(stage: loop.Stage, sheet: Path) -> None:
    """One step, a validation and a sheet of a stage whose module is on the other device."""
    with OtherDevice():
        stage.module.to(DEVICE)
        losses = stage.losses(stage.make_batch(0, ThereGenerator()))
        losses["loss"].backward()
        assert all(isinstance(one, There) for one in losses.values())
        stage.module.eval()
        with torch.no_grad():
            if isinstance(stage, loop.Validated):
                assert all(isinstance(score, float) for score in stage.validate().values())
            stage.sheet(sheet)
    assert sheet.read_bytes().startswith(b"\x89PNG")
