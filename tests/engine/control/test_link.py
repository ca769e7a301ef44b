"""A real Ableton Link session on this machine: joined late, followed, never changed, and left in step."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from engine.control import link
from engine.control.link import LinkClock
from engine.control.show import Show
from engine.core.clock import WallClock
from tpos_models.errors import MissingPart

PATIENCE_S = 20.0
PEER = """
import asyncio, sys, time
from aalink import Link
async def play():
    link = Link(float(sys.argv[1]))
    link.quantum, link.enabled = 4, True
    while True:
        print(time.monotonic(), link.beat, link.tempo, link.num_peers, flush=True)
        time.sleep(0.05)
asyncio.run(play())
"""


def _wait_for(met: Callable[[], Any]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < until_s, "nothing came"
        time.sleep(0.01)


@pytest.mark.realtime
def test_a_session_is_followed_and_keeps_its_tempo() -> None:
    pytest.importorskip("aalink", reason="aalink is an extra: pip install 'tpos-live[link]'")
    show, told = Show(), list[str]()
    with LinkClock(show, WallClock(), told.append):
        time.sleep(1.0)  # alone, and so in no session: one that begins now is the older one
        with subprocess.Popen([sys.executable, "-c", PEER, "137"], stdout=subprocess.PIPE, text=True) as peer:
            try:
                _wait_for(lambda: show.state.grids)
                assert peer.stdout
                while True:
                    at_s, beat, tempo, peers = map(float, peer.stdout.readline().split())
                    if at_s > time.monotonic() - 0.2 and peers:
                        break
                assert tempo == pytest.approx(137, abs=1e-3)
                (grid,) = show.state.grids
                assert grid.bpm == pytest.approx(137, abs=1e-3)
                assert abs(math.remainder(grid.at(at_s) - beat, 4.0)) * 60 / 137 < 0.010
            finally:
                peer.kill()
        _wait_for(lambda: not show.state.grids)
        _wait_for(lambda: len(told) == 2)
    assert told == ["Link: in a session of 2 at 137.00 BPM", "Link: the session is gone; it is waited for"]


def test_nothing_is_joined_before_a_session_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a peer of Link announces counts, as its discovery protocol has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, link._listener() as ours:
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        peer.sendto(b"_asdp_v\x01\x01\x05\x00\x00" + bytes(8), (link.GROUP, link.PORT))
        ours.settimeout(PATIENCE_S)
        assert ours.recv(100).startswith(link.ANNOUNCED)


def test_without_the_package_the_command_and_the_licence_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    with pytest.raises(MissingPart, match=r"GPL-3.0\): pip install 'tpos-live\[link\]'"):
        LinkClock(Show(), WallClock())
