"""One client at a websocket: what it says is heard, what is new goes out, at most twenty times a second."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.remote.board import PERIOD_S

Said = str | bytes
"""A message as it is sent."""


class Client(ABC):
    """Owned by the server's event loop. At most one message is on its way: a slow client is told the newest."""

    @abstractmethod
    def hear(self, text: str) -> Iterable[Said]:
        """Carry out what it said; what it is answered."""

    @abstractmethod
    def news(self) -> Iterable[Said]:
        """What it does not know yet."""

    async def run(self, socket: WebSocket) -> None:
        """Serve it until it goes."""
        await socket.accept()
        telling = asyncio.create_task(self._tell(socket))
        try:
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                await _send(socket, self.hear(message.get("text") or ""))
        except (WebSocketDisconnect, RuntimeError):  # it went while it was answered
            return
        finally:
            telling.cancel()

    async def _tell(self, socket: WebSocket) -> None:
        """All clients in the same moments, so that what is new is found once for all."""
        now_s = asyncio.get_running_loop().time
        try:
            while True:
                await _send(socket, self.news())
                await asyncio.sleep(PERIOD_S - now_s() % PERIOD_S)
        except (WebSocketDisconnect, RuntimeError):  # it went while it was told
            return


async def _send(socket: WebSocket, messages: Iterable[Said]) -> None:
    for one in messages:
        await (socket.send_text(one) if isinstance(one, str) else socket.send_bytes(one))
