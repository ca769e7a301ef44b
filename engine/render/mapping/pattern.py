"""The test pattern: a grid of squares, circles, the corners' numbers, and the output's name."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from engine.render.picture import Size
from engine.render.text import fitted, length, write

SQUARES = 16
"""Across the longer side."""
GROUND, GRID, ROUND, EDGE = (16, 16, 24), (110, 110, 120), (90, 215, 200), (255, 255, 255)


def drawn_pattern(size: Size, name: str) -> np.ndarray:
    """RGB uint8 (height, width, 3): squares are square, and the outermost pixels are white."""
    width, height = size
    image = Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(image)
    side, line = max(size) / SQUARES, max(1, round(min(size) / 360))
    for across in (True, False):
        middle, end = (width / 2, width) if across else (height / 2, height)
        for k in range(-int(middle / side), int(middle / side) + 1):
            at = min(middle + k * side, end - 1)
            pen.line(((at, 0), (at, height)) if across else ((0, at), (width, at)), GRID, line)
    radius = min(size) / 2 - 1
    small = radius / 4
    right, low = width - small, height - small
    corners = (small, small), (right, small), (right, low), (small, low)
    _circle(pen, (width / 2, height / 2), radius, line)
    for corner in corners:
        _circle(pen, corner, small, line)
    pen.rectangle((0, 0, width - 1, height - 1), outline=EDGE, width=line)
    text_px = max(10, round(min(size) / 12))
    for number, corner in enumerate(corners, 1):
        _written(pen, corner, str(number), text_px)
    _written(pen, (width / 2, height / 2), fitted(name, text_px, 0.9 * width), text_px)
    return np.asarray(image)


def _circle(pen: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, line: int) -> None:
    pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), outline=ROUND, width=line)


def _written(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, text_px: int) -> None:
    write(pen, (at[0] - length(text, text_px) / 2, at[1] - 0.6 * text_px), text, text_px, (*EDGE, 255))
