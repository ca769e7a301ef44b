"""Pixels that a GPU keeps."""

from __future__ import annotations

from typing import Protocol


class DevicePixels(Protocol):
    """Contiguous bytes in a GPU's memory, there as long as this is: a tensor of torch's."""

    @property
    def nbytes(self) -> int: ...

    def data_ptr(self) -> int: ...
