"""Who may come in: nobody whom another site sends, in a network only who has a token."""

from __future__ import annotations

import ipaddress
import secrets
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from engine.core.hosts import is_local, own_names
from engine.remote.address import Tokens

COOKIE = "tpos"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""What every answer says: nothing of it is for another site, or from one."""


class Role(StrEnum):
    """What somebody may do."""

    OPERATOR = "operator"
    VIEWER = "viewer"


class Guard:
    """Refuses, in one line, whoever may not come in; all others reach `app` with `role` in the scope.

    The Host must be an address or a name of this machine, so that no name that another site points here (DNS
    rebinding) gets in, and an Origin must be that host: no other site's page can speak to the show. Where there are
    `tokens`, one of them is needed, in the link or in the cookie that the link left. What OSC's own port tells
    everybody in the network (`osc_is_open`) OSCQuery tells without one.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens | None, osc_is_open: bool = False) -> None:
        self._app, self._tokens, self._osc_is_open = app, tokens, osc_is_open
        self._names = own_names()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refused is None:
            await self._app(scope, receive, answer)
        elif scope["type"] == "http":
            await refused(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(refused)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _refused(403, f"host {host:.60}: no name of this machine; accepted: the link that the show gave\n")
        if (origin := headers.get("origin", "")) and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return _refused(403, f"origin {origin:.60}: another site's page; accepted: http://{host}\n")
        if headers.get("sec-fetch-site", "none") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "asked by another site's page; accepted: the show's own page\n")
        scope["role"] = role = self._role(scope, headers)
        if role is None and not (self._osc_is_open and is_oscquery(scope, headers)):
            return _refused(401, "no token, or one of another show; accepted: the link or QR code that the show gave\n")
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.lower().rpartition(":")[0] if ":" in host.rpartition("]")[2] else host.lower()
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return is_local(name) or name in self._names
        return True

    def _role(self, scope: Scope, headers: Headers) -> Role | None:
        if self._tokens is None:
            return Role.OPERATOR
        for token in (given_token(scope), _cookie(headers)):
            if secrets.compare_digest(token.encode(), self._tokens.operator.encode()):
                return Role.OPERATOR
            if secrets.compare_digest(token.encode(), self._tokens.viewer.encode()):
                return Role.VIEWER
        return None


def given_token(scope: Scope) -> str:
    """The token in a link, "" for none."""
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]


def is_oscquery(scope: Scope, headers: Headers) -> bool:
    """Whether an OSCQuery client asks, and no browser for the page: the two share /."""
    path = scope["path"]
    wants_page = "text/html" in headers.get("accept", "")
    return path.startswith("/tpos") or (path == "/" and not wants_page)


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _refused(status: int, line: str) -> PlainTextResponse:
    return PlainTextResponse(line, status, HEADERS)
