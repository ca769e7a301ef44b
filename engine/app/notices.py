"""What the operator is told: at the start, and one line at a time on the screen, trouble on stderr too."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from engine.app.stats import Tally
from engine.core import console
from engine.core.clock import Clock
from engine.core.messages import ShowState, SoundState
from engine.core.stems import patched
from tpos_models.errors import TposError

MESSAGE_S = 5.0
MOST_A_MINUTE = 30
"""Lines of trouble on stderr; beyond, they are counted."""
AGAIN_S = 10.0
"""So soon a source of trouble says something else."""


class Notices:
    """Lines for the operator. Any thread may `post`; the rest is the main thread's."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally, self._clock = tally, clock
        self._posted: deque[tuple[str, bool]] = deque()
        self._message, self._until_s = "", 0.0
        self._stands, self._stands_until_s = "", 0.0
        self._standing: dict[str, tuple[str, float]] = {}
        """Of each source of trouble what it said last, and when."""
        self._lines_s: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._unsaid = 0

    def post(self, line: str, trouble: bool = True) -> None:
        """A line from another thread, of trouble unless it is said not to be, told at the next `collect`."""
        self._posted.append((line, trouble))

    def collect(self) -> None:
        """Tell what other threads posted."""
        while self._posted:
            line, is_trouble = self._posted.popleft()
            (self.trouble if is_trouble else self.note)(line)

    def trouble(self, line: str) -> None:
        """Tell of trouble, on the screen and on stderr; the same line in a row only once, and not too many at all."""
        self.note(line)
        if self._tally.trouble(line):
            self._say(line)

    def standing(self, troubles: Mapping[str, str]) -> str:
        """Tell what is wrong now, by source, "" for what is well: on the screen while it lasts, on stderr once.

        What it says on the screen, in one line.
        """
        now_s = self._clock.now()
        for source, line in troubles.items():
            said, said_s = self._standing.get(source, ("", -AGAIN_S))
            if line and line != said and now_s - said_s >= AGAIN_S:
                self._standing[source] = line, now_s
                if self._tally.trouble(line):
                    self._say(line)
        if shown := "; ".join(filter(None, troubles.values())):
            self._stands, self._stands_until_s = shown, now_s + MESSAGE_S
        return shown

    def _say(self, line: str) -> None:
        now_s = self._clock.now()
        if len(self._lines_s) == MOST_A_MINUTE and now_s - self._lines_s[0] < 60.0:
            self._unsaid += 1
            return
        self._lines_s.append(now_s)
        more, self._unsaid = self._unsaid, 0
        console.notify(f"tpos: {line}" + (f" ({more} other lines of trouble were not shown)" if more else ""))

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

    def attempt(self, what: Callable[[], str]) -> None:
        """Do what says in a line what it did, and tell it; where it cannot be done, that is trouble."""
        try:
            self.note(what())
        except TposError as error:
            self.trouble(str(error))

    def message(self, now_s: float) -> str:
        """The line to be read now, "" for none: what was told last, and what stands beside it."""
        said = self._message if now_s < self._until_s else ""
        stands = self._stands if now_s < self._stands_until_s else ""
        return "; ".join(dict.fromkeys(filter(None, (said, stands))))


def state_line(troubles: Iterable[str], held: str, sound: SoundState) -> str:
    """OSC's state: every trouble, else `held`, and beside either that the sound is lost; else how that stands."""
    said = [*filter(None, troubles)] or [*filter(None, [held])]
    if sound is SoundState.LOST or not said:
        said.append(sound)
    return "; ".join(said)


def greet(source: str, state: ShowState, osc: tuple[str, int], model: str, headless: bool, late: int) -> None:
    """Who is listened to, where OSC is, by how many frames a picture comes late, and how the show ends."""
    stems = "".join(f", {stem}" for stem in patched(state.stems, state.patch))
    console.notify(f"listening to {source}{stems}; OSC on {osc[0]}:{osc[1]}; model {model}")
    if late:
        console.notify(f"stream batch: a picture comes {late} frames later than without")
    console.notify("Ctrl-C ends the show" if headless else "keys: ? lists them, Q twice ends the show")
