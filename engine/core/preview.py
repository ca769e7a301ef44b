"""Small pictures on their way from the thread that draws to whoever looks at the show from afar."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from engine.core.mailbox import Mailbox

LONGEST_PX = 480
"""The longer side of a small picture."""
RATE_HZ = 12.0
WATCHED_S = 2.0
"""Whoever has not looked for this long looks no more."""


class Preview:
    """Hands over the newest small picture, uint8 (height, width, 3), never a queue of them.

    The thread that draws asks whether one is `due`, and does `put` it; anybody may `look`. While nobody looks none is
    due, so that a show without watchers reads nothing back. `now` is any clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pictures: Mailbox[np.ndarray] = Mailbox()
        self.rate_hz = RATE_HZ
        """Pictures a second while somebody looks; whoever hands them out may ask for fewer."""
        self._looked_s = self._put_s = float("-inf")
        self._glanced = False

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return self._now() - self._looked_s < WATCHED_S

    @property
    def due(self) -> bool:
        """Whether somebody waits for a picture."""
        return self._glanced or (self.watched and self._now() - self._put_s >= 1.0 / self.rate_hz)

    def put(self, picture: np.ndarray) -> None:
        """The newest picture."""
        self._put_s, self._glanced = self._now(), False
        self._pictures.put(picture)

    def look(self) -> tuple[int, np.ndarray | None]:
        """How many pictures there were, and the newest, None before the first."""
        self._looked_s = self._now()
        return self._pictures.count, self._pictures.peek()

    def glance(self) -> np.ndarray | None:
        """The newest picture, None before the first; asks for one more, not for a stream of them."""
        self._glanced = True
        return self._pictures.peek()
