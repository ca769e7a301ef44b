"""Frames in flight: several sampled side by side, where a core for each gets more done than all cores for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

IDLE_S = 0.02
SPACING = 0.8
"""Of even spacing: less than all of it, or a slow frame would hold up the next."""


class Flight(Generic[T]):
    """Begins calls one after another, runs up to `at_once()` of them side by side, lands results in their order.

    `begin()` gives the next call, or None where there is nothing to do for a moment; `land` takes what a call gave.
    Neither is ever called twice at once. Every thread begins what it runs itself: handing calls from one thread to
    another costs two awakenings a frame. All threads have the priority of the one that called `run`.
    """

    def __init__(
        self, begin: Callable[[], Callable[[], T] | None], land: Callable[[T], None], at_once: Callable[[], int]
    ) -> None:
        self._begin, self._land, self._at_once = begin, land, at_once
        self._beginning, self._landing = threading.Lock(), threading.Lock()
        self._finished: dict[int, T] = {}
        self._begun = self._landed = 0
        self._begun_s = self._took_s = 0.0
        self._ended = False

    def run(self, over: Callable[[], bool]) -> None:
        """Fly until `over()`, then land what is under way; raises what a call raised."""
        with ThreadPoolExecutor(thread_name_prefix="lane") as threads:
            others: list[Future[None]] = []

            def open_lanes(at_once: int) -> None:
                while len(others) < at_once - 1:
                    others.append(threads.submit(self._lane, len(others) + 1, over))

            self._lane(0, over, open_lanes)
        for lane in others:
            lane.result()

    def _lane(self, number: int, over: Callable[[], bool], open_lanes: Callable[[int], None] = lambda n: None) -> None:
        try:
            while not (self._ended or over()):
                at_once = self._at_once()
                open_lanes(at_once)
                if number >= at_once or not self._fly(at_once):
                    time.sleep(IDLE_S)
        finally:
            self._ended = True

    def _fly(self, at_once: int) -> bool:
        """One call from beginning to landing; False where there was none."""
        with self._beginning:
            if (early_s := self._begun_s + SPACING * self._took_s / at_once - time.monotonic()) > 0:
                time.sleep(early_s)
            self._begun_s = time.monotonic()
            call = self._begin()
            if call is None:
                return False
            number = self._begun
            self._begun += 1
        start_s = time.monotonic()
        result = call()
        self._took_s = time.monotonic() - start_s
        with self._landing:
            self._finished[number] = result
            while self._landed in self._finished:
                self._land(self._finished.pop(self._landed))
                self._landed += 1
        return True
