"""What TouchDesigner's OSC Out CHOP and DAT send, as bytes after OSC 1.0, against a listening server."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import osc_datagrams as sent
import pytest
from pythonosc.osc_message import OscMessage

from engine.control import presets
from engine.control.osc import OscServer
from engine.control.show import Show
from engine.core.isf import Header, Input, InputKind, IsfFile, IsfLayer
from engine.core.messages import Prompt, ShowState

pytestmark = pytest.mark.realtime

PATIENCE_S = 20.0
LOOK = 'schema = 1\nprompts = ["a beach"]\n[[cue]]\nname = "one"'
TINT = Input("tint", InputKind.COLOUR, (0.0,) * 4, (0.0,) * 4, (1.0,) * 4)
WASH = IsfLayer(IsfFile("wash", "wash.fs", "", Header((TINT,))))


class Stage:
    """A show behind a server, and a socket that sends bytes as they are."""

    def __init__(self, server: OscServer, show: Show, client: socket.socket) -> None:
        self.server, self.show, self._client = server, show, client

    def send(self, data: bytes) -> None:
        self._client.sendto(data, self.server.address)

    def until(self, met: Callable[[ShowState], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not met(self.show.current()):
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.002)

    def answer(self) -> list[str]:
        """What is said on /tpos/error."""
        message = OscMessage(self._client.recv(65_536))
        assert message.address == "/tpos/error"
        return list(message.params)


@pytest.fixture
def stage() -> Iterator[Stage]:
    show = Show(presets.parse(LOOK, "look"), {"neon": presets.parse(LOOK, "neon")})
    show.set(isf=(WASH,), motion=0.1)
    server = OscServer(show.queue, port=0, check=show.check)
    with closing(server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        server.start()
        yield Stage(server, show, client)


@pytest.mark.parametrize(
    ("data", "met"),
    [
        (sent.CHOP_SAMPLE, lambda state: (state.motion, state.shader.glow) == (0.5, 0.25)),
        (sent.CHOP_INTS, lambda state: state.steps == 2),
        (sent.CHOP_DOUBLES, lambda state: state.motion == 0.5),
        (sent.DAT_TEXT, lambda state: (state.prompts, state.fade_bars) == ((Prompt("rain"),), 2.0)),
        (sent.DAT_TEXT_AND_INT, lambda state: (state.prompts, state.fade_s) == ((Prompt("a red sea"),), 3.0)),
        (sent.DAT_TRUE, lambda state: state.freeze),
        (sent.DAT_INT_AS_SWITCH, lambda state: state.freeze),
        (sent.DAT_SEVERAL, lambda state: (state.preset, state.cue) == ("neon", 0)),
        (sent.DAT_ARRAY, lambda state: state.isf[0].value(TINT) == (1.0, 0.5, 0.25, 1.0)),
        (sent.DAT_NOTHING, lambda state: state.cue == 0),
    ],
)
def test_what_touchdesigner_sends_is_carried_out(stage: Stage, data: bytes, met: Callable[[ShowState], bool]) -> None:
    assert not met(stage.show.state)
    stage.send(data)
    stage.until(met)
    assert (stage.server.counts.malformed, stage.server.counts.answered) == (0, 0)


def test_a_time_slice_is_refused_in_one_line_and_its_neighbour_carried_out(stage: Stage) -> None:
    stage.send(sent.CHOP_TIME_SLICE)
    stage.until(lambda state: state.shader.glow == 0.25)
    assert stage.show.state.motion == 0.1
    assert stage.answer() == ["/tpos/motion", "2 arguments", "value (number 0..1)"]


def test_none_is_answered_with_what_would_be_accepted(stage: Stage) -> None:
    stage.send(sent.DAT_NIL)
    assert stage.answer() == ["/tpos/motion", "value came as nil", "value (number 0..1)"]
