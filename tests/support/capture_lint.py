"""What a CUDA graph cannot hold, found without a GPU: a frame on the meta device, every operation of it looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")
_HOST = ("_local_scalar_dense", "is_nonzero", "aten::equal")


class CaptureLint(TorchDispatchMode):
    """Fails where the host waits or holds a tensor, random numbers are drawn, or a shape depends on data.

    A recorded graph would hold the value of that moment, or not be recorded at all.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with self:  # what is made of others, as a dropout that is off, is looked at part by part
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        name, tags = func.name(), func.tags
        assert not any(host in name for host in _HOST), f"{name}: the host waits for a value"
        assert torch.Tag.nondeterministic_seeded not in tags, f"{name}: random numbers are drawn"
        data_dependent = torch.Tag.dynamic_output_shape in tags and not _by_numbers(func, args)
        assert not data_dependent, f"{name}: its shape depends on data"
        given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        devices = {tensor.device.type for tensor in (*given, *made)}
        assert devices <= {"meta"}, f"{name}: on {', '.join(sorted(devices))}"
        return out


def _by_numbers(func: Any, args: Any) -> bool:
    """Whether it picks by indices, as many as there are, and by no mask."""
    if func is not torch.ops.aten.index.Tensor:
        return False
    return all(index is None or index.dtype == torch.int64 for index in args[1])


class NothingSent(TorchFunctionMode):
    """Fails where numbers of Python's become a tensor, or pick from one: they are sent beneath any dispatch mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.tensor, torch.as_tensor), "numbers are sent to the GPU"
        if func is torch.Tensor.__getitem__:
            keys = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(key, list) for key in keys), "a list of numbers is sent to the GPU"
        return func(*args, **(kwargs or {}))
