"""Ableton Link: the tempo and the beats of a session on the network, followed and never changed.

A peer that is there first gives a session its tempo. So nobody joins here before a session is heard: its peers announce
themselves by multicast (discovery protocol v1 of Link), and a session that is older keeps its tempo when another joins:
the age of one counts from when its first peer was made, not from when that was enabled, and of two that are of an age,
within half a second, any may win.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from typing import Any

import psutil

from engine.control.show import Show
from engine.core.beat_grid import BeatGrid, ClockSource
from engine.core.clock import Clock
from engine.core.own_thread import OwnThread
from tpos_models.errors import DeviceError, MissingPart

GROUP, PORT, ANNOUNCED = "224.76.78.75", 20_808, b"_asdp_v\x01"
PERIOD_S = 0.05
OLDER_S = 1.5
"""By at least so much a session is older than we when we join."""
SETTLED_S = 0.5
"""So long after a session was joined its beats are not yet followed."""
ALONE_S = 3.0
"""So long without another peer, and the session is left."""
BEATS_PER_BAR = 4


class LinkClock(OwnThread):
    """Follows a session from a thread of its own, between `start` and `close`; also a context manager.

    Raises MissingPart without aalink, DeviceError where there is no network to listen to.
    """

    def __init__(self, show: Show, clock: Clock, told: Callable[[str], object] = lambda line: None) -> None:
        try:
            self._aalink: Any = importlib.import_module("aalink")
        except ImportError as error:
            raise MissingPart("Ableton Link needs aalink (GPL-3.0): pip install 'tpos-live[link]'") from error
        self._show, self._clock, self._told = show, clock, told
        self._socket = _listener()
        super().__init__("tpos-link")

    def close(self) -> None:
        """Leave the session; may be called twice."""
        super().close()
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        """aalink asks for a running loop; nothing is waited for on it."""
        while not self._stop.is_set():
            if self._is_announced() and not self._stop.wait(OLDER_S):
                self._follow(self._aalink.Link(120.0))

    def _is_announced(self) -> bool:
        try:
            return self._socket.recv(1024).startswith(ANNOUNCED)
        except TimeoutError:
            return False

    def _follow(self, link: Any) -> None:
        """In the session until nobody else is."""
        link.quantum, link.enabled = BEATS_PER_BAR, True
        joined_s = seen_s = self._clock.now()
        followed = False
        while not self._stop.wait(PERIOD_S) and (now_s := self._clock.now()) - seen_s < ALONE_S:
            if not link.num_peers:
                joined_s = now_s
                self._show.keep_time(ClockSource.LINK, None)
                continue
            seen_s = now_s
            if now_s - joined_s < SETTLED_S:
                continue
            grid = BeatGrid(ClockSource.LINK, self._clock.now(), link.beat, link.tempo, BEATS_PER_BAR)
            self._show.keep_time(ClockSource.LINK, grid)
            if not followed:
                self._told(f"Link: in a session of {link.num_peers + 1} at {link.tempo:.2f} BPM")
                followed = True
        link.enabled = False
        self._show.keep_time(ClockSource.LINK, None)
        if followed and not self._stop.is_set():
            self._told("Link: the session is gone; it is waited for")
        self._forget()

    def _forget(self) -> None:
        """What was announced while we were in it says nothing of a session now."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(1024):
                continue
        except BlockingIOError:
            self._socket.settimeout(PERIOD_S)


def _listener() -> socket.socket:
    """A socket that hears what Link's peers announce on any interface. Raises DeviceError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    joined = 0
    try:
        sock.bind(("", PORT))
        for address in (one.address for many in psutil.net_if_addrs().values() for one in many if _is_ip4(one)):
            joined += _join(sock, address)
    except OSError as error:
        sock.close()
        raise DeviceError(f"UDP port {PORT} of Ableton Link: {error.strerror}; accepted: without --link") from error
    if not joined:
        sock.close()
        raise DeviceError("no network takes multicast, which Ableton Link needs; accepted: without --link")
    sock.settimeout(PERIOD_S)
    return sock


def _is_ip4(address: Any) -> bool:
    return bool(address.family == socket.AF_INET)


def _join(sock: socket.socket, address: str) -> bool:
    try:
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(address)
        )
    except OSError:
        return False
    return True
