"""OSC over UDP: datagrams in, commands to the queue; status and trouble out.

One thread owns the socket. It parses, validates, enqueues and reports, and never waits for the show. Nothing that comes
in can raise out of it: garbage is counted, wrong values are answered on `/tpos/error`, at most a few times a second to
each sender so that a flood is not answered by a flood.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from pythonosc.osc_message_builder import build_msg

from engine.control.addresses import find, parse, signature
from engine.control.arguments import CommandError
from engine.control.osc_status import ERROR, MASK, PREFIX, Status, is_own, mask_values, shown, status_values
from engine.control.osc_wire import MAX_DATAGRAM, TYPE_TAGS, MalformedError, newest, one_by_one, read_datagram
from engine.control.queue import Command, CommandQueue, Sender
from engine.core.clock import Clock, WallClock
from engine.core.hosts import is_local, own_addresses
from engine.core.messages import Frame
from engine.core.own_thread import OwnThread
from tpos_models.errors import InputError, RunError

HOST, PORT = "127.0.0.1", 9000
STATUS_PERIOD_S = 0.1
FRAME_PERIOD_S = 0.01
"""How often it is looked for a new frame, where frames say where the sound is drawn."""
REPLIES_PER_S, STRANGERS_REPLIES_PER_S, MAX_SENDERS = 10.0, 50.0, 64
LOOK_S = 10.0
EXPIRES_S = 30.0
"""A sender that says nothing for so long is told nothing more."""
MAX_BUTTONS = 256
HELD_S = 0.3
"""A button that says it is pressed again within this is still held; surfaces that never say "released" wait longer."""
CALM_S, MOST_AT_ONCE = 0.001, 256
"""What comes sooner after another is part of a flood, and is gathered, so many datagrams at once."""
RECEIVE_BUFFER = 1 << 20
"""Bytes the system holds while this thread is not scheduled: seconds of a 1000/s flood."""


@dataclass(frozen=True, slots=True)
class OscCounts:
    """What came in and went out so far; `unanswered` are errors that a sender had too many of."""

    datagrams: int = 0
    commands: int = 0
    malformed: int = 0
    refused: int = 0
    clamped: int = 0
    answered: int = 0
    unanswered: int = 0
    unsent: int = 0


class _Bucket:
    """So many a second, and as many at once."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s, self._left, self._then_s = per_s, per_s, now_s

    def take(self, now_s: float) -> bool:
        self._left = min(self._per_s, self._left + (now_s - self._then_s) * self._per_s)
        self._then_s = now_s
        allowed = self._left >= 1
        self._left -= allowed
        return allowed


class _Allowance:
    """So many answers a second to each sender, remembered for the most recent senders only.

    Who is not on this machine gets one for each datagram at most, and all of these not too many: addresses can be
    forged, and an answer that is more than what came would be a weapon.
    """

    def __init__(self) -> None:
        self._of_each: dict[Sender, _Bucket] = {}
        self._of_strangers = _Bucket(STRANGERS_REPLIES_PER_S, 0.0)
        self._owed: Sender | None = None
        """The stranger who is owed an answer, to the newest datagram."""

    def received(self, sender: Sender) -> None:
        """A datagram came."""
        self._owed = sender

    def take(self, sender: Sender, now_s: float) -> bool:
        if not _is_here(sender):
            if self._owed != sender or not self._of_strangers.take(now_s):
                return False
            self._owed = None
        bucket = self._of_each.pop(sender, None) or _Bucket(REPLIES_PER_S, now_s)
        self._of_each[sender] = bucket
        if len(self._of_each) > MAX_SENDERS:
            del self._of_each[next(iter(self._of_each))]
        return bucket.take(now_s)


def _is_here(sender: Sender) -> bool:
    """Whether a sender is on this machine."""
    host = str(sender[0])
    return is_local(host) or host in _addresses(int(time.monotonic() / LOOK_S))


@lru_cache(1)
def _addresses(look: int) -> frozenset[str]:
    """This machine's, looked up once in each LOOK_S: a flood of datagrams asks for every one."""
    return frozenset(own_addresses())


