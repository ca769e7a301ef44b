"""The page's and OSCQuery's server, in a thread of its own; the show never waits for it."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable

import uvicorn

from engine.core.preview import Preview
from engine.remote.access import Guard
from engine.remote.address import Place, Tokens
from engine.remote.announce import Announcement
from engine.remote.board import Board
from engine.remote.pictures import Pictures
from engine.remote.routes import routes
from tpos_models.errors import InputError, RunError

JOIN_S = 3.0
MOST_CONNECTIONS = 128
MOST_BYTES = 1 << 20
"""Of one message; a prompt has at most 64,000 characters."""


class RemoteServer:
    """Bound when made, serving between `start` and `close`; also a context manager.

    `board` is what it shows and where commands go, `preview` where pictures come from, `wall` those of the output that
    is mapped; with `tokens` only who has one comes in. What goes wrong is told to `trouble`, in a line. Raises RunError
    for a port in use, InputError for an address that is not this machine's.
    """

    def __init__(
        self,
        board: Board,
        preview: Preview,
        place: Place,
        tokens: Tokens | None = None,
        *,
        wall: Preview | None = None,
        osc_is_open: bool = False,
        trouble: Callable[[str], None] = lambda line: None,
        announced: bool = True,
    ) -> None:
        self._socket = _bind(place)
        self.place = Place(place.host, self._socket.getsockname()[1])
        self.pictures = Pictures(preview)
        self._trouble = trouble
        shown = {"preview": self.pictures, "mapping": Pictures(wall or Preview())}
        guard = Guard(routes(board, shown), tokens, osc_is_open)
        self._server = uvicorn.Server(
            uvicorn.Config(
                guard, log_config=None, log_level="critical", access_log=False, lifespan="off", server_header=False,
                http="httptools", ws="websockets-sansio", ws_max_size=MOST_BYTES, ws_per_message_deflate=False,
                limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=1, proxy_headers=False,
            )
        )  # fmt: skip
        self._announcement = Announcement(self.place, board.host, trouble) if announced else None
        self._thread = threading.Thread(target=self._run, name="tpos-remote", daemon=True)

    @property
    def is_serving(self) -> bool:
        """Whether it answers."""
        return self._server.started and self._thread.is_alive()

    def start(self) -> RemoteServer:
        """Begin to serve."""
        self._thread.start()
        if self._announcement:
            self._announcement.start()
        return self

    def close(self) -> None:
        """Stop serving and free the port, within a few seconds; twice is harmless."""
        if self._announcement:
            self._announcement.close()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(JOIN_S)
        self._socket.close()

    def __enter__(self) -> RemoteServer:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception as error:  # noqa: BLE001 the show goes on without the page, and says why
            self._trouble(f"the page has ended: {error}")


def _bind(place: Place) -> socket.socket:
    try:
        family, kind, protocol, _, peer = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"--remote {place.host}: not known here; accepted: 127.0.0.1, 0.0.0.0 for all") from error
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a show that starts again need not wait for its port
    try:
        sock.bind(peer)
        sock.listen(MOST_CONNECTIONS)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            where = f"{place.host}:{place.port}"
            raise RunError(f"the page's port {where} is in use by another program: choose another --remote") from error
        raise InputError(f"--remote {place.host}: {error.strerror}; accepted: an address of this machine") from error
    return sock
