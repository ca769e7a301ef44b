"""What is found where: OSCQuery at / and below it, the page at / for browsers, its parts under /page and /remote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from engine.remote import oscquery
from engine.remote.access import COOKIE, Role, given_token, is_oscquery
from engine.remote.board import Board
from engine.remote.page_socket import PageSession
from engine.remote.pictures import Pictures
from engine.remote.thumbnails import Thumbnails

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""Of the page's parts, which are kept in memory: they come at once, however busy the disk and the threads are."""
COOKIE_S = 24 * 3600
"""A phone stays in for a day, or until the show ends."""


@cache
def _parts() -> dict[str, bytes]:
    return {part.name: part.read_bytes() for part in files("engine.remote").joinpath("page").iterdir()}


def _part(name: str) -> Response:
    """A part of the page."""
    if name not in _parts():
        return Response(status_code=404)
    return Response(_parts()[name], media_type=TYPES[name.rpartition(".")[2]])


def routes(board: Board, pictures: Mapping[str, Pictures]) -> Starlette:
    """The application behind the guard; `pictures` by their names."""
    thumbnails = Thumbnails()

    async def root(request: Request) -> Response:
        if is_oscquery(request.scope, request.headers):
            return await nodes(request)
        page = _part("index.html")
        if token := given_token(request.scope):
            page.set_cookie(COOKIE, token, max_age=COOKIE_S, httponly=True, samesite="strict")
        return page

    async def part(request: Request) -> Response:
        return _part(request.path_params["name"])

    async def nodes(request: Request) -> Response:
        status, said = oscquery.answer(board, request.url.path, request.url.query)
        return Response(json.dumps(said) if status == 200 else "", status, media_type="application/json")

    async def picture(request: Request) -> Response:
        shown, known = pictures.get(request.path_params["name"]), request.query_params.get("after", "0")
        newest = await shown.newer(int(known) if known.isdecimal() else 0) if shown else None
        if newest is None:
            return Response(status_code=204)
        number, jpeg = newest
        return Response(jpeg, media_type="image/jpeg", headers={"X-Number": str(number), "Cache-Control": "no-store"})

    async def thumbnail(request: Request) -> Response:
        file = request.path_params["file"]
        if file not in thumbnails.known(board.view.looks.library).values():
            return Response(status_code=404)
        return FileResponse(thumbnails.folder / file, headers={"Cache-Control": f"max-age={COOKIE_S}, immutable"})

    async def page_socket(socket: WebSocket) -> None:
        await PageSession(board, Role(socket.scope["role"]), thumbnails).run(socket)

    async def listener(socket: WebSocket) -> None:
        await oscquery.Listener(board).run(socket)

    return Starlette(
        routes=[
            Route("/", root),
            WebSocketRoute("/", listener),
            WebSocketRoute("/remote/socket", page_socket),
            Route("/remote/{name}.jpg", picture),
            Route("/remote/thumbnail/{file}", thumbnail),
            Route("/page/{name}", part),
            Route("/{path:path}", nodes),
        ]
    )
