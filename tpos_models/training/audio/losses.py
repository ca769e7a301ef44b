"""The losses of audio encoders: InfoNCE (van den Oord et al., 2018) of them all, and what `pocket`'s adds."""

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


def naming(sound: torch.Tensor, bank: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """InfoNCE of sounds (B, D) against phrases (P, D); `labels` (B, P) shares a scene among its sounds."""
    return info_nce(sound, bank, labels, scale, smoothing=0.02)


def sigmoid_loss(odds: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of log odds (B, P) to chances 0..1, summed over the labels, as SigLIP's is."""
    return F.binary_cross_entropy_with_logits(odds, chances, reduction="none").sum(1).mean()


def self_contrast(one: torch.Tensor, two: torch.Tensor, labels: torch.Tensor, scale: float = 10.0) -> torch.Tensor:
    """InfoNCE between two views (B, D) of the same scenes; scenes of the same labels do not repel each other."""
    return info_nce_of_pairs(one, two, labels @ labels.T > 0.4 * labels.square().sum(1), scale)


def tokens_mse(heard: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    """Squared error of MAP's tokens to the text tokens of what sounds.

    The spelling of scenes is orthonormal, so the error of the tokens is that of the strengths.
    """
    return F.mse_loss(heard, strengths)
