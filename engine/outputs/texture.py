"""The output that shares the picture as a texture with other programs here: it never leaves the GPU's memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from engine.core.hud_info import Health, HudInfo
from engine.outputs.output import Picture
from engine.outputs.pace import Pace
from engine.outputs.stream import RETRY_S
from engine.render.picture import Size
from tpos_models.errors import TposError


class Share(Protocol):
    """What makes a texture known to others. Opened, called and closed by the thread that draws, its context current."""

    def send(self, texture: int, size: Size) -> None:
        """Share a texture, the first row of the picture in row 0; may raise."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class TextureOutput:
    """Shares the picture `rate_hz` times a second by what `open_share` opens. See `Output`.

    A share that breaks is closed and opened anew after a second.
    """

    context, closed = None, False

    def __init__(
        self, name: str, size: Size, rate_hz: float, open_share: Callable[[], Share], light: bool = False
    ) -> None:
        self.name, self.size, self.rate_hz, self.light = name, size, rate_hz, light
        self._open_share = open_share
        self._pace = Pace(rate_hz)
        self._share: Share | None = None
        self._sent = 0
        self._trouble = ""
        self._retry_s = 0.0

    @property
    def health(self) -> Health:
        """Who receives it cannot be known."""
        return Health(self._sent, 0, self._trouble)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Share the picture where one is due."""
        if time.monotonic() < self._retry_s or not self._pace.due():
            return
        try:
            texture = picture.texture(self.size)
            self._share = self._share or self._open_share()
            self._share.send(texture, self.size)
        except Exception as error:  # noqa: BLE001 - supervised: drivers and other people's code, and the show goes on
            self._trouble = str(error) if isinstance(error, TposError) else f"broke: {error!r}"
            self._retry_s = time.monotonic() + RETRY_S
            self.close()
        else:
            self._sent += 1
            self._trouble = ""

    def close(self) -> None:
        """Share no more; twice is harmless."""
        share, self._share = self._share, None
        try:
            if share is not None:
                share.close()
        except Exception as error:  # noqa: BLE001 - as above: what broke may not close either
            self._trouble = f"broke: {error!r}"
