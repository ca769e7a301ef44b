"""What is to be seen in time: the beat as much sooner as the display is late, and changes of look on their line."""

from __future__ import annotations

from dataclasses import replace

from engine.app.stats import Tally
from engine.app.sync.latencies import read_latencies
from engine.audio.capture import Capture
from engine.audio.sources import PacedSource
from engine.control.bar_line import Coming
from engine.control.show import Show
from engine.core.beat_grid import ClockSource
from engine.core.clock import Clock
from engine.core.messages import AudioFeatures, Frame, ShowState

SOON, LONGEST_S = 0.1, 0.1
"""How much of what is known of redraws each one changes, and a gap that says nothing of them."""
DRAWN = ("shader", "effects", "isf", "motion")
"""What of the state is seen at the next redraw, not with a frame."""


class Landing:
    """Between a show and whoever draws it. Owned by the main thread, but for `coming`, which any thread may ask.

    A change that waits for a line is made so early that its first frame is there before the line, whenever in the
    frames' own turn it comes; that frame is kept back until it can be half faded in on the line, as near to it as
    redraws come, and what these show by themselves until the line. Raises PresetError for latencies that are none.
    """

    def __init__(self, show: Show, capture: Capture, tally: Tally, clock: Clock) -> None:
        self._show, self._capture, self._tally, self._clock = show, capture, tally, clock
        self._latencies = read_latencies()
        self._drawn_s, self._redraw_s, self._drawing_s = clock.now(), 0.0, 0.0
        """When it was drawn last, the time from redraw to redraw, and how long drawing takes."""
        self._aloud = isinstance(capture.source, PacedSource)
        show.bar_line.coming = self.coming

    def coming(self) -> Coming:
        """The music at the moment when what is begun now is surely seen."""
        features = self._capture.latest()
        ahead_s = self._tally.lookahead_s + self._frame_s + self._redraw_s / 2 + self._sooner_s(features)
        return Coming(features, self._clock.now() - features.time_s + ahead_s)

    def sound(self) -> AudioFeatures:
        """The newest, its beat as far ahead as the display is late: levels cannot be."""
        features = self._capture.latest()
        return features.carried(self._lead_s(features))

    def drawn(self, state: ShowState, now_s: float) -> ShowState:
        """The state to draw: of a change whose line is not there yet as it was before; faders moved since count."""
        apart_s, self._drawn_s = min(now_s - self._drawn_s, LONGEST_S), now_s
        self._redraw_s += SOON * (apart_s - self._redraw_s)
        made = self._show.bar_line.made
        if made is None or now_s >= self._line_s(made.line_s):
            return state
        kept = {name: getattr(made.before, name) for name in DRAWN if getattr(state, name) == getattr(made.after, name)}
        return replace(state, **kept)

    def redrawn(self) -> None:
        """What was to be drawn is: from now on it may be seen."""
        took_s = min(self._clock.now() - self._drawn_s, LONGEST_S)
        self._drawing_s += SOON * (took_s - self._drawing_s)

    def early(self, frame: Frame, now_s: float) -> bool:
        """Whether a frame is of a change whose line is not near yet."""
        made = self._show.bar_line.made
        if made is None or frame.revision < made.after.revision:
            return False
        return now_s < self._line_s(made.line_s) - (self._frame_s + self._redraw_s) / 2

    @property
    def _frame_s(self) -> float:
        """From frame to frame; as long each fades in."""
        return 1 / self._tally.fps if self._tally.fps else 0.0

    def _line_s(self, line_s: float) -> float:
        """When to draw what is to be seen on a line."""
        return line_s - self._sooner_s(self._capture.latest())

    def _sooner_s(self, features: AudioFeatures) -> float:
        """How much sooner to draw what is to be seen at a time; what was measured of a display has drawing in it."""
        return self._lead_s(features) if self._latencies.display_ms else self._drawing_s

    def _lead_s(self, features: AudioFeatures) -> float:
        return self._latencies.lead_s(heard=not self._aloud and features.clock is ClockSource.EAR)
