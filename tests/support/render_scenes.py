"""What the tests of the renderer share. Import this before anything that draws.

It opens the one EGL context of the test process: pyglet chooses its backend once, so windows are tried in processes
of their own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw
from real_parts import missing

from engine.core.messages import SILENCE, AudioFeatures, Frame, ShaderAmounts, ShowState, SoundState
from engine.render.headless import HeadlessContext, open_context
from tpos_models.errors import MissingPart

STILL = ShowState(shader=ShaderAmounts(0, 0, 0, 0, 0, 0), flash_limiter=False)
"""Draws the plain picture."""
LOUD: AudioFeatures = replace(
    SILENCE, level=0.8, bands=(0.9, 0.5, 0.5, 0.7), onset=0.9, bpm=120.0, tempo_confidence=0.9, state=SoundState.OK
)


try:
    CONTEXT: HeadlessContext = open_context()
except MissingPart as reason:
    missing(reason)


def frame(image: np.ndarray, index: int = 0, time_s: float = 0.0) -> Frame:
    """A frame of RGB uint8 (height, width, 3)."""
    return Frame(index, opaque(image), time_s, time_s, 0, "", (), 0, 1)


def opaque(image: np.ndarray) -> np.ndarray:
    """RGB as RGBA."""
    return np.concatenate([image, np.full_like(image[..., :1], 255)], -1)


def picture(height: int = 72, width: int = 128) -> np.ndarray:
    """A landscape of smooth colours with a bright sun: something to glow, to warp and to crop."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    red, green, blue = 0.3 + 0.5 * x, 0.2 + 0.4 * y, 0.6 - 0.3 * x * y
    sun = np.clip(1.5 - 8 * np.hypot(x - 0.6, y - 0.4), 0, 1)
    rgb = np.stack([red, green, blue], -1) * (1 - sun[..., None]) + sun[..., None]
    return np.round(rgb * 255).astype(np.uint8)


def flat(value: int, height: int = 36, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


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
