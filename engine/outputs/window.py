"""The live window as an output: the picture on the screen, and over it what the operator reads."""

from __future__ import annotations

from engine.core.hud_info import Health, HudInfo
from engine.outputs.output import Picture
from engine.render.picture import Size
from engine.render.window import ShowWindow


class WindowOutput:
    """A window in which the show is drawn. See `Output`."""

    name, light = "first window", False

    def __init__(self, window: ShowWindow) -> None:
        self.context = window
        self.rate_hz = window.rate_hz
        self._sent = 0

    @property
    def size(self) -> Size:
        """In the screen's own pixels; the operator may change it."""
        return self.context.size

    @property
    def closed(self) -> bool:
        """The operator has quit."""
        return self.context.closed

    @property
    def health(self) -> Health:
        """A window drops nothing: it is redrawn as often as it can be."""
        return Health(self._sent)

    def dispatch(self) -> None:
        """Handle keys and window events."""
        self.context.dispatch()

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Draw `picture`, over it the HUD where it is wanted, and show both; waits for the display."""
        picture.paint(self.context.size)
        self.context.draw_over(hud)
        self.context.flip()
        self._sent += 1

    def close(self) -> None:
        """Close the window."""
        self.context.close()
