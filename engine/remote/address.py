"""Where the page is: `--remote HOST:PORT`, the links to it, and the same as a picture for a phone's camera."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.hosts import is_local, own_addresses
from tpos_models.errors import InputError

HOST, PORT = "127.0.0.1", 9080


@dataclass(frozen=True, slots=True)
class Place:
    """The address to listen on; 0.0.0.0 is every network of this machine."""

    host: str = HOST
    port: int = PORT

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a link carries: whoever has `operator` plays the show, whoever has `viewer` looks on."""

    operator: str
    viewer: str

    @classmethod
    def new(cls) -> Tokens:
        """Another pair for every show."""
        return cls(secrets.token_urlsafe(16), secrets.token_urlsafe(16))


def parse_place(text: str) -> Place:
    """`HOST:PORT`, `HOST`, `:PORT` or a port alone, what is left out as in `Place`. Raises InputError."""
    host, colon, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    if not colon and text.isdigit():
        host, port = "", text
    if not (port.isdigit() and int(port) < 65_536) and port:
        raise InputError(f"--remote {text}; accepted: HOST:PORT, for instance {HOST}:{PORT}, or 0.0.0.0:{PORT}")
    return Place(host.strip("[]") or HOST, int(port) if port else PORT)


def links(place: Place, tokens: Tokens | None) -> Iterator[tuple[str, str]]:
    """Who a link is for, and the link: to play, and where there are tokens to look on."""
    everywhere = place.host in ("0.0.0.0", "::")
    host = next(iter(own_addresses()), HOST) if everywhere else place.host
    base = f"http://{f'[{host}]' if ':' in host else host}:{place.port}/"
    if tokens is None:
        yield "page", base
        return
    yield "page", f"{base}?token={tokens.operator}"
    yield "to look on", f"{base}?token={tokens.viewer}"


def qr_lines(link: str) -> list[str]:
    """A link as a picture of half blocks, dark on light, as cameras want it."""
    import segno

    rows = [[bool(module) for module in row] for row in segno.make(link, error="l", micro=False).matrix_iter(border=2)]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    blocks = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(blocks[pair] for pair in zip(above, below, strict=True)) for above, below in pairs]
