"""A film file as a live picture, in a loop at its own pace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import av

from engine.core.clock import Clock
from export.media.reading import film_rate, loop_frames

LATE_S = 0.5


class FilmSource:
    """A film, again and again, on the show's clock. Raises `MissingFileError` or `MediaError` for one that is none."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.name, self._path, self._clock = path.name, path, clock
        self._apart_s = 1 / film_rate(path)
        self.skipped = 0
        """Pictures that there was no time for."""

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """As `VideoSource.frames`: what is late by a whole picture is skipped; from `LATE_S` on the film is slower."""
        start_s = self._clock.now()
        for time_s, frame in loop_frames(self._path):
            early_s = start_s + time_s - self._clock.now()
            if early_s < -LATE_S:  # a machine that cannot keep up would skip all of them
                start_s -= early_s
                yield frame
            elif early_s < -self._apart_s:
                self.skipped += 1
            elif stop.wait(max(0.0, early_s)):
                return
            else:
                yield frame
