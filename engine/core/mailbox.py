"""The newest-wins hand-off between two threads."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest item only: a slow reader sees the present, never a queue of the past.

    One writer calls `put`; readers call `peek` or `wait_newer`. `count` is the number of items put so far.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self.count = 0

    def put(self, item: T) -> None:
        with self._changed:
            self._item = item
            self.count += 1
            self._changed.notify_all()

    def peek(self) -> T | None:
        """The newest item, or None before the first; never waits."""
        return self._item

    def wait_newer(self, count: int, timeout_s: float) -> T | None:
        """The newest item once more than `count` were put; None after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self.count > count, timeout_s)
            return self._item if self.count > count else None
