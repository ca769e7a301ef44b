"""`tpos build`: every network of a model exported, and checked against torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export import onnx
from tpos_models.errors import InputError
from tpos_models.registry import networks


def build_model(name: str, target: str, out: Path | None, say: Callable[[str], None] | None) -> dict[str, Any]:
    """Export to `out`, or into the cache that the live show starts from. Raises `ModelError` where a check fails."""
    if target != "onnx":
        raise InputError(f"--to {target}: onnx would be accepted")
    rows = []
    for network in networks(name):
        if say:
            say(f"building {network.name}")
        start = time.monotonic()
        exported = onnx.export(network, out / f"{network.name}.onnx" if out else onnx.cached_path(network))
        rows.append(
            {
                "network": network.name,
                "path": str(exported.path),
                "seconds": round(time.monotonic() - start, 1),
                "bytes": exported.path.stat().st_size,
                "error": exported.error,
            }
        )
    return {"model": name, "to": target, "networks": rows}
