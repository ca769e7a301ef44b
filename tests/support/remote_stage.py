"""A show with its page on loopback: real sockets, and commands taken and carried out as the redraws would."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from websockets.sync.client import ClientConnection, connect

from engine.control import presets
from engine.control.osc import OscServer
from engine.control.osc_status import Status
from engine.control.show import Effect, Show
from engine.core.clock import WallClock
from engine.core.messages import SILENCE, Heard
from engine.core.preview import Preview
from engine.remote.address import Place, Tokens
from engine.remote.board import Board, HostInfo
from engine.remote.server import RemoteServer

PATIENCE_S = 20.0
SIZES = {"small phone": (360, 640), "phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
STATUS = Status(
    fps=19.5, sound=SILENCE, heard=(Heard("rain", 0.75), Heard("fire", 0.25)), prompt="a beach", model="cpu fp32"
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stage:
    """Opened by `with`; `tokens` as on a network, though it is on loopback."""

    tokens: Tokens | None = None
    osc_is_open: bool = False
    announced: bool = False
    show: Show = field(default_factory=lambda: Show(presets.load("beach_fire_waves"), presets.library()[0]))
    status: Callable[[], Status] = lambda: STATUS
    wall: Preview | None = None
    carry_out: Callable[[Effect], object] = lambda effect: None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.troubles: list[str] = []
            self.preview = Preview()
            self.osc = stack.enter_context(OscServer(self.show.queue, port=0, check=self.show.check))
            board = Board(self.show, self.status, HostInfo("TPoS test", *self.osc.address), WallClock().now)
            self.server = stack.enter_context(
                RemoteServer(
                    board, self.preview, Place("127.0.0.1", 0), self.tokens, wall=self.wall,
                    osc_is_open=self.osc_is_open, trouble=self.troubles.append, announced=self.announced,
                )
            )  # fmt: skip
            self.over = threading.Event()
            thread = threading.Thread(target=self._redraw)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self.over.set)
            self.until(lambda: self.server.is_serving)
            self._running = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.place.port}"

    def get(self, path: str, **headers: str) -> Answer:
        """What a client without anything of a browser is answered."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self, path: str = "/remote/socket", **headers: str) -> ClientConnection:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return connect(f"ws://{self.host}{path}", additional_headers=given, close_timeout=1)

    def until(self, met: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not met():
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.002)

    def _redraw(self) -> None:
        """Takes commands, and hands over a small picture where one is due, as the main thread does."""
        shade = 0
        while not self.over.wait(0.004):
            self.show.current()
            while self.show.effects:
                self.carry_out(self.show.effects.popleft())
            if self.preview.due:
                shade = (shade + 1) % 200
                self.preview.put(np.full((90, 160, 3), shade, np.uint8))


class Told(Stage):
    """Reports what it is told to."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.told = STATUS
        super().__init__(tokens, status=lambda: self.told)


class Network:
    """Between a page and its show, opened by `with`.

    While it is `cut` it swallows what it should carry, and nobody is told; what began meanwhile or spoke stays dead.
    """

    def __init__(self, stage: Stage) -> None:
        self._show = ("127.0.0.1", stage.server.place.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = False

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def drop(self) -> None:
        """End every connection there is, dead or alive; both sides are told."""
        for end in tuple(self._ends):
            with suppress(OSError):  # it was ended before
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                page = self._listener.accept()[0]
                self._ends.append(page)
                if self.cut:
                    continue
                show = socket.create_connection(self._show)
                self._ends.append(show)
                for ends in ((page, show), (show, page)):
                    self._threads.append(threading.Thread(target=self._carry, args=ends))
                    self._threads[-1].start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):  # an end is closed
            while said := one.recv(1 << 16):
                if self.cut:
                    return
                other.sendall(said)
            other.shutdown(socket.SHUT_WR)


def received(socket: ClientConnection, wanted: Callable[[Any], object]) -> Any:
    """The first message for which `wanted` holds: JSON for text, bytes as they are."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = socket.recv(timeout=PATIENCE_S)
        told = message if isinstance(message, bytes) else json.loads(message)
        if wanted(told):
            return told
    raise AssertionError("nothing came")


def drained(socket: ClientConnection) -> int:
    """How many messages had come; a client that never reads is told no more."""
    count = 0
    with suppress(TimeoutError):
        while True:
            socket.recv(timeout=0)
            count += 1
    return count


def opened(
    browser: Any, stage: Stage | Network, size: tuple[int, int], touch: bool = True, token: str = ""
) -> tuple[Any, list[str]]:
    """The page filled by the show, and the list to which its troubles go."""
    page = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), has_touch=touch).new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"http://{stage.host}/{token and f'?token={token}'}")
    page.wait_for_selector("#faders .fader", state="attached")
    return page, troubles


def touched(page: Any, way: Iterable[tuple[float, float]]) -> None:
    """A finger put down, moved along a way of places on the screen, where it rests, and lifted: no fling."""
    touches, kind = page.context.new_cdp_session(page), "touchStart"
    for x, y in way:
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        kind = "touchMove"
    time.sleep(0.1)
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
