"""The ring, the histories and the clock of samples."""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
import pytest

from engine.audio.history import History
from engine.audio.ring import Block, BlockRing
from engine.audio.timeline import SampleClock


def numbered(number: int, frames: int = 4, channels: int = 2) -> np.ndarray:
    return np.full((frames, channels), number, np.float32)


def drain(ring: BlockRing) -> list[Block]:
    return list(iter(ring.read, None))


def test_blocks_come_out_as_they_went_in() -> None:
    ring = BlockRing(8, 4, 2)
    ring.write(numbered(1), 10.0, 10.1)
    ring.write(numbered(2, frames=3), 11.0, 11.1)
    first, second = drain(ring)
    np.testing.assert_array_equal(first.samples, numbered(1))
    assert (first.captured_s, first.arrived_s, first.lost_frames) == (10.0, 10.1, 0)
    assert second.samples.shape == (3, 2)
    assert ring.read() is None
    assert ring.overruns == 0


def test_a_lapped_reader_counts_what_it_lost() -> None:
    ring = BlockRing(8, 4, 2)
    for number in range(20):
        ring.write(numbered(number), number, number)
    blocks = drain(ring)
    assert [int(b.samples[0, 0]) for b in blocks] == list(range(13, 20))
    assert blocks[0].lost_frames == 13 * 4
    assert sum(b.lost_frames for b in blocks[1:]) == 0
    assert ring.overruns == 13
    assert ring.written == 20


def test_room_is_what_can_be_written_without_loss() -> None:
    ring = BlockRing(8, 4, 2)
    for number in range(7):
        assert ring.room == 7 - number
        ring.write(numbered(number), 0, 0)
    assert ring.room == 0
    drain(ring)
    assert ring.overruns == 0
    assert ring.room == 7


def test_nothing_is_torn_while_both_sides_run() -> None:
    ring = BlockRing(16, 64, 2)
    total = 20_000

    def write() -> None:
        for number in range(total):
            ring.write(numbered(number, 64), number, number)

    writer = threading.Thread(target=write)
    writer.start()
    seen, lost = [], 0
    while writer.is_alive() or ring.consumed < ring.written:
        block = ring.read()
        if block is not None:
            assert np.all(block.samples == block.samples[0, 0])
            assert block.captured_s == block.samples[0, 0]
            seen.append(int(block.samples[0, 0]))
            lost += block.lost_frames // 64
    writer.join()
    assert seen == sorted(set(seen))
    assert len(seen) + lost == total
    assert ring.overruns == lost


class LappedCopy(np.ndarray):
    """Slots whose copy takes so long that `meanwhile` happens in the middle of it."""

    def copy(self, order: Literal["K", "A", "C", "F"] | None = "C") -> Any:
        half = len(self) // 2
        first = np.array(self[:half])
        LappedCopy.meanwhile()
        return np.concatenate([first, np.array(self[half:])])

    @staticmethod
    def meanwhile() -> None:
        """What the writer does meanwhile."""


@pytest.mark.parametrize("more", [7, 8, 9, 20])
def test_a_block_that_is_overwritten_while_it_is_copied_is_lost_not_torn(
    more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = BlockRing(8, 4, 2)
    ring._samples = ring._samples.view(LappedCopy)
    ring.write(numbered(1), 1, 1)
    coming = iter(range(2, 2 + more))
    monkeypatch.setattr(LappedCopy, "meanwhile", lambda: [ring.write(numbered(n), n, n) for n in coming])
    blocks = drain(ring)
    assert all(np.all(b.samples == b.captured_s) for b in blocks)
    assert len(blocks) + sum(b.lost_frames for b in blocks) // 4 == 1 + more
    assert ring.overruns == 1 + more - len(blocks) > 0


def test_history_gives_the_newest_and_says_where_it_starts() -> None:
    history = History(10)
    for start in range(0, 24, 4):
        history.append(np.arange(start, start + 4, dtype=np.float32)[:, None])
    assert history.end == 24
    np.testing.assert_array_equal(history.newest(3)[:, 0], [21, 22, 23])
    samples, start = history.since(5)
    assert start == 14
    np.testing.assert_array_equal(samples[:, 0], np.arange(14, 24))
    assert history.since(99)[0].shape == (0, 1)


def test_the_sample_clock_follows_drift_through_jitter() -> None:
    rng = np.random.default_rng(0)
    clock, errors = SampleClock(44_100), []
    for block in range(1, 10_000):
        count, true_s = block * 256, 100 + block * 256 / 44_100 * 1.0002
        clock.update(count, true_s + rng.uniform(-0.01, 0.01))
        errors.append(clock.time_of(count) - true_s)
    assert np.abs(errors[1000:]).max() < 0.003


def test_the_sample_clock_jumps_over_a_gap() -> None:
    clock = SampleClock(1000)
    clock.update(100, 5.0)
    clock.update(200, 9.0)
    assert clock.time_of(200) == 9.0
    assert clock.time_of(150) == pytest.approx(8.95)


def test_a_settled_sample_clock_follows_a_jump_at_once_and_a_wobble_slowly() -> None:
    clock = SampleClock(1000)
    for count in range(100, 5001, 100):
        clock.update(count, 3.0 + count / 1000)
    clock.update(5100, 8.1 + 0.05)
    assert clock.time_of(5100) == pytest.approx(8.1, abs=0.01)
    clock.update(5200, 8.2 + 1.0)
    assert clock.time_of(5200) == 9.2


def test_channels_that_a_block_lacks_are_silent() -> None:
    ring = BlockRing(2, 4, 3)
    for number in range(3):
        ring.write(np.full((4, 3), 1.0, np.float32), number, number)
    drain(ring)
    ring.write(numbered(5), 3.0, 3.1)
    (block,) = drain(ring)
    np.testing.assert_array_equal(block.samples, np.pad(numbered(5), ((0, 0), (0, 1))))
