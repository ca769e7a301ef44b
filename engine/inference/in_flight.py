"""Calls in flight: several run side by side, where a core for each gets more done than all cores for one, or one is
begun while a device still does what the one ahead asked of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

IDLE_S = 0.02
SPACING = 0.8
"""Of even spacing: less than all of it, or a slow frame would hold up the next."""
LOOK_S = 0.005
"""How often it is looked whether the next call is due by now."""
AHEAD = 2.0
"""Times what beginning took last: so long before a device is done, it is given more."""


class InFlightWorkers(Generic[T]):
    """Begin calls one after another, run up to `at_once()` of them side by side, publish results in their order.

    `begin()` gives the next call, or None where there is nothing to do for a moment; `publish` takes what a call gave.
    Neither is ever called twice at once. Every worker begins what it runs itself: handing calls from one thread to
    another costs two awakenings a frame. The thread that calls `run` is the first worker, the others are named
    "inference-1" and on; all have its priority, and where it is a daemon, none keeps the process from ending.

    Calls that run side by side begin evenly spaced. Where they are `queued`, begun work is a device's, which does it in
    its order while the calls wait: the next is begun just before the device would be idle, and no sooner, because what
    it is begun with would be old by the time it is drawn.
    """

    def __init__(
        self,
        begin: Callable[[], Callable[[], T] | None],
        publish: Callable[[T], None],
        at_once: Callable[[], int],
        queued: bool = False,
    ) -> None:
        self._begin, self._publish, self._at_once, self._queued = begin, publish, at_once, queued
        self._beginning, self._publishing = threading.Lock(), threading.Lock()
        self._finished: dict[int, T] = {}
        self._begun = self._ended = self._published = 0
        self._begun_s = self._began_in_s = self._ended_s = self._took_s = 0.0
        self._over = False
        self._failures: list[BaseException] = []

    def run(self, over: Callable[[], bool]) -> None:
        """Work until `over()`, then publish what is under way; raises what a call raised."""
        others: list[threading.Thread] = []

        def start_others(at_once: int) -> None:
            while len(others) < at_once - 1:
                number = len(others) + 1
                name = f"inference-{number}"
                others.append(threading.Thread(target=self._work_beside, args=(number, over), name=name))
                others[-1].start()

        try:
            self._work(0, over, start_others)
        finally:
            for worker in others:
                worker.join()
        if self._failures:
            raise self._failures.pop()

    def _work_beside(self, number: int, over: Callable[[], bool]) -> None:
        try:
            self._work(number, over, lambda at_once: None)
        except BaseException as error:  # noqa: BLE001 - raised by `run`
            self._failures.append(error)

    def _work(self, number: int, over: Callable[[], bool], start_others: Callable[[int], None]) -> None:
        try:
            while not (self._over or over()):
                at_once = self._at_once()
                start_others(at_once)
                if number >= at_once or not self._run_one(at_once, over):
                    time.sleep(IDLE_S)
        finally:
            self._over = True

    def _run_one(self, at_once: int, over: Callable[[], bool]) -> bool:
        """One call from its beginning to its publication; False where there was none."""
        if self._begun - self._published >= 2 * at_once:
            return False  # one hangs, and what comes after it would pile up
        with self._beginning:
            while not (self._over or over()) and (early_s := self._due_s(at_once) - time.monotonic()) > 0:
                time.sleep(min(early_s, LOOK_S))  # and look again: what was slow once may be done by now
            begun_s = time.monotonic()
            call = self._begin()
            if call is None:
                return False
            self._begun_s = begun_s
            number = self._begun
            self._begun += 1
            start_s = time.monotonic()
            self._began_in_s = start_s - self._begun_s
        result = call()
        with self._publishing:
            now_s = time.monotonic()
            self._took_s = now_s - (max(start_s, self._ended_s) if self._queued else start_s)
            self._ended, self._ended_s = self._ended + 1, now_s
            self._finished[number] = result
            while self._published in self._finished:
                self._publish(self._finished.pop(self._published))
                self._published += 1
        return True

    def _due_s(self, at_once: int) -> float:
        """When the next call is to be begun."""
        if not self._queued:
            return self._begun_s + SPACING * self._took_s / at_once if self._ended < self._begun else 0.0
        if self._ended == self._begun:
            return 0.0
        taken_up_s = max(self._begun_s + self._began_in_s, self._ended_s)
        return taken_up_s + self._took_s - AHEAD * self._began_in_s
