"""Pictures of what is on the screen, one or a burst of them, kept as PNG files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from queue import Empty, Full, Queue

import numpy as np
from PIL import Image

from engine.app.notices import Notices
from engine.control.addresses import MOST_SNAPSHOTS
from engine.core.own_thread import OwnThread
from engine.recording.folders import default_root

POLL_S = 0.1
PATIENCE_S = 4.0
"""So long the end of a show waits for one picture to be written."""


class Snapshots(OwnThread):
    """Saves pictures under `root` (the recordings' folder by default), in a thread named "tpos-snapshots".

    Pictures wait in a queue; those for which it has no room are refused, and that is told. All else is called by the
    main thread.
    """

    def __init__(self, root: Path | None, notices: Notices) -> None:
        super().__init__("tpos-snapshots")
        self._root, self._notices = root or default_root(), notices
        self._waiting: Queue[tuple[datetime, np.ndarray]] = Queue(MOST_SNAPSHOTS)
        self.wanted = 0
        """How many of the next pictures that are read back are to be saved."""
        self.saved: list[Path] = []
        """In their order; complete once it is closed."""

    def want(self, count: int) -> None:
        """Save the next `count` pictures that are read back."""
        self.wanted = min(self.wanted + count, MOST_SNAPSHOTS)

    def save(self, image: np.ndarray) -> None:
        """Take a picture, RGB uint8 (height, width, 3), which nobody changes any more."""
        self.wanted -= 1
        try:
            self._waiting.put_nowait((datetime.now(), image))
        except Full:
            self._notices.post(f"snapshot left out: {MOST_SNAPSHOTS} wait to be written")

    def close(self) -> None:
        """Write what waits, as long as the disk takes it, and end; may be called twice."""
        self._stop.set()
        waiting = MOST_SNAPSHOTS + 1
        while not self._thread.join(PATIENCE_S) and waiting > (waiting := self._waiting.qsize()):
            continue

    def _run(self) -> None:
        while not (self._stop.is_set() and self._waiting.empty()):
            try:
                self._write(*self._waiting.get(timeout=POLL_S))
            except Empty:
                continue

    def _write(self, taken: datetime, image: np.ndarray) -> None:
        path = self._root / f"snapshot_{taken:%Y-%m-%d_%H-%M-%S-%f}.png"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        except OSError as error:
            self._notices.post(f"{path}: cannot be written ({error.strerror})")
        else:
            self.saved.append(path)
            self._notices.post(f"snapshot {path}", trouble=False)
