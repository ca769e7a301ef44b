"""What the capture does about samples that never came, from a source and a clock moved by hand: no sound card."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from engine.audio import HOP_S, SAMPLE_RATE
from engine.audio.analysis import DEFAULT, Analyser
from engine.audio.capture import Capture
from engine.audio.sources import Source, SourceCounters, SourceState
from engine.core.beat_grid import BeatGrid, ClockSource, Quantise, line
from engine.core.messages import AudioFeatures, ShowState, SoundState

BLOCK = 256
BLOCK_S = BLOCK / SAMPLE_RATE


class HandClock:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        time.sleep(0.0005)


class HandSource(Source):
    """Blocks of one value each, written by the test: block n holds n / 4096."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__("hand", SAMPLE_RATE, 1)
        self._clock = clock
        self.given = 0

    def start(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def counters(self) -> SourceCounters:
        return SourceCounters(blocks=self.ring.written, overflows=self.overflows)

    def give(self, blocks: int, captured_after_s: float = BLOCK_S) -> None:
        """The next blocks, each captured so long after the one before, the clock with them."""
        for _ in range(blocks):
            self._clock.now_s += captured_after_s
            self.ring.write(block(self.given), self._clock.now_s, self._clock.now_s)
            self.given += 1


def block(number: int) -> np.ndarray:
    return np.full((BLOCK, 1), number / 4096, np.float32)


class HeldAnalyser(Analyser):
    """An analysis that the test can hold up, as a busy machine would."""

    def __init__(self) -> None:
        super().__init__()
        self.going = threading.Event()
        self.going.set()

    def process(
        self, samples: np.ndarray, end_time_s: float, state: ShowState = DEFAULT, lost: bool = False
    ) -> list[AudioFeatures]:
        self.going.wait(20)
        return super().process(samples, end_time_s, replace(state, agc=False), lost)


class Rig:
    """A capture of such a source, running."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.source = HandSource(self.clock)
        self.analyser = HeldAnalyser()
        self.state = ShowState()
        self.capture = Capture(self.source, self.clock, self.analyser, lambda: self.state)

    def until(self, met: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 20
        while not met():
            assert time.monotonic() < deadline_s, f"it never happened: {self.capture.counters()}"
            time.sleep(0.0005)

    def taken(self) -> None:
        """Wait until everything given has been analysed."""
        end_s = self.clock.now_s
        self.until(lambda: self.source.ring.consumed == self.source.ring.written)
        self.until(lambda: self.capture.latest().time_s > end_s - 2 * HOP_S)

    def samples(self) -> np.ndarray:
        return self.capture.raw(0)[0][:, 0]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    with rig.capture:
        yield rig


def test_what_an_overrun_ring_lost_is_silence_of_its_length(rig: Rig) -> None:
    rig.source.give(8)
    rig.taken()
    rig.analyser.going.clear()
    rig.source.give(1200)
    assert rig.source.ring.written - rig.source.ring.consumed > rig.source.ring.slots
    rig.analyser.going.set()
    rig.taken()
    counters, heard = rig.capture.counters(), rig.samples()
    assert counters.overruns > 300
    assert counters.filled == counters.overruns * BLOCK
    assert len(heard) == counters.samples == 1208 * BLOCK
    whole = np.concatenate([block(n) for n in range(1208)])[:, 0]
    here = heard == whole
    np.testing.assert_array_equal(heard[~here], 0)
    assert np.count_nonzero(~here) == counters.filled
    assert rig.capture.time_of(len(heard)) == pytest.approx(rig.clock.now_s, abs=1e-3)


@pytest.mark.parametrize("gap_s", [0.05, 0.5, 3.0])
def test_what_the_driver_dropped_is_silence_of_its_length(rig: Rig, gap_s: float) -> None:
    rig.source.give(200)
    rig.taken()
    rig.source.overflows += 1
    rig.source.give(1, captured_after_s=BLOCK_S + gap_s)
    rig.source.give(200)
    rig.taken()
    heard, filled = rig.samples(), rig.capture.counters().filled
    assert filled / SAMPLE_RATE == pytest.approx(gap_s, abs=0.003)
    assert not heard[200 * BLOCK : 200 * BLOCK + filled].any()
    np.testing.assert_array_equal(heard[200 * BLOCK + filled :][:BLOCK], block(200)[:, 0])
    assert rig.capture.time_of(len(heard)) == pytest.approx(rig.clock.now_s, abs=0.003)


def test_a_gap_nobody_would_notice_is_left_alone(rig: Rig) -> None:
    rig.source.give(200)
    rig.taken()
    rig.source.overflows += 1
    rig.source.give(1, captured_after_s=BLOCK_S + 0.01)
    rig.source.give(50)
    rig.taken()
    assert rig.capture.counters().filled == 0


def test_while_the_device_is_gone_time_passes_as_silence_marked_lost(rig: Rig) -> None:
    rig.source.give(200)
    rig.taken()
    rig.source.state = SourceState.LOST
    for _ in range(50):
        rig.clock.now_s += 0.02
        rig.until(lambda: rig.capture.latest().time_s > rig.clock.now_s - 3 * HOP_S)
    assert rig.capture.latest().state == "lost"
    assert rig.capture.counters().filled / SAMPLE_RATE == pytest.approx(1.0, abs=0.03)
    rig.source.state = SourceState.OK
    rig.source.give(200)
    rig.taken()
    assert rig.capture.latest().state != "lost"
    heard = rig.samples()
    back = int(np.argmax(heard == np.float32(200 / 4096)))
    assert rig.capture.time_of(back) == pytest.approx(rig.clock.now_s - 200 * BLOCK_S, abs=0.015)
    assert len(heard) / SAMPLE_RATE == pytest.approx(400 * BLOCK_S + 1.0, abs=0.03)


def test_an_hour_asleep_is_not_an_hour_of_silence(rig: Rig) -> None:
    rig.source.give(100)
    rig.taken()
    rig.source.state = SourceState.LOST
    rig.clock.now_s += 3600
    rig.until(lambda: rig.capture.latest().time_s > 3600)
    assert rig.capture.counters().filled < SAMPLE_RATE
    rig.source.state = SourceState.OK
    rig.source.give(100)
    rig.taken()
    assert rig.capture.time_of(rig.capture.counters().samples) == pytest.approx(rig.clock.now_s, abs=0.02)


def test_a_pause_between_stop_and_start_is_silence_too(rig: Rig) -> None:
    rig.source.give(100)
    rig.taken()
    rig.capture.stop()
    rig.clock.now_s += 2.0
    rig.capture.start()
    rig.source.give(100)
    rig.taken()
    assert rig.capture.counters().filled / SAMPLE_RATE == pytest.approx(2.0, abs=0.003)
    assert len(rig.samples()) / SAMPLE_RATE == pytest.approx(200 * BLOCK_S + 2.0, abs=0.003)


def test_beats_are_counted_on_while_nothing_comes(rig: Rig) -> None:
    """Under another clock, too, a beat is where that says; what waits for a bar is not made for a lost cable."""
    rig.state = ShowState(grids=(BeatGrid(ClockSource.LINK, rig.clock.now(), 0.0, 120.0),))
    rig.source.give(1000)
    rig.taken()
    playing = rig.capture.latest()
    assert playing.bpm == pytest.approx(120, abs=0.1)
    rig.analyser.going.clear()
    passed_s = [1.5, 1.0, 1.0, 0.25]
    for seconds in passed_s:
        rig.clock.now_s += seconds
        gone = rig.capture.latest()
        assert (gone.state, gone.level, gone.onset, gone.in_time) == (SoundState.LOST, 0.0, 0.0, 0.0)
        assert line(Quantise.BAR, gone) is not None
        beats = 2 * (rig.clock.now() - 100)
        assert gone.bar_beat + gone.beat_phase == pytest.approx(beats % 4, abs=0.1)
    assert gone.beat - playing.beat == pytest.approx(2 * sum(passed_s), abs=1.0)
    assert (gone.drops, gone.sections) == (playing.drops, playing.sections)
