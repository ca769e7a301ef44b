"""The page's websocket: what changed goes out, commands come in."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from engine.control.arguments import CommandError
from engine.control.changes import cue_names
from engine.remote.access import Role
from engine.remote.board import Board
from engine.remote.client import Client, Said
from engine.remote.namespace import Nodes, View
from engine.remote.thumbnails import Thumbnails

MOST_COMMANDS = 256
"""In one message."""


class PageSession(Client):
    """One page, JSON both ways.

    It is sent `values`, those that changed, by address; `scene`, which presets, cues and set there are; `midi`, what
    controllers move, and `mapping`, how outputs lie on the wall, each null where there is none; `nodes`, a number that
    changes when the addresses do; and `refused` for what it asked and cannot have. It sends `send`, a list of an
    address and its arguments each; a viewer's are refused.
    """

    def __init__(self, board: Board, role: Role, thumbnails: Thumbnails) -> None:
        self._board, self._role, self._thumbnails = board, role, thumbnails
        self._told: dict[str, list[Any]] = {}
        self._parts: dict[str, Any] = {}
        self._nodes: Nodes | None = None
        self._version = 0

    def hear(self, text: str) -> list[Said]:
        """Carry out what it asks; what cannot be is answered."""
        refused = self._carry_out(text)
        return [json.dumps({"refused": refused})] if refused else []

    def _carry_out(self, text: str) -> list[list[str]]:
        """Address, trouble and what is accepted for what cannot be."""
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
        self._board.settle()
        return refused

    def news(self) -> list[Said]:
        """One message, where there is anything to tell."""
        values, view = self._board.values, self._board.view
        news: dict[str, Any] = {}
        if changed := self._board.changed(self._told, values):
            news["values"] = {path: list(map(_short, said)) for path, said in changed.items()}
        self._told = values
        midi, mapping = view.status.midi, view.status.mapping
        parts = {"scene": self._described(view), "midi": midi and asdict(midi), "mapping": mapping and asdict(mapping)}
        for part, said in parts.items():
            if part not in self._parts or said != self._parts[part]:
                self._parts[part] = news[part] = said
        if self._board.nodes is not self._nodes:
            self._nodes = self._board.nodes
            self._version += 1
            news["nodes"] = self._version
        return [json.dumps(news)] if news else []

    def _described(self, view: View) -> dict[str, Any]:
        """What the page draws besides values."""
        presets = [{"name": name, "description": one.description} for name, one in view.looks.library.items()]
        return {
            "role": self._role,
            "presets": presets,
            "cues": list(cue_names(view.looks.current)),
            "set": list(view.looks.order),
            "loras": [lora.name for lora in view.state.loras],
            "thumbnails": self._thumbnails.known(view.looks.library),
        }


def _short(value: Any) -> Any:
    """As much of a number as a screen shows."""
    return round(value, 4) if isinstance(value, float) else value
