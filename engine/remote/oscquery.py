"""OSCQuery: the tree of nodes over HTTP, and over a websocket the values that a client listens to.

https://github.com/Vidvox/OSCQueryProposal. A client changes values over OSC itself.
"""

from __future__ import annotations

import json
from typing import Any

from pythonosc.osc_message_builder import build_msg

from engine.remote.board import Board
from engine.remote.client import Client, Said
from engine.remote.namespace import Nodes

EXTENSIONS = (
    "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "TAGS", "UNIT", "CLIPMODE", "LISTEN", "PATH_CHANGED", "DEFAULT_VALUE",
)  # fmt: skip
ATTRIBUTES = {
    "FULL_PATH", "CONTENTS", "TYPE", "VALUE", "ACCESS", "RANGE", "DESCRIPTION", "TAGS", "UNIT", "CLIPMODE",
    "DEFAULT_VALUE",
}  # fmt: skip
MOST_LISTENED = 512
"""Addresses that one client may listen to."""


def answer(board: Board, path: str, query: str) -> tuple[int, dict[str, Any]]:
    """The HTTP status and JSON for a path and its query: a whole node, or one attribute of it.

    200; 204 for an attribute that the node has not, 400 for one that nobody has, 404 for a path that is none.
    """
    attribute = query.partition("=")[0].upper()
    if attribute == "HOST_INFO":
        return 200, host_info(board)
    node = tree(board.nodes, board.values, path.rstrip("/") or "/")
    if node is None:
        return 404, {}
    if not attribute:
        return 200, node
    if attribute not in ATTRIBUTES:
        return 400, {}
    return (200, {attribute: node[attribute]}) if attribute in node else (204, {})


def host_info(board: Board) -> dict[str, Any]:
    """Who answers here, and where OSC goes."""
    return {
        "NAME": board.host.name,
        "EXTENSIONS": dict.fromkeys(EXTENSIONS, True),
        "OSC_IP": board.host.osc_host,
        "OSC_PORT": board.host.osc_port,
        "OSC_TRANSPORT": "UDP",
    }


def tree(nodes: Nodes, values: dict[str, list[Any]], path: str = "/") -> dict[str, Any] | None:
    """A node with all that lies below it; None where there is none."""
    root: dict[str, Any] = {"FULL_PATH": "/", "DESCRIPTION": "TPoS Live", "ACCESS": 0, "CONTENTS": {}}
    for node in nodes.values():
        place, walked = root, ""
        for part in node.path.strip("/").split("/"):
            walked += f"/{part}"
            inside = place.setdefault("CONTENTS", {})
            place = inside.setdefault(part, {"FULL_PATH": walked, "ACCESS": 0})
        place |= node.attributes | ({"VALUE": values[node.path]} if node.path in values else {})
    for part in filter(None, path.split("/")):
        root = root.get("CONTENTS", {}).get(part)
        if root is None:
            return None
    return root


class Listener(Client):
    """One client's websocket: it says LISTEN and IGNORE, and is sent those values when they change, as OSC.

    When other addresses are there it is sent PATH_CHANGED for what they lie in.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[str, list[Any] | None] = {}
        """What the client knows of each address that it listens to; None before the first."""
        self._nodes = board.nodes

    def hear(self, text: str) -> tuple[()]:
        """Take one command; the protocol has no answers, and what is none is read over."""
        try:
            said = json.loads(text)
            command, path = said["COMMAND"], said["DATA"]
        except (ValueError, TypeError, KeyError):
            return ()
        if not isinstance(path, str):
            return ()
        if command == "LISTEN" and path in self._board.values and len(self._told) < MOST_LISTENED:
            self._told[path] = None
        elif command == "IGNORE":
            self._told.pop(path, None)
        return ()

    def news(self) -> list[Said]:
        """Texts of JSON, and datagrams."""
        nodes, values = self._board.nodes, self._board.values
        news: list[Said] = []
        if nodes is not self._nodes:
            paths = moved(self._nodes, nodes)
            news += [json.dumps({"COMMAND": "PATH_CHANGED", "DATA": path}) for path in paths]
            self._nodes = nodes
        for path, told in self._told.items():
            said = values.get(path)
            if said is not None and said != told:
                self._told[path] = said
                news.append(build_msg(path, said).dgram)
        return news


def moved(before: Nodes, after: Nodes) -> list[str]:
    """The containers in which nodes came, went or became others; a node itself where it lies in none of its own."""
    names = set(before) ^ set(after)
    other = {path for path in set(before) & set(after) if before[path].attributes != after[path].attributes}
    return sorted({_container(path) for path in names} | other)


def _container(path: str) -> str:
    """/tpos/prompt/3/text lies in /tpos/prompt, /tpos/motion in /tpos."""
    return "/".join(path.split("/")[: 3 if path.count("/") > 2 else 2])
