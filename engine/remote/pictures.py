"""The preview as JPEG: each picture encoded once for all who look, off the thread that draws; thumbnails of presets."""

from __future__ import annotations

import asyncio
import io
import time

import numpy as np
from PIL import Image

from engine.core.preview import Preview
from engine.render.picture import within

QUALITY, THUMBNAIL_PX = 78, 160
LOOK_S = 0.02
SETTLED_S = 4.0
"""A preset has played this long before its picture stands for it."""


class Pictures:
    """The newest picture for each who asks, and no other: nothing waits in a queue. One event loop's."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._lock = asyncio.Lock()
        self._number, self._jpeg = 0, b""
        self._preset, self._since_s, self._shown = "", 0.0, True
        self.encoded = 0
        self.thumbnails: dict[str, bytes] = {}
        """Presets as they looked in this show, while somebody looked: JPEG by name."""

    async def newer(self, known: int, preset: str, patience_s: float = 2.0) -> tuple[int, bytes] | None:
        """The newest picture and its number once it is another than `known`; None after `patience_s`.

        `preset` is the one that plays.
        """
        due_s = time.monotonic() + patience_s
        while time.monotonic() < due_s:
            count, picture = self._preview.look()
            if picture is not None and count != known:
                return await self._encoded(count, picture, preset)
            await asyncio.sleep(LOOK_S)
        return None

    async def _encoded(self, count: int, picture: np.ndarray, preset: str) -> tuple[int, bytes]:
        async with self._lock:  # one encodes it, those who came with it take what it made
            if count > self._number:
                self._jpeg = await asyncio.to_thread(jpeg, picture)
                self._number = count
                self.encoded += 1
                await self._remember(picture, preset)
            return self._number, self._jpeg

    async def _remember(self, picture: np.ndarray, preset: str) -> None:
        now_s = time.monotonic()
        if preset != self._preset:
            self._preset, self._since_s, self._shown = preset, now_s, False
        if not self._shown and now_s - self._since_s > SETTLED_S:
            self.thumbnails[preset] = await asyncio.to_thread(jpeg, picture, THUMBNAIL_PX)
            self._shown = True


def jpeg(picture: np.ndarray, longest_px: int = 0) -> bytes:
    """A picture, uint8 (height, width, 3), as JPEG; its longer side at most `longest_px` where that is given."""
    image = Image.fromarray(picture)
    if longest_px:
        image = image.resize(within(image.size, longest_px))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
