"""How pictures change and move, measured on small copies as they come."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from tpos_models.metrics.optical_flow import optical_flow, warp

SIDE_PX = 128
"""PictureMeasures are measured at this longer side."""
BATCH = 16
"""Pairs of frames measured at once."""

_OCCLUDED = (0.01, 0.5)  # Ruder et al. 2016, forward-backward check


class PictureMeasures:
    """The measures of a film's pictures, taken as they come: an hour needs no more memory than a minute."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[torch.Tensor] = []
        self._change, self._motion = [0.0], [0.0]
        self._squared = self._visible = 0.0

    def add(self, frame: np.ndarray) -> None:
        """The next frame, RGB uint8 (H, W, 3)."""
        self.count += 1
        self._waiting.append(_shrunk(frame))
        if len(self._waiting) > BATCH:
            self._measure()

    def measures(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Picture change (frames,), motion (frames,) and the warp error, of at least two frames.

        Change is the mean absolute difference to the frame before, 0..1; motion the mean length of the optical flow
        into each frame in px of the small picture; both 0 for the first. The error is the mean squared difference
        between a frame and its successor followed back along the flow, where the backward flow agrees (elsewhere
        something was covered).
        """
        self._measure()
        return np.array(self._change), np.array(self._motion), self._squared / max(1.0, self._visible)

    def _measure(self) -> None:
        if len(self._waiting) < 2:
            return
        pictures = torch.stack(self._waiting).float() / 255
        self._waiting = self._waiting[-1:]
        a, b = pictures[:-1], pictures[1:]
        self._change += (b - a).abs().mean((1, 2, 3)).tolist()
        motion, squared, visible = follow(a, b)
        self._motion += motion.tolist()
        self._squared, self._visible = self._squared + squared, self._visible + visible


def follow(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Follow the motion from a to b (B, 3, h, w) in 0..1.

    Returns the flow's mean length (B,) in px; the squared difference that is left, summed over the pixels that are not
    covered; and the number of those.
    """
    grey_a, grey_b = a.mean(1), b.mean(1)
    forward = optical_flow(grey_a, grey_b)
    backward = warp(optical_flow(grey_b, grey_a), forward)
    length = (forward**2 + backward**2).sum(1)
    visible = (((forward + backward) ** 2).sum(1) <= _OCCLUDED[0] * length + _OCCLUDED[1]).float()
    squared = ((a - warp(b, forward)) ** 2).mean(1) * visible
    return forward.norm(dim=1).mean((1, 2)), float(squared.sum()), float(visible.sum())


def _shrunk(frame: np.ndarray) -> torch.Tensor:
    """(3, h, w) uint8 with the longer side at most SIDE_PX."""
    image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    scale = min(1.0, SIDE_PX / max(image.shape[-2:]))
    size = [max(16, round(side * scale)) for side in image.shape[-2:]]
    return F.interpolate(image, size, mode="area")[0].round().to(torch.uint8)
