"""The page and OSCQuery beside a live show: opened where asked for, said to the operator, closed with it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import ExitStack, suppress

from engine.app.notices import Notices
from engine.app.remote.thumbnails import ThumbnailMaker
from engine.control.osc_status import Status
from engine.control.show import Show
from engine.core import console
from engine.core.clock import Clock
from engine.core.hosts import is_local
from engine.core.preview import Preview
from engine.recording import run_folder
from engine.remote.address import Place, Tokens, links, qr_lines
from engine.remote.board import Board, HostInfo
from tpos_models.errors import InputError, MissingPart, RunError

LINKS = "links"
"""The file in a show's own folder that keeps what its links carry."""


class Remote:
    """The server at `place`, from `__enter__` to `__exit__`; where that is None, nothing.

    A port that is taken, or an address of another machine, is a line of trouble, and the show goes on without the page.
    Raises MissingPart where the packages are missing. `osc` is where OSC is listened to; pictures come from `preview`,
    those of the output that is mapped from `wall`.
    """

    def __init__(
        self,
        place: Place | None,
        show: Show,
        status: Callable[[], Status],
        preview: Preview,
        osc: tuple[str, int],
        notices: Notices,
        clock: Clock,
        wall: Preview | None = None,
    ) -> None:
        self._place, self._preview, self._wall, self._notices = place, preview, wall, notices
        self._osc_is_open = not is_local(osc[0])
        self._board = Board(show, status, HostInfo(f"TPoS Live on {platform.node()}", *osc), clock.now)
        self._running = ExitStack()
        self.place: Place | None = None
        """Where it answers; None where it does not."""
        if place is not None:
            _check_parts()

    def __enter__(self) -> Remote:
        if self._place is not None:
            try:
                self._open(self._place)
            except (InputError, RunError) as error:
                self._notices.trouble(str(error))
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def _open(self, place: Place) -> None:
        from engine.remote.server import RemoteServer

        tokens = None if place.is_local else _tokens()
        post = self._notices.post
        server = RemoteServer(
            self._board, self._preview, place, tokens, wall=self._wall, osc_is_open=self._osc_is_open, trouble=post
        )
        self._running.enter_context(server)
        library = self._board.library
        self._running.enter_context(ThumbnailMaker(library, lambda line: post(line, False)))
        self.place = server.place
        found = dict(links(server.place, tokens))
        for line in qr_lines(found["page"]) if tokens else ():
            console.notify(line)
        for whom, link in found.items():
            console.notify(f"{whom}: {link}")
        self._notices.note(f"page: {found['page'].partition('?')[0]}")  # the audience may see it: without the token


def _tokens() -> Tokens:
    """A pair for this show, the same for the process that goes on with it should this one die: phones stay in."""
    folder = run_folder.own()
    if folder is None:
        return Tokens.new()
    kept = folder / LINKS
    with suppress(OSError, TypeError, UnicodeError):
        return Tokens(*kept.read_text("utf-8").split())
    tokens = Tokens.new()
    with suppress(OSError):
        run_folder.replace_file(kept, f"{tokens.operator} {tokens.viewer}".encode())
    return tokens


def _check_parts() -> None:
    """Raise MissingPart where a package of the extra is missing."""
    try:
        import httptools  # noqa: F401
        import segno  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
        import zeroconf  # noqa: F401
    except ImportError as error:
        raise MissingPart(f"{error.name} is not installed; pip install 'tpos-live[remote]' adds it") from error
