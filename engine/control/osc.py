"""OSC over UDP: datagrams in, commands to the queue; status and trouble out.

One thread owns the socket. It parses, validates, enqueues and reports, and never waits for the show. Nothing that comes
in can raise out of it: garbage is counted, wrong values are answered on `/tpos/error`, at most a few times a second to
each sender so that a flood is not answered by a flood.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pythonosc import osc_message
from pythonosc.osc_message_builder import build_msg

from engine.control.queue import Command, CommandError, CommandQueue
from engine.control.show import ADDRESSES, Address, find, parse, signature
from engine.core.clock import Clock, WallClock
from engine.core.messages import Heard
from tpos_models.errors import InputError, RunError

HOST, PORT = "127.0.0.1", 9000
STATUS_PERIOD_S = 0.1
REPLIES_PER_S, MAX_SENDERS = 10.0, 64
MAX_DATAGRAM, MAX_NESTING, MAX_ARGUMENTS = 65_536, 8, 64
RECEIVE_BUFFER = 1 << 20
"""Bytes the system holds while this thread is not scheduled: seconds of a 1000/s flood."""
SHOWN_TEXT = 500

Peer = tuple[Any, ...]


class MalformedError(ValueError):
    """A datagram that is not OSC."""


def read_datagram(data: bytes) -> list[osc_message.OscMessage]:
    """The messages of one datagram in order, those of nested bundles included.

    Time tags are read over: everything is carried out on arrival, because a picture late by its sender's clock helps
    nobody. python-osc parses each message; bundles are walked here, where its own walk never ends on a negative size.
    Raises MalformedError.
    """
    messages: list[osc_message.OscMessage] = []
    _read(data, messages, 0)
    return messages


def _read(data: bytes, messages: list[osc_message.OscMessage], depth: int) -> None:
    if data.startswith(b"/"):
        messages.append(_read_message(data))
    elif data.startswith(b"#bundle\0") and len(data) >= 16 and depth < MAX_NESTING:
        at = 16
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if not 0 < size <= len(data) - at - 4:
                raise MalformedError("a bundle element runs past the end of the datagram")
            _read(data[at + 4 : at + 4 + size], messages, depth + 1)
            at += 4 + size
    else:
        raise MalformedError("neither an OSC message nor a bundle")


def _read_message(data: bytes) -> osc_message.OscMessage:
    tags_at = (data.find(b"\0") // 4 + 1) * 4
    tags = data[tags_at + 1 : data.find(b"\0", tags_at)]
    if len(tags) > MAX_ARGUMENTS or not set(tags) <= set(b"ifsdhbTFN"):
        raise MalformedError("type tags other than up to 64 of i f s d h b T F N")
    try:
        return osc_message.OscMessage(data)
    except (osc_message.ParseError, UnicodeDecodeError) as error:
        raise MalformedError("a message that ends early or is not UTF-8") from error


@dataclass(frozen=True, slots=True)
class Status:
    """What the show reports ten times a second; see `STATUS` for units."""

    fps: float = 0.0
    delay_ms: float = 0.0
    level: float = 0.0
    beat: int = 0
    bpm: float = 0.0
    heard: tuple[Heard, ...] = ()
    prompt: str = ""
    preset: str = ""
    cue: int = -1
    recording: bool = False
    state: str = "ok"


STATUS: tuple[tuple[str, str, str], ...] = (
    ("fps", "f", "Sampled frames per second."),
    ("delay_ms", "f", "From the newest sound in a frame to the frame."),
    ("level", "f", "Loudness after gain, 0..1."),
    ("beat", "i", "Beats counted: changes at each beat."),
    ("bpm", "f", "Tempo, 0 while unknown."),
    ("heard", "s f ...", "What the sound resembles, strongest first: phrase, weight."),
    ("prompt", "s", "The prompts on screen."),
    ("preset", "s", "The running preset."),
    ("cue", "i", "The current cue from 1, 0 before the first."),
    ("recording", "i", "1 while recording."),
    ("state", "s", "ok, or what is wrong."),
    ("heartbeat", "i", "Grows by one with each report."),
)


def status_values(status: Status, heartbeat: int) -> dict[str, list[Any]]:
    """The arguments of every `/tpos/status/...` message."""
    heard = [value for h in status.heard for value in (_shown(h.phrase), float(h.weight))]
    return {
        "fps": [float(status.fps)],
        "delay_ms": [float(status.delay_ms)],
        "level": [float(status.level)],
        "beat": [int(status.beat)],
        "bpm": [float(status.bpm)],
        "heard": heard or ["", 0.0],
        "prompt": [_shown(status.prompt)],
        "preset": [_shown(status.preset)],
        "cue": [status.cue + 1],
        "recording": [int(status.recording)],
        "state": [_shown(status.state)],
        "heartbeat": [heartbeat],
    }


def _shown(text: str) -> str:
    return text[:SHOWN_TEXT].replace("\0", " ").encode(errors="replace").decode()


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


class _Allowance:
    """So many answers a second to each sender, remembered for the most recent senders only."""

    def __init__(self) -> None:
        self._spent: dict[Peer, tuple[float, float]] = {}

    def take(self, sender: Peer, now_s: float) -> bool:
        left, then_s = self._spent.pop(sender, (REPLIES_PER_S, now_s))
        left = min(REPLIES_PER_S, left + (now_s - then_s) * REPLIES_PER_S)
        allowed = left >= 1
        self._spent[sender] = (left - allowed, now_s)
        if len(self._spent) > MAX_SENDERS:
            del self._spent[next(iter(self._spent))]
        return allowed


class OscServer:
    """The control thread. Bound when made, running between `start` and `close`; also a context manager.

    Commands go to `queue`; `check` may refuse one that the show cannot carry out (`Show.check`); `status` is asked ten
    times a second. Status goes to `target`, or to whoever sent last. Raises RunError for a port in use, InputError for
    an address that is not this machine's or a port that is not allowed.
    """

    def __init__(
        self,
        queue: CommandQueue,
        *,
        host: str = HOST,
        port: int = PORT,
        target: tuple[str, int] | None = None,
        check: Callable[[Command], None] = lambda command: None,
        status: Callable[[], Status] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._queue, self._check, self._status = queue, check, status
        self._clock = clock or WallClock()
        self._socket = _bind(host, port)
        self._target = _resolve(target, self._socket.family) if target else None
        self._sender: Peer | None = None
        self._allowance = _Allowance()
        self._told: deque[tuple[Peer, CommandError]] = deque(maxlen=MAX_SENDERS)
        self._heartbeat, self._due_s = 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tpos-osc", daemon=True)
        self.counts = OscCounts()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port it listens on."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> OscServer:
        """Begin to listen."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening and free the port; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def tell(self, error: CommandError) -> None:
        """Answer the last sender, from any thread, about a command that failed after it was taken."""
        if self._sender:
            self._told.append((self._sender, error))

    def __enter__(self) -> OscServer:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        self._socket.settimeout(STATUS_PERIOD_S / 2)
        while not self._stop.is_set():
            if arrived := self._wait():
                self._receive(*arrived)
            while self._told:
                self._answer(*self._told.popleft())
            self._report()

    def _wait(self) -> tuple[bytes, Peer] | None:
        try:
            return self._socket.recvfrom(MAX_DATAGRAM)
        except (TimeoutError, ConnectionError):  # Windows reports a listener gone as a reset of our own socket
            return None

    def _receive(self, data: bytes, sender: Peer) -> None:
        self._count(datagrams=1)
        try:
            messages = read_datagram(data)
        except MalformedError as error:
            self._count(malformed=1)
            self._answer(sender, CommandError("", f"malformed datagram: {error}", "an OSC 1.0 message or bundle"))
            return
        self._sender = sender
        now_s = self._clock.now()
        commands = [c for m in messages if (c := self._validate(m.address, m.params, now_s, sender))]
        refused = self._queue.put(*commands)
        self._count(commands=len(commands) - refused, refused=refused)

    def _validate(self, address: str, values: list[Any], now_s: float, sender: Peer) -> Command | None:
        if address == "/tpos/error" or address.startswith("/tpos/status/"):
            return None  # our own voice, echoed back: answering it would never end
        try:
            command, clamped = parse(address, values, now_s)
            self._check(command)
        except CommandError as error:
            self._count(refused=1)
            self._answer(sender, error)
            return None
        if clamped:
            self._count(clamped=1)
            self._answer(sender, CommandError(address, clamped, _accepted(address)))
        return command

    def _answer(self, sender: Peer, error: CommandError) -> None:
        if not self._allowance.take(sender, self._clock.now()):
            self._count(unanswered=1)
            return
        words = [_shown(text) for text in (error.address, error.what, error.accepted)]
        for peer in {sender, self._target or sender}:
            self._send("/tpos/error", words, peer)
        self._count(answered=1)

    def _report(self) -> None:
        peer, now_s = self._target or self._sender, self._clock.now()
        if peer is None or self._status is None or now_s < self._due_s:
            return
        self._due_s = max(self._due_s + STATUS_PERIOD_S, now_s)
        self._heartbeat += 1
        for name, values in status_values(self._status(), self._heartbeat).items():
            self._send(f"/tpos/status/{name}", values, peer)

    def _send(self, address: str, values: list[Any], peer: Peer) -> None:
        try:
            self._socket.sendto(build_msg(address, values).dgram, peer)
        except OSError:  # unreachable, or its buffer is full: the next report follows in a moment
            self._count(unsent=1)

    def _count(self, **more: int) -> None:
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + by for name, by in more.items()})


