"""Dense optical flow between two grey pictures: pyramidal Lucas-Kanade, in torch."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional as F

_PREFILTER = 0.8
_EPSILON = 1e-4


def optical_flow(first: torch.Tensor, second: torch.Tensor, levels: int = 4, iterations: int = 4) -> torch.Tensor:
    """Displacement (B, 2, h, w) in pixels (right, down) such that first(x) = second(x + flow).

    `first`, `second` (B, h, w) in 0..1. Coarse to fine; at every level a least-squares step in Gaussian windows is
    taken `iterations` times (Lucas & Kanade 1981; Bouguet 2001). Where there is no texture the flow is near 0.
    """
    pyramid = [(first[:, None], second[:, None])]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[-2:]) >= 32:
        pyramid.append(tuple(F.avg_pool2d(_blur(image, 1.0), 2) for image in pyramid[-1]))  # type: ignore[arg-type]
    flow = torch.zeros(len(first), 2, *pyramid[-1][0].shape[-2:], dtype=first.dtype, device=first.device)
    for a, b in reversed(pyramid):
        if flow.shape[-2:] != a.shape[-2:]:
            flow = 2 * F.interpolate(flow, a.shape[-2:], mode="bilinear", align_corners=False)
        a, b = _blur(a, _PREFILTER), _blur(b, _PREFILTER)
        for _ in range(iterations):
            flow = _blur(flow + _step(a, warp(b, flow)), 1.0)
    return flow


def warp(image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """image (B, C, h, w) read at x + flow (B, 2, h, w), bilinear; the border continues outwards."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=flow.dtype, device=flow.device),
        torch.arange(width, dtype=flow.dtype, device=flow.device),
        indexing="ij",
    )
    across = (2 * (x + flow[:, 0]) + 1) / width - 1
    down = (2 * (y + flow[:, 1]) + 1) / height - 1
    return F.grid_sample(image, torch.stack([across, down], -1), padding_mode="border", align_corners=False)


def _step(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The least-squares motion from a to b in a window around every pixel, at most one pixel."""
    gradient = (_gradient(a) + _gradient(b)) / 2
    gx, gy, difference = gradient[:, :1], gradient[:, 1:], a - b
    xx, xy, yy, xt, yt = _blur(torch.cat([gx * gx, gx * gy, gy * gy, gx * difference, gy * difference], 1), 3.0).split(
        1, 1
    )
    xx, yy = xx + _EPSILON, yy + _EPSILON
    determinant = xx * yy - xy * xy
    step = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) / determinant
    return step.clamp(-1, 1)


def _gradient(image: torch.Tensor) -> torch.Tensor:
    """Central differences (B, 2, h, w), right and down."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return torch.cat([across, down], 1)


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """A separable Gaussian per channel; the border continues outwards."""
    height, width = image.shape[-2:]
    return _gaussian(height, sigma).to(image) @ image @ _gaussian(width, sigma).T.to(image)


@lru_cache(64)
def _gaussian(n: int, sigma: float) -> torch.Tensor:
    """The weights (n, n) of a line's samples in each of its blurred ones: at these sizes quicker than convolving."""
    reach = max(1, round(2.5 * sigma))
    at = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    source = (torch.arange(n)[:, None] + at).clamp(0, n - 1)
    return torch.zeros(n, n).scatter_add_(1, source, (kernel / kernel.sum()).expand(n, -1))
