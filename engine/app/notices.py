"""What the operator is told: at the start, and one line at a time on the screen, trouble on stderr too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from engine.app.stats import Tally
from engine.core import console
from engine.core.clock import Clock
from engine.core.messages import ShowState
from engine.core.stems import patched

MESSAGE_S = 5.0


class Notices:
    """Lines for the operator. Any thread may `post`; the rest is the main thread's."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally, self._clock = tally, clock
        self._posted: deque[tuple[str, bool]] = deque()
        self._message, self._until_s = "", 0.0

    def post(self, line: str, trouble: bool = True) -> None:
        """A line from another thread, of trouble unless it is said not to be, told at the next `collect`."""
        self._posted.append((line, trouble))

    def collect(self) -> None:
        """Tell what other threads posted."""
        while self._posted:
            line, is_trouble = self._posted.popleft()
            (self.trouble if is_trouble else self.note)(line)

    def trouble(self, line: str) -> None:
        """Tell of trouble, on the screen and on stderr; the same line in a row only once."""
        self.note(line)
        if self._tally.trouble(line):
            console.notify(f"tpos: {line}")

    def opened(self, news: str, troubles: Iterable[str]) -> None:
        """Tell what opening a show had to say: what is no trouble on the screen and on stderr too, "" being nothing."""
        if news:
            self.note(news)
            console.notify(news)
        for line in troubles:
            self.trouble(line)

    def note(self, line: str) -> None:
        """Show a line on the screen for a while."""
        self._message, self._until_s = line, self._clock.now() + MESSAGE_S

    def message(self, now_s: float) -> str:
        """The line to be read now, "" for none."""
        return self._message if now_s < self._until_s else ""


def greet(source: str, state: ShowState, osc: tuple[str, int], model: str, headless: bool, late: int) -> None:
    """Who is listened to, where OSC is, by how many frames a picture comes late, and how the show ends."""
    stems = "".join(f", {stem}" for stem in patched(state.stems, state.patch))
    console.notify(f"listening to {source}{stems}; OSC on {osc[0]}:{osc[1]}; model {model}")
    if late:
        console.notify(f"stream batch: a picture comes {late} frames later than without")
    console.notify("Ctrl-C ends the show" if headless else "keys: ? lists them, Q twice ends the show")