def _accepted(address: str) -> str:
    return signature(find(address)[0])


def parse_target(text: str) -> tuple[str, int]:
    """`host:port`, as `--osc-target` takes it. Raises InputError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InputError(f"OSC target {text!r}; accepted: host:port, for instance 127.0.0.1:9001")
    return host.strip("[]"), int(port)


def _resolve(target: tuple[str, int], family: int) -> Peer:
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


def osc_table_markdown() -> str:
    """The README's tables of everything that can be sent and is reported."""
    bar = "\\|"
    rows = ["| Send | Arguments | What it does |", "|---|---|---|"]
    rows += [f"| `{row.path}` | {_arguments(row)} | {row.doc.replace('|', bar)} |" for row in ADDRESSES]
    rows += ["", "| Reported ten times a second | Arguments | What it says |", "|---|---|---|"]
    rows += [f"| `/tpos/status/{name}` | `{tags}` | {doc} |" for name, tags, doc in STATUS]
    rows += ["| `/tpos/error` | `s s s` | On trouble, to the sender: address, what is wrong, what is accepted. |"]
    return "\n".join(rows) + "\n"


def _arguments(row: Address) -> str:
    cells = []
    for a in row.arguments:
        text = f"{a.kind} {a.name}" + (f" {a.low:g}..{a.high:.12g}" if a.kind in "if" else "")
        cells.append(f"`[{text}]`" if a.optional else f"`{text}`")
    return " ".join(cells)
