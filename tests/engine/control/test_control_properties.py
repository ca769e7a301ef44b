"""What an operator's programs may send: datagrams, prompt lines and floods of commands, whatever is in them."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import asdict

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from properties import steady
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import ArgValue, OscMessageBuilder

from engine.control.addresses import ADDRESSES as ROWS
from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.changes import parse_prompts
from engine.control.osc_wire import MalformedError, read_datagram
from engine.control.queue import Command, CommandQueue
from engine.control.show import Show
from engine.core.messages import Prompt

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ADDRESSES = st.from_regex(r"/[a-z0-9_]{1,8}(/[a-z0-9_]{1,8}){0,3}", fullmatch=True)
ARGUMENTS = st.one_of(
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("f"), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("s"), TEXT),
    st.tuples(st.just("b"), st.binary(min_size=1, max_size=20)),
    st.sampled_from([("T", True), ("F", False), ("N", None)]),
)
MESSAGES = st.tuples(ADDRESSES, st.lists(ARGUMENTS, max_size=5))
Message = tuple[str, list[tuple[str, ArgValue]]]
PACKETS = st.recursive(MESSAGES, lambda inner: st.lists(inner, max_size=4), max_leaves=5)
"""A message, or a bundle of packets."""


def built(packet: Message | list) -> bytes:
    """The packet as python-osc writes it."""
    return builder(packet).dgram


def builder(packet: Message | list):
    if isinstance(packet, list):
        bundle = OscBundleBuilder(0)
        for inner in packet:
            bundle.add_content(builder(inner))
        return bundle.build()
    message = OscMessageBuilder(packet[0])
    for tag, value in packet[1]:
        message.add_arg(value, tag)
    return message.build()


def flat(packet: Message | list) -> list[tuple[str, list[object]]]:
    if isinstance(packet, list):
        return [message for inner in packet for message in flat(inner)]
    return [(packet[0], [value for _, value in packet[1]])]


def depth(packet: Message | list) -> int:
    return 1 + max(map(depth, packet), default=0) if isinstance(packet, list) else 0


@steady
@given(packet=PACKETS.filter(lambda packet: depth(packet) <= 8))
def test_whatever_python_osc_writes_is_read_back_in_order(packet: Message | list) -> None:
    assert [(m.address, m.params) for m in read_datagram(built(packet))] == flat(packet)


def only_malformed(data: bytes) -> None:
    try:
        read_datagram(data)
    except MalformedError:
        return


@steady
@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"/", b"/a\0\0,", b"#bundle\0" + bytes(8)]))
def test_any_bytes_are_read_or_malformed(data: bytes, start: bytes) -> None:
    only_malformed(start + data)


@steady
@given(packet=PACKETS, at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 10_000))
def test_a_datagram_with_a_wrong_byte_or_a_lost_end_is_read_or_malformed(
    packet: Message | list, at: int, byte: int, cut: int
) -> None:
    data = bytearray(built(packet))
    data[at % len(data)] = byte
    only_malformed(bytes(data))
    only_malformed(bytes(data[: cut % (len(data) + 1)]))


@steady
@given(sizes=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6), tail=st.binary(max_size=40))
def test_bundles_that_lie_about_their_sizes_end(sizes: list[int], tail: bytes) -> None:
    only_malformed(b"#bundle\0" + bytes(8) + b"".join(struct.pack(">i", size) for size in sizes) + tail)


@steady
@given(text=st.text(st.sampled_from("ab |:01.59\t\n") | st.characters(), max_size=60))
def test_any_line_is_a_list_of_prompts(text: str) -> None:
    prompts = parse_prompts(text)
    assert 1 <= len(prompts) <= 16
    for prompt in prompts:
        assert 0 <= prompt.weight <= 1
        assert prompt.text == prompt.text.strip()
        assert prompt.text in text
        assert "|" not in prompt.text


WORDS = st.from_regex(r"[a-zäß波🌊,' ]{0,11}[a-zäß波🌊,']", fullmatch=True).map(str.strip)


@steady
@given(parts=st.lists(st.tuples(WORDS, st.none() | st.integers(0, 100)), min_size=1, max_size=20))
@example(parts=[("a beach", None)] * 17)
def test_what_was_written_as_prompts_and_weights_is_read_so(parts: list[tuple[str, int | None]]) -> None:
    line = " | ".join(words if weight is None else f"{words}:{weight / 100:.2f}" for words, weight in parts)
    expected = [Prompt(words, 1.0 if weight is None else weight / 100) for words, weight in parts]
    assert list(parse_prompts(line)) == expected[:16]


PATHS = [row.path.replace("/N/", f"/{n}/") for row in ROWS for n in ((1, 16) if "/N/" in row.path else (0,))]
VALUES = st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.binary()), max_size=3)
UNIT_FIELDS = ("amount", "motion", "strength", "feedback")


@steady
@given(sent=st.lists(st.tuples(st.sampled_from(PATHS), VALUES), max_size=12))
def test_whatever_is_sent_the_show_stays_one(sent: list[tuple[str, list[object]]]) -> None:
    """A command is refused as a CommandError or carried out, and every number stays in its range."""
    show = Show()
    for address, values in sent:
        with suppress(CommandError):
            show.apply(parse(address, values)[0])
    state = show.state
    numbers = [getattr(state, name) for name in UNIT_FIELDS] + [prompt.weight for prompt in state.prompts]
    assert all(0 <= number <= 1 for number in numbers + list(asdict(state.shader).values()))
    assert 1 <= len(state.prompts) <= 16
    assert 0 <= state.fade_s <= 60
    assert 0 <= state.seed < 2**31
    assert state.tempo_bpm == 0 or 30 <= state.tempo_bpm <= 300
    assert -24 <= state.audio_gain_db <= 24


class QueueModel(RuleBasedStateMachine):
    """The queue beside a plain list of everything that waits."""

    LIMIT = 3

    def __init__(self) -> None:
        super().__init__()
        self.queue = CommandQueue(self.LIMIT)
        self.waiting: list[Command] = []
        self.sent = self.taken = self.coalesced = self.refused = 0

    def _put(self, command: Command) -> bool:
        self.sent += 1
        if command.event and sum(c.event for c in self.waiting) == self.LIMIT:
            self.refused += 1
            return False
        if not command.event:
            same = [c for c in self.waiting if c.address == command.address and not c.event]
            self.coalesced += len(same)
            self.waiting = [c for c in self.waiting if c not in same]
        self.waiting.append(command)
        return True

    @rule(sent=st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 1), st.booleans()), max_size=6))
    def put(self, sent: list[tuple[str, float, bool]]) -> None:
        commands = [Command(f"/{name}", (value,), event=event) for name, value, event in sent]
        assert self.queue.put(*commands) == sum([not self._put(command) for command in commands])

    @precondition(lambda self: self.sent > 0)
    @rule()
    def take(self) -> None:
        taken = self.queue.take_all()
        assert taken == self.waiting
        self.taken += len(taken)
        self.waiting = []

    @invariant()
    def every_command_is_accounted_for(self) -> None:
        counts = self.queue.counts
        assert (counts.received, counts.coalesced, counts.refused) == (self.sent, self.coalesced, self.refused)
        assert counts.received == len(self.waiting) + self.taken + counts.coalesced + counts.refused


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(steady, max_examples=40, stateful_step_count=20)
