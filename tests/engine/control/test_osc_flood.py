"""What need not be read of datagrams that came together: the show ends up where reading each of them would take it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import build_msg

from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.osc_wire import MalformedError, newest, read_datagram
from engine.control.queue import FLOOD_TURNS, CommandQueue, Sender

ONE, OTHER = ("127.0.0.1", 5000), ("127.0.0.1", 5001)
FADERS = [build_msg(address, value).dgram for address in ("/tpos/motion", "/tpos/seed") for value in (0.25, 0.5, 1)]
EACH = [
    build_msg("/tpos/cue/go", 1.0).dgram,  # a button
    build_msg("/tpos/cue/go", []).dgram,
    build_msg("/tpos/freeze", []).dgram,  # a toggle
    build_msg("/tpos/snapshot/burst", 3).dgram,
    build_msg("/tpos/prompt", "a beach").dgram,
    build_msg("/tpos/nonsense", 1.0).dgram,
    build_msg("/tpos/motion", "fast").dgram,
    build_msg("/tpos/motion", 0.5).dgram[:-2],
    b"",
    b",f\0\0\0\0\0\0",
    b"/tpos/motion\0\0\0\0,f\0\0",
]


def bundle() -> bytes:
    builder = OscBundleBuilder(IMMEDIATELY)
    builder.add_content(build_msg("/tpos/motion", 0.125))
    return builder.build().dgram


def test_of_a_fader_the_last_position_is_left() -> None:
    came = [(data, ONE) for data in (*FADERS, FADERS[0])]
    assert newest(came) == [(FADERS[5], ONE), (FADERS[0], ONE)]


@pytest.mark.parametrize("data", [*EACH, bundle()], ids=repr)
def test_what_counts_each_time_or_is_answered_each_time_is_left(data: bytes) -> None:
    assert newest([(data, ONE), (FADERS[0], ONE), (data, ONE)]) == [(data, ONE), (FADERS[0], ONE), (data, ONE)]


def test_two_senders_do_not_speak_for_each_other() -> None:
    came = [(FADERS[0], ONE), (FADERS[1], OTHER)]
    assert newest(came) == came


def carried_out(came: list[tuple[bytes, Sender]]) -> list[tuple[str, tuple[object, ...], bool]]:
    """What waits for the show, by the queue's own rule, when all of them were read."""
    queue = CommandQueue(1000)
    for data, sender in came:
        try:
            for message in read_datagram(data):
                queue.put(parse(message.address, message.params, 0.0, sender)[0])
        except (MalformedError, CommandError):
            continue
    return [(command.address, command.args, command.event) for command in queue.take_all()]


class Waited(threading.Event):
    """Counts how often it was waited for; at the `taken`-th time the show takes what there is."""

    def __init__(self, queue: CommandQueue, taken: int) -> None:
        super().__init__()
        self.queue, self.taken, self.times = queue, taken, 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        self.times += 1
        if self.times == self.taken:
            self.queue.take_all()
        return self.is_set()


@pytest.mark.parametrize(("put", "taken", "times"), [(0, 0, 1), (1, 1, 1), (1, 2, 2), (1, 0, FLOOD_TURNS)])
def test_a_flood_is_let_come_until_the_show_has_taken_what_was_put(put: int, taken: int, times: int) -> None:
    queue = CommandQueue()
    queue.put(*[parse("/tpos/motion", [0.5], 0.0, ONE)[0]] * put)
    stop = Waited(queue, taken)
    queue.let_flood(stop)
    assert stop.times == times


def test_at_the_end_no_flood_is_let_come() -> None:
    queue = CommandQueue()
    queue.put(parse("/tpos/motion", [0.5], 0.0, ONE)[0])
    stop = Waited(queue, 0)
    stop.set()
    queue.let_flood(stop)
    assert stop.times == 1


def test_whatever_comes_the_queue_holds_the_same() -> None:
    rng, palette = np.random.default_rng(3), [*FADERS, *FADERS, *EACH, bundle()]
    fewer = 0
    for _ in range(300):
        came: list[tuple[bytes, Sender]] = [(palette[n], ONE) for n in rng.integers(0, len(palette), 12)]
        left = list(newest(came))
        assert sorted(carried_out(left), key=repr) == sorted(carried_out(came), key=repr)
        fewer += len(came) - len(left)
    assert fewer > 500
