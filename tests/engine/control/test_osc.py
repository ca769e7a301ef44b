"""OSC over real loopback sockets: python-osc's own client, captured datagrams, garbage and floods."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from osc_datagrams import GARBAGE, TOUCHDESIGNER_BUNDLE
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import SimpleUDPClient

from engine.control import presets
from engine.control.cue_stack import Stack
from engine.control.osc import HELD_S, OscServer, parse_target
from engine.control.osc_status import Status
from engine.control.osc_wire import MalformedError, read_datagram
from engine.control.queue import CommandQueue
from engine.control.show import Show
from engine.core.beat_grid import ClockSource
from engine.core.course import Section
from engine.core.messages import SILENCE, Heard, Prompt
from tpos_models.errors import InputError, RunError

pytestmark = pytest.mark.realtime

PATIENCE_S = 20.0


class Stage:
    """A show behind a listening server, its commands taken as the inference thread would."""

    def __init__(self, status: Callable[[], Status] | None = None, target: tuple[str, int] | None = None) -> None:
        self.show = Show(presets.load("beach_fire_waves"), presets.library()[0])
        self.queue = self.show.queue
        self.server = OscServer(self.queue, port=0, check=self.show.check, status=status, target=target).start()
        self.client = SimpleUDPClient(*self.server.address)

    def send(self, address: str, *values: object) -> None:
        self.client.send_message(address, list(values))

    def send_bytes(self, data: bytes) -> None:
        self.client._sock.sendto(data, self.server.address)

    def until(self, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not met():
            self.show.current()
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.002)

    def replies(self, address: str) -> list[tuple]:
        """Everything received on `address` until some came."""
        got: list[tuple] = []
        deadline = time.monotonic() + PATIENCE_S
        while not got and time.monotonic() < deadline:
            self.show.current()
            got = [tuple(m.params) for m in self.client.get_messages(0.05) if m.address == address]
        return got


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.client, closing(stage.server):
        yield stage


def test_prompts_arrive_with_their_fade(stage: Stage) -> None:
    stage.send("/tpos/prompt", "a volcano at night", 4.0)
    stage.until(lambda: stage.show.state.prompts == (Prompt("a volcano at night"),))
    assert stage.show.state.fade_s == 4.0
    stage.send("/tpos/prompt/2/text", "Wellen, 波, 🌊")
    stage.send("/tpos/prompt/2/weight", 0.5)
    stage.until(lambda: stage.show.state.prompts[1:] == (Prompt("Wellen, 波, 🌊", 0.5),))


def test_a_bundle_with_a_foreign_time_tag_is_carried_out_at_once_and_together(stage: Stage) -> None:
    stage.send_bytes(TOUCHDESIGNER_BUNDLE)
    stage.until(lambda: stage.show.state.motion == 0.25)
    assert stage.show.state.amount == 0.75


@pytest.mark.parametrize("when", [0, int(time.time()) + 3600], ids=["at once", "in an hour"])
def test_nested_bundles_from_python_osc(stage: Stage, when: int) -> None:
    outer, inner = OscBundleBuilder(when), OscBundleBuilder(when)
    inner.add_content(build_msg("/tpos/seed", 42.0))
    outer.add_content(build_msg("/tpos/freeze", True))
    outer.add_content(inner.build())
    stage.client.send(outer.build())
    stage.until(lambda: stage.show.state.seed == 42)
    assert stage.show.state.freeze


def test_every_type_tag_of_a_number_is_coerced(stage: Stage) -> None:
    for tags, data in ((b",d\0\0", struct.pack(">d", 0.5)), (b",h\0\0", struct.pack(">q", 1)), (b",T\0\0", b"")):
        stage.send("/tpos/motion", 0.0)
        stage.until(lambda: stage.show.state.motion == 0.0)
        stage.send_bytes(b"/tpos/motion\0\0\0\0" + tags + data)
        stage.until(lambda: stage.show.state.motion > 0.0)


def test_a_prompt_list_over_8_kb_survives(stage: Stage) -> None:
    parts = [f"scene {i}: " + "waves and fire over the sea " * 60 for i in range(16)]
    text = " | ".join(p.strip() for p in parts)
    assert len(text) > 3 * 8192
    stage.send("/tpos/prompt", text)
    stage.until(lambda: len(stage.show.state.prompts) == 16)
    assert stage.show.state.prompts[15].text == parts[15].strip()


@pytest.mark.parametrize(
    ("address", "values", "what", "accepted"),
    [
        ("/tpos/motion", [1.5], "clamped to 1", "0..1"),
        ("/tpos/motion", ["fast"], "text", "number 0..1"),
        ("/tpos/promt", ["x"], "unknown address", "/tpos/prompt"),
        ("/tpos/preset", ["../../x"], "no preset is called '../../x'", "volcano"),
        ("/tpos/preset", ["vulcano"], "did you mean volcano", "deep_sea"),
        ("/tpos/record", ["../../x"], "text", "0 or 1"),
        ("/tpos/cue", [9], "there is no cue 9", "0..3"),
    ],
)
def test_trouble_is_answered_to_the_sender(stage: Stage, address, values, what, accepted) -> None:
    stage.send(address, *values)
    (reply,) = stage.replies("/tpos/error")
    assert reply[0] == address
    assert what in reply[1]
    assert accepted in reply[2]


def test_a_clamped_value_is_used(stage: Stage) -> None:
    stage.send("/tpos/motion", 7.0)
    stage.until(lambda: stage.show.state.motion == 1.0)


@pytest.mark.parametrize("data", GARBAGE)
def test_garbage_is_counted_and_the_next_fader_works(stage: Stage, data: bytes) -> None:
    stage.send_bytes(data)
    stage.send("/tpos/motion", 0.125)
    stage.until(lambda: stage.show.state.motion == 0.125)
    assert stage.server.counts.malformed == 1
    with pytest.raises(MalformedError):
        read_datagram(data)


def flood(stage: Stage, address: str, values: list[float]) -> None:
    """Send as fast as the server reads, so that what the system drops on a busy machine is not what is tested."""
    for sent, value in enumerate(values):
        stage.send(address, value)
        while sent - stage.server.counts.datagrams > 100:
            time.sleep(0.001)


def test_in_a_flood_the_last_value_lands_and_the_queue_stays_small(stage: Stage) -> None:
    values = [i / 4000 for i in range(4000)]
    flood(stage, "/tpos/motion", values)
    stage.send("/tpos/audio/amount", 0.0625)
    stage.until(lambda: stage.show.state.amount == 0.0625)
    assert stage.show.state.motion == values[-1]
    assert stage.queue.counts.received == 4001
    assert stage.queue.counts.coalesced > 3900


def test_a_flood_of_nonsense_is_not_answered_by_a_flood(stage: Stage) -> None:
    start = time.monotonic()
    flood(stage, "/tpos/nonsense", [1.0] * 2000)
    stage.send("/tpos/motion", 0.5625)
    stage.until(lambda: stage.show.state.motion == 0.5625)
    counts, elapsed_s = stage.server.counts, time.monotonic() - start
    assert counts.refused == 2000
    assert counts.answered + counts.unanswered == 2000
    assert 1 <= counts.answered <= 11 + 10 * elapsed_s


def test_our_own_voice_echoed_back_is_not_answered(stage: Stage) -> None:
    stage.send("/tpos/error", "a", "b", "c")
    stage.send("/tpos/status/fps", 20.0)
    stage.send("/tpos/motion", 0.375)
    stage.until(lambda: stage.show.state.motion == 0.375)
    assert (stage.server.counts.answered, stage.server.counts.refused) == (0, 0)


def test_a_command_that_fails_after_it_was_queued_is_answered(stage: Stage) -> None:
    """A cue beyond the last is known only where it is carried out; of two senders only the one that sent it is told."""
    other = SimpleUDPClient(*stage.server.address)
    with other:
        other.send_message("/tpos/motion", 0.5)
        stage.until(lambda: stage.show.state.motion == 0.5)
        stage.send("/tpos/cue", 50)
        ((address, what, accepted),) = stage.replies("/tpos/error")
        assert address == "/tpos/cue"
        assert "no cue 50" in what
        assert "0..3" in accepted
        assert not any(message.address == "/tpos/error" for message in other.get_messages(0.2))


def test_a_button_that_is_held_is_pressed_once(stage: Stage) -> None:
    for _ in range(6):
        stage.send("/tpos/cue/go", 1.0)
        time.sleep(1 / 60)
    stage.send("/tpos/cue/go", 0.0)
    stage.send("/tpos/motion", 0.25)
    stage.until(lambda: stage.show.state.motion == 0.25)
    assert stage.show.state.cue == 0
    stage.send("/tpos/cue/go", 1.0)
    stage.until(lambda: stage.show.state.cue == 1)


def test_a_button_that_never_says_released_is_pressed_again_after_a_moment(stage: Stage) -> None:
    stage.send("/tpos/cue/go", 1.0)
    stage.until(lambda: stage.show.state.cue == 0)
    time.sleep(HELD_S + 0.05)
    stage.send("/tpos/cue/go", 1.0)
    stage.until(lambda: stage.show.state.cue == 1)


def test_an_array_is_its_values_and_more_than_are_asked_for_are_refused(stage: Stage) -> None:
    stage.send("/tpos/motion", [0.75])
    stage.until(lambda: stage.show.state.motion == 0.75)
    stage.send("/tpos/motion", [0.5, 0.25])
    ((address, what, accepted),) = stage.replies("/tpos/error")
    assert (address, what, accepted) == ("/tpos/motion", "2 arguments", "value (number 0..1)")


def test_events_in_a_flood_each_count(stage: Stage) -> None:
    for _ in range(3):
        stage.send("/tpos/cue/go")
    stage.until(lambda: stage.show.state.cue == 2)


DROPPED = replace(
    SILENCE,
    clock=ClockSource.MIDI,
    level=0.5,
    beat=17,
    bpm=128.0,
    bar=4,
    bar_beat=1,
    section=Section.DROP,
    sections=3,
    drop=0.75,
)
STACK = Stack("sea", 1, ("calm", "storm"), 2.5, "next drop", 0, ("sea", "neon"))
STATUS_NOW = Status(19.5, 41.0, DROPPED, (Heard("rain", 0.75), Heard("fire", 0.25)), "a beach", STACK, True)


def test_status_goes_to_the_last_sender() -> None:
    stage = Stage(status=lambda: STATUS_NOW)
    with stage.client, closing(stage.server):
        stage.send("/tpos/motion", 0.5)
        seen: dict[str, tuple] = {}
        beats: list[int] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(beats) < 3 and time.monotonic() < deadline:
            for message in stage.client.get_messages(0.05):
                seen[message.address] = tuple(message.params)
                beats += message.params if message.address.endswith("heartbeat") else []
        assert beats[:3] == [1, 2, 3]
        del seen["/tpos/status/heartbeat"]
    assert seen == {
        "/tpos/status/fps": (19.5,),
        "/tpos/status/outputs": ("", "off", 0.0, 0),
        "/tpos/status/cues": ("calm", "storm"),
        "/tpos/status/follow": (2.5,),
        "/tpos/status/waits": ("next drop",),
        "/tpos/status/set": (1, "sea", "neon"),
        "/tpos/status/model": ("",),
        "/tpos/status/ladder": (1, 1),
        "/tpos/status/restarts": (0,),
        "/tpos/status/dropped": (0,),
        "/tpos/status/message": ("",),
        "/tpos/status/delay_ms": (41.0,),
        "/tpos/status/level": (0.5,),
        "/tpos/status/beat": (17,),
        "/tpos/status/bpm": (128.0,),
        "/tpos/status/clock": ("midi",),
        "/tpos/status/bar": (4, 2),
        "/tpos/status/section": ("drop", 3),
        "/tpos/status/breakdown": (0.0,),
        "/tpos/status/build": (0.0,),
        "/tpos/status/drop": (0.75,),
        "/tpos/status/heard": ("rain", 0.75, "fire", 0.25),
        "/tpos/status/prompt": ("a beach",),
        "/tpos/status/preset": ("sea",),
        "/tpos/status/cue": (2,),
        "/tpos/status/recording": (1,),
        "/tpos/status/state": ("ok",),
    }


def test_status_and_trouble_also_go_to_a_configured_target() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE_S)
        stage = Stage(status=Status, target=("127.0.0.1", ear.getsockname()[1]))
        with stage.client, closing(stage.server):
            assert OscMessage(ear.recv(4096)).address.startswith("/tpos/status/")
            stage.send("/tpos/nonsense")
            assert stage.replies("/tpos/error")
            while OscMessage(ear.recv(4096)).address != "/tpos/error":
                pass


def test_a_listener_that_left_does_not_stop_the_server(stage: Stage) -> None:
    gone = SimpleUDPClient(*stage.server.address)
    with gone:
        gone.send_message("/tpos/nonsense", 1)
    stage.send("/tpos/motion", 0.875)
    stage.until(lambda: stage.show.state.motion == 0.875)


def test_a_port_in_use_says_what_to_do(stage: Stage) -> None:
    port = stage.server.address[1]
    with pytest.raises(RunError, match=f"{port} on 127.0.0.1 is in use by another program.*--osc-port"):
        OscServer(CommandQueue(), port=port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("127.0.0.1", -1), ("203.0.113.7", 0)])
def test_an_address_that_cannot_be_ours(host: str, port: int) -> None:
    with pytest.raises(InputError, match="accepted"):
        OscServer(CommandQueue(), host=host, port=port)


def test_targets_are_host_and_port() -> None:
    assert parse_target("10.0.0.5:9001") == ("10.0.0.5", 9001)
    assert parse_target("[::1]:9001") == ("::1", 9001)
    for text in ("10.0.0.5", ":9001", "host:", "host:0", "host:70000", "host:x"):
        with pytest.raises(InputError, match="host:port"):
            parse_target(text)


def test_closing_twice_frees_the_port_and_ends_the_thread(stage: Stage) -> None:
    port = stage.server.address[1]
    stage.server.close()
    stage.server.close()
    assert "tpos-osc" not in [t.name for t in threading.enumerate()]
    OscServer(CommandQueue(), port=port).close()


def test_by_default_only_this_machine_is_served() -> None:
    server = OscServer(CommandQueue(), port=0)
    assert server.address[0] == "127.0.0.1"
    server.close()
