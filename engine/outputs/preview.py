"""The output for those who look from afar: a small picture some times a second, while anybody looks."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.hud_info import Health, HudInfo
from engine.core.preview import LONGEST_PX, RATE_HZ, Preview
from engine.outputs.output import Picture
from engine.render.picture import Size, within


class PreviewOutput:
    """Hands small pictures to `preview`, and what it does not take it drops. See `Output`.

    They have the shape of the picture, or of `shape` where that gives one.
    """

    light, context, closed = False, None, False
    rate_hz = RATE_HZ

    def __init__(
        self, preview: Preview, name: str = "preview", shape: Callable[[], Size | None] = lambda: None
    ) -> None:
        self.name, self._preview, self._shape = name, preview, shape
        self._sent = 0

    @property
    def size(self) -> Size:
        """At most."""
        return LONGEST_PX, LONGEST_PX

    @property
    def health(self) -> Health:
        """Nobody waits for one picture longer than for the next."""
        return Health(self._sent)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Take the picture that was asked for one redraw ago, and ask for another where one is due."""
        if (small := picture.take()) is not None:
            self._preview.put(small)
            self._sent += 1
        if self._preview.due:
            picture.ask(within(self._shape() or picture.size, LONGEST_PX))

    def close(self) -> None:
        """It holds nothing."""
