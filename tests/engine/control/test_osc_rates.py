"""How often the OSC server speaks: on a clock moved by hand, over real loopback sockets."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

from engine.control import osc
from engine.control.osc import OscServer, Status
from engine.control.queue import CommandQueue
from engine.core.mailbox import Mailbox
from engine.core.messages import Frame

pytestmark = pytest.mark.realtime

PATIENCE_S = 10.0
NONSENSE = build_msg("/tpos/nonsense", 1.0).dgram
GOOD = build_msg("/tpos/motion", 0.5).dgram


class HandClock:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Rig:
    """A server on such a clock, and sockets to talk to it."""

    def __init__(
        self,
        stack: ExitStack,
        status: Callable[[], Status] | None = None,
        frame: Callable[[], Frame | None] = lambda: None,
    ) -> None:
        self._stack = stack
        self.clock = HandClock()
        self.server = OscServer(CommandQueue(), port=0, status=status, frame=frame, clock=self.clock).start()
        stack.enter_context(closing(self.server))

    def sender(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_S)
        return sock

    def send(self, sock: socket.socket, data: bytes, times: int = 1) -> None:
        """Send, and wait until the server has read it all."""
        wanted = self.server.counts.datagrams + times
        for _ in range(times):
            sock.sendto(data, self.server.address)
        deadline_s = time.monotonic() + PATIENCE_S
        while self.server.counts.datagrams < wanted or self._answers() < self.server.counts.refused:
            assert time.monotonic() < deadline_s, "nothing came"
            time.sleep(0.001)

    def _answers(self) -> int:
        return self.server.counts.answered + self.server.counts.unanswered


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_sender_has_ten_answers_a_second(stack: ExitStack) -> None:
    rig = Rig(stack)
    sender = rig.sender()
    rig.send(sender, NONSENSE, 15)
    assert (rig.server.counts.answered, rig.server.counts.unanswered) == (10, 5)
    rig.clock.now_s += 0.31
    rig.send(sender, NONSENSE, 5)
    assert (rig.server.counts.answered, rig.server.counts.unanswered) == (13, 7)
    rig.send(rig.sender(), NONSENSE)
    assert rig.server.counts.answered == 14, "another sender has its own ten"


def test_only_the_last_64_senders_are_remembered(stack: ExitStack) -> None:
    """Whoever fakes a new sender with every datagram must not fill the memory: the oldest is forgotten."""
    rig = Rig(stack)
    first = rig.sender()
    rig.send(first, NONSENSE, 11)
    assert rig.server.counts.unanswered == 1
    for _ in range(63):
        rig.send(rig.sender(), NONSENSE)
    rig.send(first, NONSENSE)
    assert rig.server.counts.unanswered == 2, "with 64 senders each is known"
    for _ in range(64):
        rig.send(rig.sender(), NONSENSE)
    rig.send(first, NONSENSE)
    assert rig.server.counts.unanswered == 2, "after 64 others it is a stranger with ten answers"


def heartbeat(sock: socket.socket) -> int:
    """The next heartbeat that arrives."""
    while True:
        message = OscMessage(sock.recv(4096))
        if message.address == "/tpos/status/heartbeat":
            return int(message.params[0])


def test_the_status_goes_out_ten_times_a_second(stack: ExitStack) -> None:
    rig = Rig(stack, status=Status)
    sender = rig.sender()
    rig.send(sender, GOOD)
    assert heartbeat(sender) == 1
    for tenth in range(1, 11):
        rig.clock.now_s = 50.0 + tenth / 10 + 1e-6
        assert heartbeat(sender) == 1 + tenth
    sender.settimeout(0.3)
    with pytest.raises(TimeoutError):
        heartbeat(sender)


def test_a_server_that_was_held_up_does_not_make_up_for_it(stack: ExitStack) -> None:
    rig = Rig(stack, status=Status)
    sender = rig.sender()
    rig.send(sender, GOOD)
    assert heartbeat(sender) == 1
    rig.clock.now_s += 5.0
    sender.settimeout(0.3)
    assert heartbeat(sender) == 2
    last = 2
    with suppress(TimeoutError):
        last = heartbeat(sender)
        last = heartbeat(sender)
    assert last <= 3, "fifty reports were missed"


def drawn(rows: slice, columns: slice, share: float) -> Frame:
    """A frame whose sound is drawn in a part of 4 x 8 cells."""
    mask = np.zeros((4, 8), np.float32)
    mask[rows, columns] = share
    return Frame(0, np.zeros((1, 1, 4), np.uint8), 0.0, 0.0, 0, "", (), 0, 2, mask=mask)


def test_where_the_sound_is_drawn_is_reported_once_with_each_frame_and_as_soon_as_it_is_there() -> None:
    frames: Mailbox[Frame] = Mailbox()
    parts = [
        (drawn(slice(0, 1), slice(6, 8), 1.0), (0.875, 0.125, 2 / 32)),
        (drawn(slice(2, 4), slice(0, 8), 0.5), (0.5, 0.75, 8 / 32)),
        (drawn(slice(0, 4), slice(0, 8), 0.0), (0.5, 0.5, 0.0)),
    ]
    with ExitStack() as stack:
        rig = Rig(stack, frame=frames.peek)
        peer = rig.sender()
        rig.send(peer, GOOD)
        waits_s = []
        for k in range(30):
            frame, want = parts[k % 3]
            put_s = time.monotonic()
            frames.put(replace(frame, index=k))
            report = OscMessage(peer.recv(4096))
            waits_s.append(time.monotonic() - put_s)
            assert report.address == "/tpos/status/mask"
            assert report.params == pytest.approx(want)
        assert sorted(waits_s)[15] < 0.025, "not ten times a second"
        frames.put(replace(frame, mask=None))
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):  # neither twice, nor where it is not known
            peer.recv(4096)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one loopback address")
def test_a_stranger_gets_one_datagram_for_one_at_most_and_no_status(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.2 stands for another machine: a forged sender must not be flooded by us."""
    monkeypatch.setattr(osc, "is_local", lambda host: host == "127.0.0.1")
    rig = Rig(stack, status=Status)
    stranger = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    stranger.bind(("127.0.0.2", 0))
    stranger.settimeout(0.5)
    twenty = b"#bundle\0" + bytes(7) + b"\x01" + (len(NONSENSE).to_bytes(4, "big") + NONSENSE) * 20
    rig.send(stranger, twenty, 3)
    rig.send(stranger, GOOD)
    rig.clock.now_s += 5.0
    got = []
    with suppress(TimeoutError):
        while True:
            got.append(OscMessage(stranger.recv(4096)).address)
    assert got == ["/tpos/error"] * 3
    rig.send(stranger, NONSENSE, 200)
    rig.clock.now_s += 60.0
    assert rig.server.counts.answered <= 3 + 50


def test_who_says_nothing_for_a_minute_is_told_nothing_more(stack: ExitStack) -> None:
    rig = Rig(stack, status=Status)
    sender = rig.sender()
    rig.send(sender, GOOD)
    assert heartbeat(sender) == 1
    rig.clock.now_s += 60.0
    sender.settimeout(0.5)
    with pytest.raises(TimeoutError):
        heartbeat(sender)
    rig.send(sender, GOOD)
    assert heartbeat(sender) == 2
