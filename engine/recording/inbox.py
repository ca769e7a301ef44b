"""What the show hands to a recording, until its thread has time for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from engine.recording.session_writer import SessionWriter

Work = Callable[[SessionWriter], None]


class Inbox:
    """Bounded queue of work for the recorder's thread; policy: refuse and report, each kind with its own bound."""

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._work: deque[tuple[str, Work]] = deque()
        self._waiting = dict.fromkeys(limits, 0)
        self._closed = False
        self.offered = dict.fromkeys(limits, 0.0)
        """Handed in so far, by kind and weight."""
        self.refused = dict.fromkeys(limits, 0.0)

    def put(self, kind: str, work: Work, weight: float = 1.0) -> bool:
        """Hand in one piece of work, counted with `weight`; False if it is refused."""
        with self._changed:
            if self._closed:
                return False
            self.offered[kind] += weight
            if self._waiting[kind] >= self._limits[kind]:
                self.refused[kind] += weight
                return False
            self._waiting[kind] += 1
            self._work.append((kind, work))
            self._changed.notify()
            return True

    def close(self) -> None:
        """Accept no more; what waits is still done."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def get(self, timeout_s: float) -> Work | None:
        """The oldest work, None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._work) or self._closed, timeout_s)
            if not self._work:
                return None
            kind, work = self._work.popleft()
            self._waiting[kind] -= 1
            return work

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not self._work

    @property
    def finished(self) -> bool:
        """Closed and empty."""
        return self._closed and not self._work
