"""A thread of one's own: what every server, watcher and listener of the show is."""

from __future__ import annotations

import threading
from typing import Self


class OwnThread:
    """Runs `_run` in a daemon thread between `start` and `close`, until `_stop` is set; also a context manager."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End, and wait for it; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        raise NotImplementedError