class _Buttons:
    """Which buttons are held down, by sender and address: one press is one press, however often it is repeated."""

    def __init__(self) -> None:
        self._held_s: dict[tuple[Sender, str], float] = {}

    def acts(self, sender: Sender, address: str, pressed: bool, now_s: float) -> bool:
        """Whether this message is the edge at which the button goes down."""
        held_s = self._held_s.pop((sender, address), None)
        if not pressed:
            return False
        self._held_s[sender, address] = now_s
        if len(self._held_s) > MAX_BUTTONS:
            del self._held_s[next(iter(self._held_s))]
        return held_s is None or now_s - held_s > HELD_S


class OscServer(OwnThread):
    """The control thread. Bound when made, running between `start` and `close`; also a context manager.

    Commands go to `queue`; `check` may refuse one that the show cannot carry out (`Show.check`); `status` is asked ten
    times a second, `frame` for the newest one. What is reported goes to `target`, or to whoever on this machine sent
    last, for half a minute. Raises RunError for a port in use, InputError for an address that is not this machine's or
    a port that is not allowed.
    """

    def __init__(
        self,
        queue: CommandQueue,
        *,
        host: str = HOST,
        port: int = PORT,
        target: tuple[str, int] | None = None,
        check: Callable[[Command], Command] = lambda command: command,
        status: Callable[[], Status] | None = None,
        frame: Callable[[], Frame | None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._queue, self._check, self._status, self._frame = queue, check, status, frame
        self._clock = clock or WallClock()
        self._socket = _bind(host, port)
        self._target = _resolve(target, self._socket.family) if target else None
        self._sender: Sender | None = None
        """Who on this machine sent last, at `_sent_s`."""
        self._sent_s = 0.0
        self._allowance = _Allowance()
        self._buttons = _Buttons()
        self._heartbeat, self._due_s = 0, 0.0
        self._reported: Frame | None = None
        super().__init__("tpos-osc")
        self.counts = OscCounts()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port it listens on."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Stop listening and free the port; may be called twice."""
        super().close()
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._thread.turn()
            masked = self._reported is not None and self._reported.mask is not None
            self._socket.settimeout(FRAME_PERIOD_S if masked else STATUS_PERIOD_S / 2)
            told = newest(came := self._gather())
            if gone := len(came) - len(told):
                self._queue.replaced(gone)
                self._count(datagrams=gone, commands=gone)
            for data, sender in told:
                self._receive(data, sender)
            for sender, error in self._queue.take_failures():
                self._answer(sender, error)
            if peer := self._target or self._listening():
                self._report_frame(peer)
                self._report(peer)

    def _listening(self) -> Sender | None:
        """Who on this machine sent last, and not too long ago; a stranger is told nothing that nobody configured."""
        return self._sender if self._clock.now() - self._sent_s < EXPIRES_S else None

    def _gather(self) -> list[tuple[bytes, Sender]]:
        """What came, once something has, or nothing for a while; a flood is not answered datagram by datagram."""
        since_s = time.monotonic()
        if (first := self._arrived()) is None:
            return []
        if time.monotonic() - since_s > CALM_S:
            return [first]
        self._queue.let_flood(self._stop)
        self._socket.setblocking(False)
        others = iter(self._arrived, None)
        return [first, *islice(others, MOST_AT_ONCE)]

    def _arrived(self) -> tuple[bytes, Sender] | None:
        """The next datagram; None where there is none in time."""
        try:
            return self._socket.recvfrom(MAX_DATAGRAM)
        except (TimeoutError, BlockingIOError, ConnectionError):  # Windows: a listener gone resets our socket
            return None

    def _receive(self, data: bytes, sender: Sender) -> None:
        self._count(datagrams=1)
        self._allowance.received(sender)
        try:
            messages = read_datagram(data)
        except MalformedError as error:
            self._count(malformed=1)
            self._answer(sender, _refusal(error))
            return
        now_s = self._clock.now()
        if sender == self._sender or _is_here(sender):
            self._sender, self._sent_s = sender, now_s
        commands = [c for m in messages if (c := self._validate(m.address, m.params, now_s, sender))]
        refused = self._queue.put(*commands)
        self._count(commands=len(commands) - refused, refused=refused)

    def _validate(self, address: str, values: list[Any], now_s: float, sender: Sender) -> Command | None:
        """The command a message stands for; None where it is answered, or stands for none."""
        if is_own(address):
            return None
        try:
            command, clamped = parse(address, one_by_one(values), now_s, sender)
            command = self._check(command)
        except CommandError as error:
            self._count(refused=1)
            self._answer(sender, error)
            return None
        if clamped:
            self._count(clamped=1)
            self._answer(sender, CommandError(address, clamped, _accepted(address)))
        is_held = values and find(address)[0].is_button
        if is_held and not self._buttons.acts(sender, address, bool(command.args[0]), now_s):
            return None
        return command

    def _answer(self, sender: Sender, error: CommandError) -> None:
        if not self._allowance.take(sender, self._clock.now()):
            self._count(unanswered=1)
            return
        words = [shown(text) for text in (error.address, error.what, error.accepted)]
        for peer in {sender, self._target or sender}:
            self._send(ERROR, words, peer)
        self._count(answered=1)

    def _report_frame(self, peer: Sender) -> None:
        frame = self._frame()
        if frame is None or frame is self._reported:
            return
        self._reported = frame
        if frame.mask is not None:
            self._send(f"{PREFIX}{MASK[0]}", mask_values(frame.mask), peer)

    def _report(self, peer: Sender) -> None:
        now_s = self._clock.now()
        if self._status is None or now_s < self._due_s:
            return
        self._due_s = max(self._due_s + STATUS_PERIOD_S, now_s)
        self._heartbeat += 1
        for name, values in status_values(self._status(), self._heartbeat).items():
            self._send(f"{PREFIX}{name}", values, peer)

    def _send(self, address: str, values: list[Any], peer: Sender) -> None:
        try:
            self._socket.sendto(build_msg(address, values).dgram, peer)
        except OSError:  # unreachable, or its buffer is full: the next report follows in a moment
            self._count(unsent=1)

    def _count(self, **more: int) -> None:
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + by for name, by in more.items()})


