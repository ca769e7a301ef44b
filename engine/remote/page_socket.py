"""The page's websocket: what changed goes out at most twenty times a second, commands come in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.control.arguments import CommandError
from engine.control.changes import cue_names
from engine.remote.access import Role
from engine.remote.board import PERIOD_S, Board
from engine.remote.namespace import Nodes, View

MOST_COMMANDS = 256
"""In one message."""


class PageSession:
    """One page's websocket, JSON both ways. At most one message is on its way to it: the newest values win.

    It is sent `values`, those that changed, by address; `scene`, which presets, cues and set there are; `nodes`, a
    number that changes when the addresses do; and `refused` for what it asked and cannot have. It sends `send`, a list
    of an address and its arguments each; a viewer's are refused.
    """

    def __init__(self, board: Board, role: Role, thumbnails: Iterable[str] = ()) -> None:
        self._board, self._role, self._thumbnails = board, role, thumbnails
        self._told: dict[str, list[Any]] = {}
        self._scene: dict[str, Any] = {}
        self._nodes: Nodes | None = None
        self._version = 0

    async def run(self, socket: WebSocket) -> None:
        """Serve it until it goes."""
        telling = asyncio.create_task(self._tell(socket))
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if refused := self.hear(message.get("text") or ""):
                    await socket.send_text(json.dumps({"refused": refused}))
        except (WebSocketDisconnect, RuntimeError):  # it went while it was answered
            return
        finally:
            telling.cancel()

    def hear(self, text: str) -> list[list[str]]:
        """Carry out what it asks; address, trouble and what is accepted for what cannot be."""
        try:
            asked = [(str(address), list(arguments)) for address, *arguments in json.loads(text)["send"]]
        except (ValueError, TypeError, KeyError):
            return [["", "no message of the page's", '{"send": [["/tpos/motion", 0.5]]}']]
        refused = []
        for address, arguments in asked[:MOST_COMMANDS]:
            try:
                if self._role is not Role.OPERATOR:
                    raise CommandError(address, "this link is to look on", "the operator's link")
                if clamped := self._board.send(address, arguments):
                    refused.append([address, *clamped.split("; accepted: ")])
            except CommandError as error:
                refused.append([error.address, error.what, error.accepted])
        return refused

    def news(self) -> dict[str, Any]:
        """What it does not know yet; {} for nothing."""
        values = {path: list(map(_short, said)) for path, said in self._board.values.items()}
        news: dict[str, Any] = {}
        if changed := {path: said for path, said in values.items() if self._told.get(path) != said}:
            news["values"] = changed
            self._told = values
        if (scene := self._described(self._board.view)) != self._scene:
            self._scene = news["scene"] = scene
        if self._board.nodes is not self._nodes:
            self._nodes = self._board.nodes
            self._version += 1
            news["nodes"] = self._version
        return news

    def _described(self, view: View) -> dict[str, Any]:
        """What the page draws besides values."""
        presets = [{"name": name, "description": one.description} for name, one in view.looks.library.items()]
        return {
            "role": self._role,
            "presets": presets,
            "cues": list(cue_names(view.looks.current)),
            "set": list(view.looks.order),
            "loras": [lora.name for lora in view.state.loras],
            "thumbnails": sorted(self._thumbnails),
        }

    async def _tell(self, socket: WebSocket) -> None:
        try:
            while True:
                if news := self.news():
                    await socket.send_text(json.dumps(news))
                await asyncio.sleep(PERIOD_S)
        except (WebSocketDisconnect, RuntimeError):  # it went while it was told
            return


def _short(value: Any) -> Any:
    """As much of a number as a screen shows."""
    return round(value, 4) if isinstance(value, float) else value
