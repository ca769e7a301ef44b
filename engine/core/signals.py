"""Ctrl-C, a polite kill and a closed terminal, as an event."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, a polite kill and a closed terminal set, so that work ends in good order.

    The second of them ends the process at once: something hangs.
    """
    stopping = threading.Event()

    def end(number: int, frame: object) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    names = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [signal.signal(name, end) for name in names]
    try:
        yield stopping
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
