"""What is kept of a running show so that another process goes on with it, should this one die."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from engine.control.show import Show
from engine.core.messages import ShowState
from engine.core.own_thread import OwnThread
from engine.core.preview import Preview
from engine.recording import run_folder
from engine.recording.control import RecordingControl
from engine.recording.run_folder import DIED, PICTURE, STATE, replace_file
from engine.recording.session import to_json
from tpos_models.errors import MediaError
from tpos_models.image import read_picture

KEPT_S = 0.2
"""So long at most until a change is kept."""
PICTURE_S = 1.0


@dataclass(frozen=True)
class Kept:
    """The operator's state, the session that was being recorded, "" for none, and the process that kept both; and the
    state that was `left` for the safe look."""

    state: ShowState
    session: str = ""
    pid: int = 0
    left: ShowState | None = None


@dataclass(frozen=True, eq=False)
class LeftOff:
    """Where another process left off: its last picture, RGB uint8 (H, W, 3), and how it `died`, in words."""

    kept: Kept
    picture: np.ndarray | None
    died: str

    def resume(self, show: Show, recording: RecordingControl) -> str:
        """Go on there, in a further take of the session that was recorded; what the operator is told of it."""
        show.restore(self.kept.state, self.kept.left)
        recording.session = self.kept.session
        return f"the show {self.died}; it goes on here, as it was"


def left_off(show: Show) -> LeftOff | None:
    """What another process kept for this one, whose state the show takes over at once.

    None where there was no other, or it kept nothing that can be read.
    """
    folder = run_folder.own()
    if folder is None:
        return None
    try:
        kept = msgspec.json.decode((folder / STATE).read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return None
    show.restore(kept.state, kept.left)
    picture, died = None, "died"
    with suppress(MediaError, OSError):
        picture = read_picture(folder / PICTURE)
    with suppress(OSError):
        died = (folder / DIED).read_text("utf-8")
    return LeftOff(kept, picture, died)


class Keeper(OwnThread):
    """Keeps the show's state where it changed, and every second a small picture. Without a folder it does nothing.

    `session` is the name of the one that is recorded, "" for none.
    """

    def __init__(self, show: Show, preview: Preview, session: Callable[[], str]) -> None:
        super().__init__("tpos-keeper")
        self._folder = run_folder.own()
        self._show, self._preview, self._session = show, preview, session
        self._kept: Kept | None = None
        self._picture: np.ndarray | None = None

    def _run(self) -> None:
        if self._folder is None:
            return
        picture_s = 0.0
        while not self._thread.pause(KEPT_S):
            self._keep(self._folder)
            if time.monotonic() - picture_s >= PICTURE_S:
                picture_s = time.monotonic()
                self._keep_picture(self._folder)

    def _keep(self, folder: Path) -> None:
        now = Kept(self._show.state, self._session(), os.getpid(), self._show.looks.left)
        if now != self._kept:
            replace_file(folder / STATE, to_json(now))
            self._kept = now

    def _keep_picture(self, folder: Path) -> None:
        picture = self._preview.glance()
        if picture is None or picture is self._picture:
            return
        self._picture = picture
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "JPEG", quality=92)
        replace_file(folder / PICTURE, encoded.getvalue())
