"""What stands around a show, each part of which may fail: an OSC surface, a receiver, presets, the recordings' disk."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from pythonosc.osc_message_builder import build_msg

from engine.bench.latency import HARDLY
from engine.bench.soak.spoken import BUFFER_BYTES, PRESET, SENT_BYTES
from engine.core.own_thread import OwnThread

FLOOD_HZ = 1000.0
LOOK = f"""schema = 1
prompts = ["a wide lake under mountains"]
fade_s = 0.1
amount = 0.0
motion = {HARDLY}

[shader]
zoom = 1.0
warp = 0.0
glow = 1.0
colour = 0.0
grain = 0.0
"""
"""A look in which little moves but what a click moves."""
BROKEN = "schema = 1\nprompts = [" + "[" * 400


class Receiver(OwnThread):
    """Takes pictures over TCP, unless it is `deaf`, and counts them."""

    def __init__(self) -> None:
        self.bytes, self.deaf = 0, False
        self._server: socket.socket | None = None
        self.port = self.listen(0)
        super().__init__("soak-receiver")

    @property
    def pictures(self) -> int:
        """Received so far."""
        return self.bytes // SENT_BYTES

    def listen(self, port: int) -> int:
        """Be there from now on; the port."""
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        server.settimeout(0.1)
        server.bind(("127.0.0.1", port))
        server.listen(1)
        self._server = server
        return int(server.getsockname()[1])

    def leave(self) -> None:
        """Be gone."""
        server, self._server = self._server, None
        if server:
            server.close()

    def close(self) -> None:
        """End."""
        super().close()
        self.leave()

    def _run(self) -> None:
        while not self._stop.is_set():
            server = self._server
            if server is None:
                self._stop.wait(0.05)
                continue
            with suppress(OSError):
                peer, _ = server.accept()
                with peer:
                    self._take(peer)

    def _take(self, peer: socket.socket) -> None:
        peer.settimeout(0.1)
        while self._server is not None and not self._stop.is_set():
            if self.deaf:
                self._stop.wait(0.05)
                continue
            with suppress(TimeoutError):
                if not (taken := len(peer.recv(SENT_BYTES))):
                    return
                self.bytes += taken


class Outside:
    """The faults around a show, by name. `pid` and `osc` say which process it is, and where it listens."""

    def __init__(self, folder: Path, receiver: Receiver, seed: int) -> None:
        self.recordings, self.presets = folder / "sets", folder / "config" / "tpos" / "presets"
        self.receiver, self._random = receiver, random.Random(seed)
        self.pid, self.osc = 0, ("127.0.0.1", 0)
        self.faults: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "osc garbage": lambda: self._sending(self._garbage),
            "osc flood": lambda: self._sending(self._command),
            "preset broken": self._preset_broken,
            "receiver gone": self._receiver_gone,
            "receiver hangs": self._receiver_hangs,
            "disk gone": self._disk_gone,
            "process stopped": self._stopped,
            "process stopped long": self._stopped,
        }
        self.presets.mkdir(parents=True)
        self.write_preset(LOOK)

    def write_preset(self, text: str) -> None:
        """Save the running preset."""
        (self.presets / f"{PRESET}.toml").write_text(text, "utf-8")

    def _garbage(self) -> bytes:
        kind = self._random.randrange(3)
        if kind == 0:
            return self._random.randbytes(self._random.randrange(1, 400))
        if kind == 1:
            return b"#bundle\0" + self._random.randbytes(8) + b"\xff\xff\xff\xff" + self._random.randbytes(40)
        return bytes(build_msg("/tpos/amount", ["much", float("nan"), 10**6]).dgram)

    def _command(self) -> bytes:
        return bytes(build_msg("/tpos/shader/zoom", [self._random.uniform(0.9, 1.0)]).dgram)

    @contextmanager
    def _sending(self, make: Callable[[], bytes]) -> Iterator[None]:
        over = threading.Event()

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface:
                while not over.wait(0.02):
                    for _ in range(round(FLOOD_HZ * 0.02)):
                        surface.sendto(make(), self.osc)

        thread = threading.Thread(target=send, name="soak-surface", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def _preset_broken(self) -> Iterator[None]:
        self.write_preset(BROKEN)
        try:
            yield
        finally:
            self.write_preset(LOOK)

    @contextmanager
    def _receiver_gone(self) -> Iterator[None]:
        port = self.receiver.port
        self.receiver.leave()
        try:
            yield
        finally:
            self.receiver.listen(port)

    @contextmanager
    def _receiver_hangs(self) -> Iterator[None]:
        self.receiver.deaf = True
        try:
            yield
        finally:
            self.receiver.deaf = False

    @contextmanager
    def _disk_gone(self) -> Iterator[None]:
        """The recordings' folder is elsewhere, and a file in its place."""
        away = self.recordings.with_name("elsewhere")
        self.recordings.rename(away)
        self.recordings.write_text("in the way")
        try:
            yield
        finally:
            self.recordings.unlink()
            away.rename(self.recordings)

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)
