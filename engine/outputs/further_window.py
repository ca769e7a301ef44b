"""A second and third window: the picture on another display, or with what the operator reads on theirs."""

from __future__ import annotations

from engine.core.hud_info import Health, HudInfo
from engine.outputs.output import Picture
from engine.render.picture import Size
from engine.render.window import ShowWindow


class FurtherWindow:
    """A window beside the first, whose pace it keeps: it never waits for its own display. See `Output`.

    Its context shares textures with the first window's, where the picture is drawn.
    """

    context, light = None, False

    def __init__(self, name: str, window: ShowWindow) -> None:
        from engine.render.views.shared import SharedTexture  # in the context that `window` brought

        self.name, self._window = name, window
        self.rate_hz = window.rate_hz
        self._shared = SharedTexture()
        self._sent = 0

    @property
    def size(self) -> Size:
        """In the screen's own pixels; the operator may change it."""
        return self._window.size

    @property
    def closed(self) -> bool:
        """The operator has closed it, and the show goes on without."""
        return self._window.closed

    @property
    def health(self) -> Health:
        """It is redrawn as often as the first."""
        return Health(self._sent)

    def dispatch(self) -> None:
        """Handle keys and window events."""
        self._window.switch_to()
        self._window.dispatch()

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Copy the picture from the first window's context, and over it what the operator reads, if it is theirs."""
        size = self._window.size
        texture = picture.texture(size)
        self._window.switch_to()
        picture.hold()
        self._shared.show(texture, size)
        self._window.draw_over(hud)
        self._window.flip()
        self._sent += 1

    def close(self) -> None:
        """Close the window."""
        self._window.close()
