"""Frames in flight: begun one after another, drawn side by side, published in their order."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from engine.inference.in_flight import InFlightWorkers

pytestmark = pytest.mark.realtime

PATIENCE_S = 20.0


def by(condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, or the end of all patience."""
    end_s = time.monotonic() + PATIENCE_S
    return lambda: condition() or time.monotonic() > end_s


def test_a_call_that_comes_after_a_while_without_any_is_begun_at_once():
    """A call of 0.5 s, then nothing for 0.1 s: the next one waits for nobody."""
    begun_s: list[float] = []
    published: list[float] = []

    def begin() -> Callable[[], float] | None:
        if len(published) == 1 and time.monotonic() < published[0] + 0.1:
            return None
        begun_s.append(time.monotonic())
        return lambda: time.sleep(0.5) or time.monotonic()

    InFlightWorkers(begin, published.append, lambda: 1).run(by(lambda: len(published) == 2))
    assert begun_s[1] - (published[0] + 0.1) < 0.2


class Alone:
    """A body that never runs twice at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        assert self._lock.acquire(blocking=False), "called on two threads at once"
        time.sleep(0.001)

    def __exit__(self, *unused: object) -> None:
        self._lock.release()


class Pairs:
    """Calls 0, 1, 2...: each even one ends only after the odd one behind it has."""

    def __init__(self, count: int) -> None:
        self.count, self.begun = count, 0
        self.published: list[int] = []
        self._beginning, self._publishing = Alone(), Alone()
        self._ended = [threading.Event() for _ in range(count)]

    def begin(self) -> Callable[[], int] | None:
        with self._beginning:
            if self.begun == self.count:
                return None
            self.begun += 1
            number = self.begun - 1
        return lambda: self.draw(number)

    def draw(self, number: int) -> int:
        assert number % 2 or self._ended[number + 1].wait(PATIENCE_S), "the call behind it never ran beside it"
        self._ended[number].set()
        return number

    def publish(self, number: int) -> None:
        with self._publishing:
            self.published.append(number)


def test_a_call_that_ends_before_the_one_ahead_is_published_behind_it():
    pairs = Pairs(20)
    InFlightWorkers(pairs.begin, pairs.publish, lambda: 2).run(by(lambda: len(pairs.published) == 20))
    assert pairs.published == list(range(20))


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_than_at_once_and_as_many(at_once):
    now, most, published = 0, 0, 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    def publish(nothing: None) -> None:
        nonlocal published
        published += 1

    InFlightWorkers(lambda: call, publish, lambda: at_once).run(by(lambda: published >= 30))
    assert most == at_once


def test_workers_rest_while_each_call_needs_the_one_before():
    now, overlaps, begun = 0, 0, 0
    lock = threading.Lock()

    def begin() -> Callable[[], None]:
        nonlocal begun
        begun += 1
        return call

    def call() -> None:
        nonlocal now, overlaps
        with lock:
            now += 1
            overlaps += now > 1 and begun > 22  # two were under way when it changed
        time.sleep(0.005)
        with lock:
            now -= 1

    InFlightWorkers(begin, lambda nothing: None, lambda: 2 if begun < 20 else 1).run(by(lambda: begun >= 50))
    assert overlaps == 0


def test_calls_side_by_side_begin_spaced():
    begun_s: list[float] = []

    def begin() -> Callable[[], None]:
        begun_s.append(time.monotonic())
        return lambda: time.sleep(0.1)

    InFlightWorkers(begin, lambda nothing: None, lambda: 2).run(by(lambda: len(begun_s) >= 10))
    gaps = [later - earlier for earlier, later in pairwise(begun_s[2:])]  # what a call takes is known after the first
    assert min(gaps) > 0.03, "two calls of 0.1 s at once: about 0.05 s apart"


class Device:
    """Does what it is given in its order, `takes_s` each; notes when each was given, taken up and done."""

    def __init__(self, takes_s: float, giving_s: float) -> None:
        self.times: list[tuple[float, float, float]] = []
        self.takes_s, self._giving_s, self._free_s = takes_s, giving_s, 0.0

    def begin(self) -> Callable[[], None]:
        begun_s = time.monotonic()
        time.sleep(self._giving_s)
        taken_up_s = max(time.monotonic(), self._free_s)
        self._free_s = done_s = taken_up_s + self.takes_s
        self.times.append((begun_s, taken_up_s, done_s))
        return lambda: time.sleep(max(0.0, done_s - time.monotonic()))

    def idle_and_waited_s(self) -> tuple[float, float]:
        """Medians, in the steady state: idle between two calls, and from a call's beginning to where it is taken up."""
        idle = [later[1] - earlier[2] for earlier, later in pairwise(self.times[5:])]
        return statistics.median(idle), statistics.median(taken - begun for begun, taken, _ in self.times[5:])


