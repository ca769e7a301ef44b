"""OSCQuery as a client's library goes about it: HTTP for the tree, a websocket for what it listens to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.udp_client import SimpleUDPClient
from remote_stage import STATUS, Stage, received

from engine.control import isf_files, presets
from engine.control.addresses import ADDRESSES
from engine.control.osc_status import STATUS as REPORTS
from engine.control.parameters import PARAMETERS, value_of
from engine.core.isf import IsfLayer
from engine.core.parameters import Curve, Kind
from engine.remote.board import PERIOD_S

pytestmark = pytest.mark.realtime

TYPE = {Kind.FLOAT: "f", Kind.INT: "i", Kind.TEXT: "s", Kind.SWITCH: "T"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def leaves(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "TYPE" in node:
        yield node
    for inside in node.get("CONTENTS", {}).values():
        yield from leaves(inside)


def test_every_parameter_is_a_node_with_its_type_range_value_and_words(stage: Stage) -> None:
    for name, parameter in PARAMETERS.items():
        answer = stage.get(parameter.address)
        node, value = answer.json, value_of(stage.show.state, name)
        assert (answer.status, node["FULL_PATH"], node["ACCESS"]) == (200, parameter.address, 3)
        assert node["TYPE"] == TYPE[parameter.kind]
        assert node["DESCRIPTION"] == parameter.doc
        (bounds,) = node["RANGE"]
        if parameter.choices:
            assert bounds["VALS"] == list(parameter.choices)
        elif parameter.curve is Curve.NORMALISED:
            assert (bounds["MIN"], bounds["MAX"], node["VALUE"]) == (0, 1, [0.5])
        elif parameter.kind in (Kind.FLOAT, Kind.INT):
            assert (bounds["MIN"], bounds["MAX"]) == (parameter.low, parameter.high)
        if parameter.curve is Curve.NATURAL:
            assert node["VALUE"] == [str(value) if parameter.choices else value]


def test_the_root_holds_every_address_and_every_report(stage: Stage) -> None:
    found = {node["FULL_PATH"]: node for node in leaves(stage.get("/").json)}
    for row in ADDRESSES:
        if "NAME" not in row.path:
            assert row.at(1) in found or "/lora/" in row.path or "/mapping/point/" in row.path
    for name, _, doc in REPORTS:
        assert found[f"/tpos/status/{name}"]["ACCESS"] == 1
        assert found[f"/tpos/status/{name}"]["DESCRIPTION"] == doc
    assert found["/tpos/status/fps"]["VALUE"] == [19.5]
    assert found["/tpos/status/heard"]["VALUE"] == ["rain", 0.75, "fire", 0.25]
    assert found["/tpos/preset"]["RANGE"] == [{"VALS": list(stage.show.looks.library)}]
    assert found["/tpos/audio/slew"]["UNIT"] == ["time.second"]
    assert found["/tpos/cue/go"]["ACCESS"] == 2
    assert "VALUE" not in found["/tpos/cue/go"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/tpos/motion?VALUE", 200, {"VALUE": [0.5]}),
        ("/tpos/motion?TYPE", 200, {"TYPE": "f"}),
        ("/tpos/cue/go?VALUE", 204, None),
        ("/tpos/motion?COLOUR", 400, None),
        ("/tpos/moton", 404, None),
        ("/../../etc/passwd", 404, None),
    ],
)
def test_attributes_are_asked_for_one_by_one(stage: Stage, path: str, status: int, said: object) -> None:
    stage.show.put({"motion": 0.5})
    stage.until(lambda: stage.get("/tpos/motion?VALUE").json == {"VALUE": [0.5]})
    answer = stage.get(path)
    assert answer.status == status
    assert said is None or answer.json == said


def test_the_host_says_where_osc_is_listened_to(stage: Stage) -> None:
    info = stage.get("/?HOST_INFO").json
    assert (info["OSC_IP"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == (*stage.osc.address, "UDP")
    assert info["EXTENSIONS"]["LISTEN"] is info["EXTENSIONS"]["PATH_CHANGED"] is True


def command(word: str, path: str) -> str:
    return json.dumps({"COMMAND": word, "DATA": path})


def test_what_is_listened_to_comes_as_osc_when_it_changes(stage: Stage) -> None:
    osc = SimpleUDPClient(*stage.osc.address)
    with stage.connect("/") as socket, osc:
        nonsense = "what?", "[]", command("DANCE", "/tpos/motion"), json.dumps({"COMMAND": "LISTEN", "DATA": []})
        for word in (*nonsense, command("LISTEN", "/tpos/motion")):
            socket.send(word)
        first = OscMessage(received(socket, lambda told: isinstance(told, bytes)))
        assert (first.address, first.params) == ("/tpos/motion", [pytest.approx(stage.show.state.motion)])
        for value in (0.125, 0.25, 0.875):
            osc.send_message("/tpos/motion", value)
        osc.send_message("/tpos/feedback", 0.5)  # nobody listens to it
        last = received(socket, lambda told: OscMessage(told).params == [0.875])
        assert OscMessage(last).address == "/tpos/motion"
        socket.send(command("IGNORE", "/tpos/motion"))
        socket.send(command("LISTEN", "/tpos/freeze"))
        assert OscMessage(received(socket, lambda told: b"freeze" in told)).params == [False]
        osc.send_message("/tpos/motion", 0.0)
        stage.until(lambda: stage.show.state.motion == 0.0)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=5 * PERIOD_S)


SPOT = '/*{"ISFVSN": "2", "INPUTS": [{"NAME": "at", "TYPE": "point2D", "DEFAULT": [0.5, 0.25]}]}*/ void main(){}'


def test_another_prompt_an_effect_that_comes_and_a_preset_change_paths(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "spot.fs").write_text(SPOT)
    stage.show.set(prompts=stage.show.state.prompts[:1], isf=())
    with stage.connect("/") as socket:
        stage.until(lambda: "3" not in stage.get("/tpos/prompt").json["CONTENTS"])
        socket.send(command("LISTEN", "/tpos/freeze"))
        received(socket, lambda told: isinstance(told, bytes))  # from now on it is told what changes
        stage.show.command("/tpos/prompt/2/text", ("a fire",))
        assert received(socket, lambda told: "COMMAND" in told) == {"COMMAND": "PATH_CHANGED", "DATA": "/tpos/prompt"}
        assert stage.get("/tpos/prompt/2/text?VALUE").json == {"VALUE": ["a fire"]}
        stage.show.set(isf=(IsfLayer(isf_files.read(tmp_path / "spot.fs")),))
        assert received(socket, lambda told: told["DATA"] == "/tpos/isf")
        node = stage.get("/tpos/isf/spot/at").json
        assert (node["TYPE"], node["VALUE"]) == ("ff", [0.5, 0.25])
        cues = len(presets.load("tunnel").cues)
        assert cues != len(presets.load("beach_fire_waves").cues)
        stage.show.command("/tpos/preset", ("tunnel",))
        assert received(socket, lambda told: told["DATA"] == "/tpos/cue")
    assert stage.get("/tpos/cue?RANGE").json == {"RANGE": [{"MIN": 0, "MAX": cues}]}


def test_a_report_is_listened_to_like_a_value() -> None:
    told = [STATUS]
    with Stage(status=lambda: told[0]) as stage, stage.connect("/") as socket:
        socket.send(command("LISTEN", "/tpos/status/state"))
        received(socket, lambda told: OscMessage(told).params == ["ok"])
        told[0] = replace(STATUS, state="frozen")
        received(socket, lambda told: OscMessage(told).params == ["frozen"])
