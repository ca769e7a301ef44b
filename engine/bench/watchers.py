"""Pages as phones open them, in a process of its own: `python watchers.py HOST:PORT COUNT`; ends with its input.

Each hears the page's websocket and looks at one preview after the other, as fast as they come. It says a line when all
have seen one.
"""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from websockets.sync.client import connect


def hear(host: str) -> None:
    """Take in what the page is told."""
    with connect(f"ws://{host}/remote/socket") as socket:
        for _ in socket:
            pass


def look(host: str, seen: Callable[[], object]) -> None:
    """Look at the preview."""
    phone, known = http.client.HTTPConnection(host, timeout=20), "0"
    while True:
        phone.request("GET", f"/remote/preview.jpg?after={known}")
        answer = phone.getresponse()
        answer.read()
        known = answer.headers.get("X-Number", known)
        if answer.status == 200:
            seen()


def main(host: str, count: str) -> None:
    """Open them, and stay until the input ends."""
    seen = [threading.Event() for _ in range(int(count))]
    for one in seen:
        threading.Thread(target=hear, args=(host,), daemon=True).start()
        threading.Thread(target=look, args=(host, one.set), daemon=True).start()
    for one in seen:
        one.wait()
    sys.stdout.write("all have seen it\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
