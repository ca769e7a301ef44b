"""Pictures of what is on the screen, kept as PNG files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from engine.app.notices import Notices
from engine.recording.folders import default_root


class Snapshots:
    """Saves pictures under `root` (the recordings' folder by default). Owned by the main thread."""

    def __init__(self, root: Path | None, notices: Notices) -> None:
        self._root, self._notices = root or default_root(), notices
        self.wanted = False
        """Whether the next picture that is read back is to be saved."""
        self.saved: list[Path] = []

    def save(self, image: np.ndarray) -> None:
        """Write a picture, RGB uint8 (height, width, 3); what cannot be written is told."""
        self.wanted = False
        path = self._root / f"snapshot_{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.png"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        except OSError as error:
            self._notices.trouble(f"{path}: cannot be written ({error.strerror})")
        else:
            self.saved.append(path)
            self._notices.note(f"snapshot {path}")