def play(device: Device, at_once: int, queued: bool) -> None:
    done: list[None] = []
    InFlightWorkers(device.begin, done.append, lambda: at_once, queued).run(by(lambda: len(done) >= 25))
    assert len(done) == len(device.times)


def test_a_device_is_given_the_next_call_just_before_it_would_be_idle():
    """Alone it idles while it is given one (10 ms); filled to the brim, what it does is old."""
    alone, filled, device = Device(0.04, 0.01), Device(0.04, 0.01), Device(0.04, 0.01)
    play(alone, 1, False)
    assert alone.idle_and_waited_s()[0] >= 0.01
    play(filled, 2, False)
    play(device, 2, True)
    idle_s, waited_s = device.idle_and_waited_s()
    assert idle_s < 0.003
    assert 0.0175 <= waited_s < 0.03
    assert waited_s < filled.idle_and_waited_s()[1]


def test_a_device_that_is_idle_is_not_waited_for():
    """After a pause of nothing to do the next call begins at once, however long the ones before took."""
    device = Device(0.4, 0.0)

    def begin() -> Callable[[], None] | None:
        if len(device.times) == 2 and time.monotonic() < device.times[1][2] + 0.1:
            return None
        return device.begin()

    InFlightWorkers(begin, lambda nothing: None, lambda: 2, True).run(by(lambda: len(device.times) >= 4))
    (_, _, paused_s), (begun_s, _, _), (next_s, _, _) = device.times[1:4]
    assert begun_s - (paused_s + 0.1) < 0.1
    assert next_s - begun_s > 0.2, "and the one behind it when it is nearly done"


@pytest.mark.parametrize("queued", [True, False])
def test_one_slow_call_does_not_hold_up_what_comes_after_it(queued):
    """How long the last call took is a forecast; it is not slept through where the next is done long before."""
    ends_s: list[float] = []
    takes_s = iter([0.02] * 5 + [1.0] + [0.02] * 100)

    def begin() -> Callable[[], None]:
        device.takes_s = next(takes_s)
        return device.begin()

    device = Device(0.02, 0.001)
    InFlightWorkers(begin, lambda nothing: ends_s.append(time.monotonic()), lambda: 2, queued).run(
        by(lambda: len(ends_s) >= 20)
    )
    gaps = sorted(later - earlier for earlier, later in pairwise(ends_s))
    assert gaps[-1] > 0.9, "the slow one itself"
    assert gaps[-2] < 0.3


def test_what_hangs_does_not_keep_the_process_from_ending():
    program = """
import threading, time
from engine.inference.in_flight import InFlightWorkers
hangs = threading.Event()
workers = InFlightWorkers(lambda: hangs.wait, print, lambda: 2, True)
threading.Thread(target=workers.run, args=(lambda: False,), daemon=True).start()
while "inference-1" not in [thread.name for thread in threading.enumerate()]:
    time.sleep(0.01)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=PATIENCE_S).returncode == 0


def test_workers_are_named():
    names: set[str] = set()

    def call() -> None:
        names.add(threading.current_thread().name)
        time.sleep(0.01)

    InFlightWorkers(lambda: call, lambda nothing: None, lambda: 3).run(by(lambda: len(names) == 3))
    assert names == {threading.current_thread().name, "inference-1", "inference-2"}


def test_what_is_under_way_at_the_end_is_published():
    published: list[int] = []
    begun = 0

    def begin() -> Callable[[], int]:
        nonlocal begun
        begun += 1
        number = begun
        return lambda: time.sleep(0.02) or number

    InFlightWorkers(begin, published.append, lambda: 2).run(by(lambda: begun >= 6))
    assert published == list(range(1, begun + 1))


@pytest.mark.parametrize("at_home", [True, False])
def test_a_failure_on_either_thread_ends_the_work_and_is_raised(at_home):
    home, both = threading.get_ident(), threading.Barrier(2)
    begun = 0

    def begin() -> Callable[[], None]:
        nonlocal begun
        begun += 1
        number = begun

        def call() -> None:
            if number <= 2:
                both.wait(PATIENCE_S)
            elif (threading.get_ident() == home) == at_home:
                raise RuntimeError("the kernel failed")
            time.sleep(0.005)

        return call

    with pytest.raises(RuntimeError, match="the kernel failed"):
        InFlightWorkers(begin, lambda nothing: None, lambda: 2).run(by(lambda: begun > 1000))
    assert begun < 1000
