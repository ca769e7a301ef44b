"""An output's view of the picture where there is no OpenGL."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
from PIL import Image

from engine.render.picture import Size
from export.media.formats import light
from tpos_models.errors import RunError


class PlainView:
    """Looks at what `read` gives, RGB uint8 (height, width, 3). See `Picture`."""

    def __init__(self, read: Callable[[], np.ndarray], light: bool) -> None:
        self._read, self._light = read, light
        self._asked: np.ndarray | None = None

    @property
    def size(self) -> Size:
        """As `Picture.size`."""
        height, width, _ = self._read().shape
        return width, height

    def paint(self, screen: Size) -> None:
        """There is no screen."""

    def ask(self, size: Size, alpha: bool = False) -> None:
        """As `Picture.ask`."""
        image = np.asarray(Image.fromarray(self._read()).resize(size))
        if alpha:
            opaque = np.full_like(image[..., :1], 255)
            image = light(image) if self._light else np.concatenate([image, opaque], -1)
        self._asked = image

    @property
    def ready(self) -> bool:
        """As `Picture.ready`."""
        return self._asked is not None

    def take(self) -> np.ndarray | None:
        """As `Picture.take`."""
        image, self._asked = self._asked, None
        return image

    def texture(self, size: Size) -> NoReturn:
        """There are none."""
        raise RunError("there is no OpenGL here")

    def hold(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """It holds nothing."""
