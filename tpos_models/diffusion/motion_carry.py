"""Latents tied to what moves in a live picture, so that a redrawn video does not boil.

Under noise that stands still, what moves is drawn anew at each place it comes to; under fresh noise, everything is.
Here noise goes along (as in Chang et al. 2024, "How I Warped Your Noise"), cell by cell: a permutation of the cells,
which leaves white Gaussian noise white and Gaussian, exactly. What was drawn goes along, too, where the motion explains
the new picture (Ruder et al. 2016).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from tpos_models.metrics.optical_flow import optical_flow, warp

STILL_CELLS = 0.05
"""Motion below this is a camera's own noise."""
BETTER = 0.8
"""Motion counts where what it leaves unexplained is less than this, times what standing still leaves."""
TRUST = 0.08
"""Difference of brightness, 0..1, at which trust in the motion has fallen to 1 / e."""
LEVELS, ITERATIONS = 3, 2


class PictureMotion(NamedTuple):
    """From one picture to the next: new(x) = old(x + flow), flow (1, 2, h, w) in cells, and trust (1, 1, h, w) 0..1."""

    flow: torch.Tensor
    trust: torch.Tensor


def picture_motion(older: torch.Tensor, newer: torch.Tensor, cells: tuple[int, int]) -> PictureMotion:
    """The motion between grey pictures (1, H, W) in 0..1, on a grid of (h, w) cells that H and W are multiples of."""
    flow = optical_flow(newer, older, LEVELS, ITERATIONS)
    still = _around((newer - older).abs()[:, None])
    left = _around((newer[:, None] - warp(older[:, None], flow)).abs())
    moved = left < BETTER * still
    scale = older.shape[-1] / cells[1]
    flow = F.adaptive_avg_pool2d(torch.where(moved, flow, 0.0), cells) / scale
    flow = torch.where(flow.norm(dim=1, keepdim=True) < STILL_CELLS, 0.0, flow)
    left = F.adaptive_avg_pool2d(torch.where(moved, left, still), cells)
    return PictureMotion(flow, torch.exp(-left / TRUST))


def _around(difference: torch.Tensor) -> torch.Tensor:
    """Means of 5 x 5."""
    return F.avg_pool2d(difference, 5, 1, 2, count_include_pad=False)


class NoiseCarry:
    """Where each of (h, w) cells has its noise from, changed by `move`. Owned by the thread that samples."""

    def __init__(self, cells: tuple[int, int]) -> None:
        rows, columns = torch.meshgrid(*(torch.arange(side) for side in cells), indexing="ij")
        self._at = torch.stack([columns, rows])
        self._last = torch.tensor([cells[1] - 1, cells[0] - 1])[:, None, None]
        self._rest = torch.zeros(2, *cells)
        """Motion that was less than half a cell, until it adds up to one."""
        self.source = torch.arange(cells[0] * cells[1])
        """The cell of the noise that each cell has, row by row: each once."""

    def move(self, flow: torch.Tensor) -> None:
        """Go along with `flow` (1, 2, h, w) in cells: each cell takes the noise from where it points.

        Of several that want the same the nearest gets it, and the others what nobody wants, as where new things appear.
        """
        whole = (self._rest + flow[0]).round()
        self._rest = self._rest + flow[0] - whole
        at = self._at + whole.long()
        inside = torch.minimum(at.clamp_min(0), self._last)
        wanted = (inside[1] * self._at.shape[-1] + inside[0]).flatten()
        order = (self._rest.square() + (at - inside).square()).sum(0).flatten().argsort(stable=True)
        first = torch.full_like(wanted, len(wanted)).scatter_reduce(
            0, wanted[order], torch.arange(len(wanted)), "amin"
        )  # of each cell's noise: the first in that order who wants it
        winners = order[first[first < len(wanted)]]
        taken = torch.full_like(wanted, -1)
        taken[winners] = wanted[winners]
        taken[taken < 0] = (first == len(wanted)).nonzero()[:, 0]
        self.source = self.source[taken]

    def carried(self, noise: torch.Tensor) -> torch.Tensor:
        """The noise (1, C, h, w) as it lies now."""
        return noise.flatten(2)[..., self.source.to(noise.device)].reshape(noise.shape)


def kept(latents: torch.Tensor, last_x0: torch.Tensor, motion: PictureMotion, share: float) -> torch.Tensor:
    """A picture's latents with `share` 0..1 of the last frame in them, moved along and only as far as it is trusted.

    Motion on a wider grid than theirs counts by its middle.
    """
    side = (motion.flow.shape[-1] - last_x0.shape[-1]) // 2
    flow, trust = (part[..., side : side + last_x0.shape[-1]].to(latents.device) for part in motion)
    return torch.lerp(latents, warp(last_x0.float(), flow).to(latents), (share * trust).to(latents))
