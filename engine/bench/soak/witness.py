"""A show's process, watched from outside: its vitals, what OSC tells of it, its lines on stderr, its memory."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import psutil

from engine.bench.soak.spoken import Asked, Vitals
from engine.control.osc_wire import MalformedError, read_datagram
from tpos_models.errors import RunError

READY_S = 300.0
KEPT = 4000
"""Vitals, and told lines, that are remembered: minutes of them."""
SILENT_S = 1.0
"""Where OSC has said nothing for so long, what the show's own window says counts."""
QUIET = ("", "ok", "silence", "clipping", "starting", "finishing")


@dataclass(frozen=True)
class Size:
    """What a process holds: bytes of memory, threads, file handles."""

    time_s: float
    rss: float
    threads: int
    handles: int


class Witness:
    """Starts the show and looks on. `surface` is where its OSC status comes."""

    def __init__(self, asked: Asked, surface: socket.socket, env: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "engine.bench.soak.stage", msgspec.json.encode(asked).decode()]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env))
        self.vitals: deque[Vitals] = deque(maxlen=KEPT)
        self.told: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self.heartbeat, self._heard_s = 0, 0.0
        self.sizes: list[Size] = []
        self.stderr, self.newest_lines = 0, deque[str](maxlen=200)
        """How many came on stderr, and the newest."""
        self.takes: dict[str, tuple[float, float]] = {}
        """Of each folder that was recorded into when it was first seen so, and last."""
        self.summary: dict[str, Any] = {}
        self._surface = surface
        self._surface.settimeout(0.2)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"soak-{target.__name__.strip('_')}", daemon=True)
            for target in (self._read_vitals, self._read_lines, self._listen, self._weigh)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def newest(self) -> Vitals:
        """The newest vitals."""
        return self.vitals[-1]

    def wait_until_up(self) -> None:
        """Until frames, film and OSC come; RunError where they do not."""
        until_s = time.monotonic() + READY_S
        while not (self.vitals and self.newest.frames and self.newest.film_s > 0 and self.heartbeat):
            if self.process.poll() is not None or time.monotonic() > until_s:
                raise RunError(f"the show did not start: {'; '.join(self.newest_lines) or 'nothing is said'}")
            time.sleep(0.05)

    def begin(self, fault: str) -> None:
        """A fault within the show begins."""
        self._say(f"begin {fault}")

    def end(self, fault: str) -> None:
        """It is over."""
        self._say(f"end {fault}")

    def said(self, pattern: str, since_s: float) -> float | None:
        """When something was told that matches, from `since_s` on."""
        return next((at_s for at_s, line in self.told.copy() if at_s >= since_s and re.search(pattern, line)), None)

    def lines(self, since_s: float) -> list[str]:
        """All that was told since, each once, with how long after it came first."""
        first_s: dict[str, float] = {}
        for at_s, line in self.told.copy():
            if at_s >= since_s:
                first_s.setdefault(line.strip().replace("\n", " / "), at_s - since_s)
        return [f"{after_s:.1f} s: {line}" for line, after_s in first_s.items()]

    @property
    def state(self) -> str:
        """What the state says now."""
        return self.told[-1][1].partition("\n")[0] if self.told else ""

    @property
    def quiet(self) -> bool:
        """Whether all is well, and the operator has no line to read."""
        state, _, message = (self.told[-1][1] if self.told else "").partition("\n")
        return state in QUIET and not message

    def gap_s(self, since_s: float) -> float:
        """The longest between two redraws since."""
        return max((one.gap_s for one in self.vitals.copy() if one.time_s >= since_s), default=0.0)

    def terminate(self, patience_s: float) -> float:
        """Ask it to end, and wait; how long it took, `patience_s` where it did not."""
        asked_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        return time.monotonic() - asked_s

    def close(self) -> None:
        """Let nothing of it be left."""
        self.process.kill()
        self.process.wait()
        self._over.set()
        for thread in self._threads:
            thread.join(2.0)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with suppress(OSError):
                    stream.close()

    def _say(self, line: str) -> None:
        assert self.process.stdin
        with suppress(OSError):
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()

    def _read_vitals(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(b'{"summary"'):
                self.summary = msgspec.json.decode(line)["summary"]
                continue
            one = msgspec.json.decode(line, type=Vitals)
            self.vitals.append(one)
            if one.film:
                first_s, _ = self.takes.get(one.film, (one.time_s - one.film_s, 0.0))
                self.takes[one.film] = first_s, one.time_s
            if one.time_s - self._heard_s > SILENT_S:
                self.told.append((one.time_s, f"{one.state}\n"))

    def _read_lines(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.stderr += 1
            self.newest_lines.append(line.decode(errors="replace").rstrip())

    def _listen(self) -> None:
        state = message = ""
        while not self._over.is_set():
            with suppress(TimeoutError, MalformedError):
                for one in read_datagram(self._surface.recv(65_535)):
                    now_s = time.monotonic()
                    if one.address.endswith("/status/state"):
                        state = str(one.params[0])
                    elif one.address.endswith("/status/message"):
                        message = str(one.params[0])
                    elif one.address.endswith("/status/heartbeat"):
                        self.heartbeat, self._heard_s = int(one.params[0]), now_s
                        self.told.append((now_s, f"{state}\n{message}"))

    def _weigh(self) -> None:
        process = psutil.Process(self.process.pid)
        count = process.num_handles if sys.platform == "win32" else process.num_fds
        with suppress(psutil.Error):
            while not self._over.wait(1.0):
                rss = float(process.memory_info().rss)
                self.sizes.append(Size(time.monotonic(), rss, process.num_threads(), count()))
