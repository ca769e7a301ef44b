"""The contrastive loss of every audio encoder here: InfoNCE (van den Oord et al., 2018)."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def info_nce(
    a: torch.Tensor,
    b: torch.Tensor,
    target: torch.Tensor,
    scale: torch.Tensor | float,
    left_out: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy of finding the partners of unit vectors a (B, size) among b (P, size).

    `target` holds the partner's number (B,), or the share (B, P) that each has in a scene; pairs `left_out` (B, P)
    neither attract nor repel.
    """
    logits = scale * a @ b.T
    if left_out is not None:
        logits = logits.masked_fill(left_out, -1e4)
    return F.cross_entropy(logits, target, label_smoothing=smoothing)


def info_nce_of_pairs(a: torch.Tensor, b: torch.Tensor, same: torch.Tensor, scale: float) -> torch.Tensor:
    """InfoNCE both ways between partners (B, size); those that are the `same` (B, B) thing do not repel each other."""
    target = torch.arange(len(a), device=a.device)
    alike = (same | same.T) & ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    return (info_nce(a, b, target, scale, alike) + info_nce(b, a, target, scale, alike)) / 2
