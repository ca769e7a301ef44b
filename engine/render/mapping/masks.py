"""Where an output is dark: its polygons and its PNG as one grey picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from engine.render.mapping.mapping import Mapped, Polygon
from engine.render.picture import Size

FINER = 2
"""Polygons are filled in so many times as many pixels a side, for smooth outlines."""


def drawn_mask(mapped: Mapped, size: Size) -> np.ndarray | None:
    """How much light each pixel lets through, grey uint8 (height, width); None where all of it."""
    keep, hide = mapped.mapping.keep, mapped.mapping.hide
    if not keep and not hide and mapped.mask is None:
        return None
    light = Image.new("L", size, 255)
    if mapped.mask is not None:
        light = Image.fromarray(mapped.mask).resize(size, Image.Resampling.BILINEAR)
    for polygons, inside in ((keep, 255), (hide, 0)):
        if polygons:
            light = ImageChops.multiply(light, _filled(polygons, size, inside))
    return np.asarray(light)


def _filled(polygons: tuple[Polygon, ...], size: Size, inside: int) -> Image.Image:
    width, height = (FINER * side for side in size)
    image = Image.new("L", (width, height), 255 - inside)
    pen = ImageDraw.Draw(image)
    for polygon in polygons:
        pen.polygon([(x * width - 0.5, y * height - 0.5) for x, y in polygon], fill=inside)
    return image.reduce(FINER)
