"""Who goes first on a small machine: sound and display before the model."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

BEHIND = 5
"""Nice value of the model's threads: when cores are short the display takes what it needs, the model the rest."""


def step_back() -> None:
    """Let every other thread go first; threads started by this one inherit it. Elsewhere than on Linux, nothing."""
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)


def behind(work: Callable[[], T]) -> T:
    """What `work` gives or raises, done on a thread that steps back; a program that ends does not wait for it."""
    done: Future[T] = Future()

    def run() -> None:
        step_back()
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised by whoever asked
            done.set_exception(error)

    threading.Thread(target=run, name="loading", daemon=True).start()
    return done.result()
