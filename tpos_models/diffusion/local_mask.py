"""Where in the picture sound acts: the guidance's own mask, for whoever draws over the picture.

Guidance keeps d where |d| reaches its q-quantile over space, channel by channel (`diffusion.guidance`). Over the C
channels of a cell and the N predictions of a frame that sound may steer:

    m = 1 / (C N) sum min(1, (d / Q)^2)        Q: the q-quantile of |d|, of this channel and this prediction

d is 0 below Q, so m is the share of channels and steps that are kept here. A guidance that leaves nothing alone (q = 0)
has no such edge: there Q is the `UNMASKED`-quantile, under which m falls with d's power. It says where, not how
strongly: a loud sound and a quiet one have the same, and only silence has none.
"""

from __future__ import annotations

import torch

from tpos_models.diffusion.guidance import cells_kept

UNMASKED = 0.9
"""Between the 0.8 of few steps and the paper's 0.95: at more a broad fire has holes, at less the sky above it glows."""


def acting(d: torch.Tensor, quantile: float) -> torch.Tensor:
    """One prediction's mask: d (1, C, h, w), after the guidance's own, to (h, w) in 0..1; 0 where d is 0 everywhere."""
    size = d[0].abs()
    kept = cells_kept(quantile or UNMASKED, int(size[0].numel()))
    threshold = size.flatten(1).topk(kept, dim=-1, sorted=False).values.amin(-1)
    relative = size / threshold.clamp_min(torch.finfo(d.dtype).tiny)[:, None, None]
    return relative.clamp(max=1).square().mean(0)


class LocalMask:
    """m of one frame, gathered from prediction to prediction."""

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._acting: list[torch.Tensor] = []

    def add(self, d: torch.Tensor) -> None:
        """Take in the d of a prediction that sound may steer."""
        self._acting.append(acting(d, self._quantile))

    def mean(self, latents: torch.Tensor) -> torch.Tensor:
        """m, float32 (h, w), of a frame of these latents (1, C, h, w); 0 in silence."""
        if not self._acting:
            return torch.zeros(latents.shape[-2:], device=latents.device)
        return torch.stack(self._acting).mean(0).float()
