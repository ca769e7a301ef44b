"""Calls in flight: several run side by side, where a core for each gets more done than all cores for one."""

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


class InFlightWorkers(Generic[T]):
    """Begin calls one after another, run up to `at_once()` of them side by side, publish results in their order.

    `begin()` gives the next call, or None where there is nothing to do for a moment; `publish` takes what a call gave.
    Neither is ever called twice at once. Every worker begins what it runs itself: handing calls from one thread to
    another costs two awakenings a frame. The thread that calls `run` is the first worker, the others are named
    "inference-1" and on; all have its priority.
    """

    def __init__(
        self, begin: Callable[[], Callable[[], T] | None], publish: Callable[[T], None], at_once: Callable[[], int]
    ) -> None:
        self._begin, self._publish, self._at_once = begin, publish, at_once
        self._beginning, self._publishing = threading.Lock(), threading.Lock()
        self._finished: dict[int, T] = {}
        self._begun = self._published = 0
        self._begun_s = self._took_s = 0.0
        self._ended = False

    def run(self, over: Callable[[], bool]) -> None:
        """Work until `over()`, then publish what is under way; raises what a call raised."""
        with ThreadPoolExecutor() as threads:
            others: list[Future[None]] = []

            def start_others(at_once: int) -> None:
                while len(others) < at_once - 1:
                    others.append(threads.submit(self._work_beside, len(others) + 1, over))

            self._work(0, over, start_others)
        for worker in others:
            worker.result()

    def _work_beside(self, number: int, over: Callable[[], bool]) -> None:
        threading.current_thread().name = f"inference-{number}"
        self._work(number, over, lambda at_once: None)

    def _work(self, number: int, over: Callable[[], bool], start_others: Callable[[int], None]) -> None:
        try:
            while not (self._ended or over()):
                at_once = self._at_once()
                start_others(at_once)
                if number >= at_once or not self._run_one(at_once):
                    time.sleep(IDLE_S)
        finally:
            self._ended = True

    def _run_one(self, at_once: int) -> bool:
        """One call from its beginning to its publication; False where there was none."""
        with self._beginning:
            if (early_s := self._begun_s + SPACING * self._took_s / at_once - time.monotonic()) > 0:
                time.sleep(early_s)
            begun_s = time.monotonic()
            call = self._begin()
            if call is None:
                return False
            self._begun_s = begun_s
            number = self._begun
            self._begun += 1
        start_s = time.monotonic()
        result = call()
        self._took_s = time.monotonic() - start_s
        with self._publishing:
            self._finished[number] = result
            while self._published in self._finished:
                self._publish(self._finished.pop(self._published))
                self._published += 1
        return True
