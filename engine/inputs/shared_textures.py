"""Pictures that other programs of this machine share: Spout on Windows, Syphon on macOS. Neither was run: unproven.

Written against SpoutGL 0.1 and syphon-python 0.2, which read a shared texture back to this process.
"""

from __future__ import annotations

import importlib
import threading
import time
from array import array
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from tpos_models.errors import InputError, MissingPart

POLL_S = 0.004
"""How often it is looked whether the other program has drawn."""
GONE_S = 3.0
"""A program that has drawn nothing for so long is looked for anew."""
GL_RGBA = 0x1908


def _package(word: str, name: str, system: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        how = f"pip install 'tpos-live[{word}]' on {system} ({error})"
        raise MissingPart(f"--video-in {word}: {name} is missing; {how}") from error


class SpoutSource:
    """A Spout sender by its name, "" being the active one. Raises `MissingPart`."""

    def __init__(self, which: str) -> None:
        self._spout, self._which = _package("spout", "SpoutGL", "Windows"), which
        self.name = f"spout:{which}" if which else "spout"

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """As `VideoSource.frames`."""
        receiver, heard_s = self._spout.SpoutReceiver(), time.monotonic()
        try:
            receiver.createOpenGL()
            receiver.setReceiverName(self._which)
            pixels: array[int] | None = None
            while not stop.is_set() and time.monotonic() - heard_s < GONE_S:
                received = receiver.receiveImage(pixels, GL_RGBA, False, 0)
                width, height = receiver.getSenderWidth(), receiver.getSenderHeight()
                if receiver.isUpdated():
                    pixels = array("B", bytes(4 * width * height))
                elif received and pixels and receiver.isFrameNew():
                    heard_s = time.monotonic()
                    yield _as_frame(np.frombuffer(pixels, np.uint8).reshape(height, width, 4), "rgba")
                    continue
                stop.wait(POLL_S)
        finally:
            receiver.releaseReceiver()
            receiver.closeOpenGL()


class SyphonSource:
    """A Syphon server by a part of its own or its program's name, "" being the first. Raises `MissingPart`."""

    def __init__(self, which: str) -> None:
        self._syphon, self._which = _package("syphon", "syphon", "macOS"), which
        self.name = f"syphon:{which}" if which else "syphon"

    def frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """As `VideoSource.frames`."""
        to_image = importlib.import_module("syphon.utils.numpy").copy_mtl_texture_to_image
        with self._syphon.SyphonMetalClient(self._found()) as client:
            while not stop.is_set() and client.is_valid:
                texture = client.new_frame_image if client.has_new_frame else None
                if texture is None:
                    stop.wait(POLL_S)
                else:
                    yield _as_frame(to_image(texture), "bgra")

    def _found(self) -> Any:
        with self._syphon.SyphonServerDirectory() as directory:
            servers = directory.servers
        for server in servers:
            if self._which.lower() in f"{server.app_name} {server.name}".lower():
                return server
        found = ", ".join(f"{server.app_name} {server.name}".strip() for server in servers) or "none"
        raise InputError(f"no such Syphon server; found: {found}")


def _as_frame(pixels: np.ndarray, order: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), order)
