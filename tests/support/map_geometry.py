"""What the tests of mappings share: dots, where they are found, and where textbooks put them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def dots(places: np.ndarray, size: tuple[int, int], radius: int = 5) -> np.ndarray:
    """White dots on black at places in pixels, RGB uint8."""
    image = Image.new("L", size)
    for x, y in places:
        ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.repeat(np.asarray(image)[..., None], 3, -1)


def found(image: np.ndarray, near: np.ndarray, reach: int = 14) -> np.ndarray:
    """The centre of light within `reach` pixels of each place."""
    centres = []
    for x, y in np.round(near).astype(int):
        left, top = max(x - reach, 0), max(y - reach, 0)
        light = image[top : y + reach + 1, left : x + reach + 1, 0].astype(float)
        rows, columns = np.mgrid[top : top + light.shape[0], left : left + light.shape[1]]
        centres.append([(columns * light).sum() / light.sum(), (rows * light).sum() / light.sum()])
    return np.array(centres)


def direct_linear_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The homography of four pairs of points (Hartley & Zisserman 2004, 4.1): the null vector of its equations."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[-x, -y, -1, 0, 0, 0, u * x, u * y, u], [0, 0, 0, -x, -y, -1, v * x, v * y, v]]
    return np.linalg.svd(np.array(rows, float))[2][-1].reshape(3, 3)


def through(matrix: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Where a homography puts pixels, whose middles lie half a pixel from their edges."""
    to = np.column_stack([pixels + 0.5, np.ones(len(pixels))]) @ matrix.T
    return to[:, :2] / to[:, 2:] - 0.5
