"""Pictures of presets, each made once and kept for every show after: small JPEGs, named by what a preset says."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from engine.control.presets import Preset
from engine.remote.pictures import jpeg
from export.cache import building, cache_folder

LONGEST_PX = 240
LOOK_S = 1.0
"""How often it is looked for new ones."""


class Thumbnails:
    """Those of one folder. The server's thread and the one that has them made own an object each; files come whole."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "thumbnails"
        self._looked_s, self._library = float("-inf"), {}  # type: tuple[float, Mapping[str, Preset]]
        self._known: dict[str, str] = {}

    def path(self, preset: Preset) -> Path:
        """Where a preset's picture is, or will be; an edited preset has another."""
        said = msgspec.json.encode((preset.look, [layer.file.digest for layer in preset.isf]))
        return self.folder / f"{hashlib.sha256(said).hexdigest()[:20]}.jpg"

    def missing(self, presets: Iterable[Preset]) -> list[Preset]:
        """Those that have none yet."""
        return [preset for preset in presets if not self.path(preset).is_file()]

    def known(self, library: Mapping[str, Preset]) -> dict[str, str]:
        """The files of those that have one, by the presets' names; looked for now and then."""
        now_s = time.monotonic()
        if library is not self._library or now_s - self._looked_s > LOOK_S:
            self._looked_s, self._library = now_s, library
            paths = {name: self.path(preset) for name, preset in library.items()}
            self._known = {name: path.name for name, path in paths.items() if path.is_file()}
        return self._known

    def keep(self, preset: Preset, picture: np.ndarray) -> None:
        """Keep a picture, uint8 (height, width, 3). Raises StorageError."""
        with building(self.path(preset)) as part:
            part.write_bytes(jpeg(picture, LONGEST_PX))
