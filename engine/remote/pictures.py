"""The preview as JPEG: each picture encoded once for all who look, off the thread that draws."""

from __future__ import annotations

import asyncio
import io
import time

import numpy as np
from PIL import Image

from engine.core.preview import RATE_HZ, Preview
from engine.render.picture import within

QUALITY = 78
LOOK_S = 0.02
MOST_PER_S = 60.0
"""Pictures a second to all who look: the more they are, the fewer each gets, and the show pays for no more."""


class Pictures:
    """The newest picture for each who asks, and no other: nothing waits in a queue. One event loop's."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._lock = asyncio.Lock()
        self._number, self._jpeg = 0, b""
        self._waiting = 0
        self._watch: asyncio.Task[None] | None = None
        self.encoded = 0

    async def newer(self, known: int, patience_s: float = 2.0) -> tuple[int, bytes] | None:
        """The newest picture and its number once it is another than `known`; None after `patience_s`."""
        due_s = time.monotonic() + patience_s
        self._waiting += 1
        self._preview.rate_hz = min(RATE_HZ, MOST_PER_S / self._waiting)
        try:
            count, picture = self._preview.look()
            while picture is None or count == known:
                if (left_s := due_s - time.monotonic()) <= 0:
                    return None
                await asyncio.wait({self._watching(count)}, timeout=left_s)
                count, picture = self._preview.look()
            return await self._encoded(count, picture)
        finally:
            self._waiting -= 1

    def _watching(self, count: int) -> asyncio.Task[None]:
        """Ends with the next picture: one looks out for all who wait."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_out(count))
        return self._watch

    async def _look_out(self, count: int) -> None:
        while self._waiting and self._preview.look()[0] == count:
            await asyncio.sleep(LOOK_S)

    async def _encoded(self, count: int, picture: np.ndarray) -> tuple[int, bytes]:
        async with self._lock:  # one encodes it, those who came with it take what it made
            if count > self._number:
                self._jpeg = await asyncio.to_thread(jpeg, picture)
                self._number = count
                self.encoded += 1
            return self._number, self._jpeg


def jpeg(picture: np.ndarray, longest_px: int = 0) -> bytes:
    """A picture, uint8 (height, width, 3), as JPEG; its longer side at most `longest_px` where that is given."""
    image = Image.fromarray(picture)
    if longest_px:
        image = image.resize(within(image.size, longest_px))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