def _refusal(error: MalformedError) -> CommandError:
    if error.address:
        return CommandError(error.address, str(error), f"arguments of the types {' '.join(TYPE_TAGS.decode())}")
    return CommandError("", f"malformed datagram: {error}", "an OSC 1.0 message or bundle")


def _accepted(address: str) -> str:
    return signature(find(address)[0])


def parse_target(text: str) -> tuple[str, int]:
    """`host:port`, as `--osc-target` takes it. Raises InputError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InputError(f"OSC target {text!r}; accepted: host:port, for instance 127.0.0.1:9001")
    return host.strip("[]"), int(port)


def port_is_free(host: str, port: int) -> bool:
    """Whether OSC could listen there."""
    try:
        _bind(host, port).close()
    except RunError:
        return False
    return True


def _resolve(target: tuple[str, int], family: int) -> Sender:
    try:
        return socket.getaddrinfo(*target, family=family, type=socket.SOCK_DGRAM)[0][4]
    except OSError as error:
        raise InputError(f"OSC target {target[0]}:{target[1]} is not known here: {error.strerror}") from error


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port < 65_536:
        raise InputError(f"OSC port {port}; accepted: 0..65535, 0 takes any free one")
    try:
        family, _, _, _, peer = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise InputError(f"OSC host {host!r} is not known here; accepted: 127.0.0.1, 0.0.0.0 for all") from error
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # a configured target may be a whole network
    try:
        sock.bind(peer)
    except OSError as error:
        sock.close()
        raise _bind_error(host, port, error) from error
    return sock


def _bind_error(host: str, port: int, error: OSError) -> InputError | RunError:
    if error.errno == errno.EADDRINUSE:
        return RunError(
            f"UDP port {port} on {host} is in use by another program: close it, or choose another --osc-port"
        )
    return InputError(f"OSC cannot listen on {host}:{port}: {error.strerror}; accepted: an address of this machine")
