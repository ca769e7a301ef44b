"""Threads of one's own: what every server, watcher and listener of the show is, and who looks after all of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Self
from weakref import WeakSet

log = logging.getLogger(__name__)

RESTART_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between restarts after failures in a row; the last one repeats."""
JOIN_S = 2.0
"""How long the end of a thread is waited for: one that hangs is left behind, and dies with the process."""
TOLD_S = 5.0
"""How long it is told that a thread had failed."""
HANGS_S = 0.9
"""A thread that is at work for so long, between two pauses, hangs."""
LOOK_S = 0.25
"""Of a stretch in which nobody asked for `awake_s`, so much counts."""


class Supervised:
    """A daemon thread that `run`s until `stop` is set: what it raises is told, and it runs again after a pause."""

    def __init__(self, name: str, run: Callable[[], None], stop: threading.Event) -> None:
        self.name, self._run, self._stop = name, run, stop
        self._failed_s, self._why = -TOLD_S, ""
        self._turned_s = float("inf")
        self.restarts = 0
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    def start(self) -> Self:
        """Begin."""
        _SUPERVISED.add(self)
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        """Whether it runs, or is about to again."""
        return self._thread.is_alive()

    @property
    def trouble(self) -> str:
        """Why it was run again a moment ago, or that it hangs, in a line; "" while all is well."""
        if self._thread.is_alive() and awake_s() - self._turned_s > HANGS_S:
            return f"{self.name} hangs"
        return self._why if time.monotonic() - self._failed_s < TOLD_S else ""

    def turn(self) -> None:
        """For the thread: it comes round, several times a second from now on."""
        self._turned_s = awake_s()

    def pause(self, seconds: float) -> bool:
        """For the thread: wait, and turn; True where it is to end."""
        self._turned_s = float("inf")
        over = self._stop.wait(seconds)
        self.turn()
        return over

    def join(self, timeout_s: float = JOIN_S) -> bool:
        """Wait for its end; False where it hangs."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _supervise(self) -> None:
        failures = 0
        while not self._stop.is_set():
            begun_s = time.monotonic()
            try:
                self._run()
                return
            except Exception as error:
                if self._stop.is_set():
                    return
                log.exception("%s failed", self.name)
                self._failed_s, self._turned_s = time.monotonic(), float("inf")
                self._why = f"{self.name} failed ({first_line(error)}) and was started again"
                self.restarts += 1
                failures = failures + 1 if self._failed_s - begun_s < TOLD_S else 1
            self._stop.wait(pause_s(failures))


class OwnThread:
    """Runs `_run`, supervised, between `start` and `close`, until `_stop` is set; also a context manager."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._thread = Supervised(name, self._run, self._stop)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End, and wait for it, though not for ever; may be called twice."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        raise NotImplementedError


def pause_s(failures: int) -> float:
    """The pause after so many failures in a row, one at least."""
    return RESTART_S[min(failures, len(RESTART_S)) - 1]


def awake_s() -> float:
    """For how many seconds the process ran, near enough: what stops all of it makes none of its threads hang.

    Who waits for something to hang asks several times a second.
    """
    return _AWAKE.seconds()


def troubles() -> list[str]:
    """What is told of all threads that failed a moment ago, a line each."""
    return sorted(filter(None, (thread.trouble for thread in [*_SUPERVISED])))


def first_line(error: Exception) -> str:
    """What went wrong, in a line of at most 160 characters."""
    return (str(error).splitlines() or [""])[0][:160] or type(error).__name__


class _Awake:
    """Counts in steps of at most LOOK_S."""

    def __init__(self) -> None:
        self._lock, self._asked_s, self._seconds = threading.Lock(), time.monotonic(), 0.0

    def seconds(self) -> float:
        with self._lock:
            asked_s, self._asked_s = self._asked_s, time.monotonic()
            self._seconds += min(self._asked_s - asked_s, LOOK_S)
            return self._seconds


_AWAKE = _Awake()
_SUPERVISED: WeakSet[Supervised] = WeakSet()
