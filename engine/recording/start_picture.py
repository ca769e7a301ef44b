"""The picture a show starts from: an image file, or where a video or a recorded session ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from engine.recording.folders import video_of
from engine.recording.session import find_session
from export.media.reading import read_last_frame
from tpos_models.errors import InputError
from tpos_models.image import read_picture

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi")


def starting_picture(source: str) -> np.ndarray:
    """RGB uint8 (height, width, 3) from a picture, a video, a session's folder, or a session's name.

    Raises `MissingFileError` or `MediaError`.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() in VIDEOS:
        return read_last_frame(path)
    if not path.exists() and path.name == source:
        with suppress(InputError):  # no session of that name: read_picture says what is accepted
            path = find_session(source)
    if path.is_dir():
        return read_last_frame(video_of(path))
    return read_picture(path)
