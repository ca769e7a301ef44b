"""The ring against a deque and the history against a list, for any order of writing and reading."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from properties import steady

from engine.audio.history import History
from engine.audio.ring import BlockRing

FRAMES = 4


class PlainRing:
    """What a ring of `slots` must do, said with a deque: the writer's next slot is never the reader's."""

    def __init__(self, slots: int) -> None:
        self.blocks: deque[tuple[int, int]] = deque()
        self.slots = slots
        self.lost = 0
        self.unreported = 0

    def write(self, number: int, count: int) -> None:
        self.blocks.append((number, count))

    def read(self) -> tuple[int, int, int] | None:
        """(number, samples, frames lost just before it)."""
        lost = max(0, len(self.blocks) - (self.slots - 1))
        for _ in range(lost):
            self.blocks.popleft()
        self.lost += lost
        return (*self.blocks.popleft(), lost * FRAMES) if self.blocks else None


@steady
@given(
    slots=st.integers(2, 9), steps=st.lists(st.integers(-6, 12), max_size=40), counts=st.randoms(use_true_random=False)
)
def test_a_ring_is_a_deque_that_forgets(slots: int, steps: list[int], counts) -> None:
    """Steps above 0 write so many blocks, below 0 read so many times."""
    ring, plain = BlockRing(slots, FRAMES, 1), PlainRing(slots)
    number = 0
    for step in steps:
        for _ in range(step):
            count = counts.randint(1, FRAMES)
            ring.write(np.full((count, 1), number, np.float32), number, number + 0.5)
            plain.write(number, count)
            number += 1
        for _ in range(-step):
            block, expected = ring.read(), plain.read()
            assert (block is None) == (expected is None)
            if block is not None and expected is not None:
                assert (block.captured_s, len(block.samples), block.lost_frames) == expected
                assert block.arrived_s == block.captured_s + 0.5
                assert np.all(block.samples == expected[0])
        assert ring.written == number
        assert ring.overruns == plain.lost
        assert ring.written - ring.consumed == len(plain.blocks)
        assert ring.room == slots - 1 - len(plain.blocks)


@steady
@given(
    size=st.integers(1, 24),
    parts=st.lists(st.integers(0, 24), max_size=12),
    asked=st.lists(st.integers(-5, 200), min_size=1, max_size=8),
)
def test_a_history_is_the_end_of_a_list(size: int, parts: list[int], asked: list[int]) -> None:
    history, whole = History(size, 2), np.zeros((0, 2), np.float32)
    for part in parts:
        count = min(part, size)
        samples = np.arange(len(whole), len(whole) + count, dtype=np.float32)[:, None] * [1, -1]
        history.append(samples.astype(np.float32))
        whole = np.concatenate([whole, samples.astype(np.float32)])
        assert history.end == len(whole)
        for start in asked:
            first = min(max(start, len(whole) - size, 0), len(whole))
            got, at = history.since(start)
            assert at == first
            np.testing.assert_array_equal(got, whole[first:])
        for count in asked:
            if count >= 0:
                np.testing.assert_array_equal(history.newest(count), whole[len(whole) - min(count, size, len(whole)) :])


@steady
@given(parts=st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_what_a_history_gave_does_not_change_afterwards(parts: list[int]) -> None:
    history = History(8)
    for part in parts:
        history.append(np.full((part, 1), part, np.float32))
    given_out = history.newest(8)
    before = given_out.copy()
    history.append(np.full((8, 1), -1, np.float32))
    np.testing.assert_array_equal(given_out, before)
