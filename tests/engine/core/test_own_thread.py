"""What a thread raises is told, and it goes on; one that hangs holds nobody up."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from engine.core import own_thread
from engine.core.own_thread import OwnThread

STOPPED = """
import threading, time
from engine.core import own_thread
own_thread.HANGS_S, own_thread.LOOK_S = 1.0, 0.1
class Turning(own_thread.OwnThread):
    def _run(self):
        self._thread.turn()
        while not self._stop.wait(0.2):
            self._thread.turn()
class Pausing(own_thread.OwnThread):
    def _run(self):
        self._thread.turn()
        self._thread.pause(60.0)
with Turning("tpos-turning"), Pausing("tpos-pausing"):
    for _ in range(4):
        seen = set()
        until_s = time.monotonic() + 0.5
        while time.monotonic() < until_s:
            seen.update(own_thread.troubles())
            time.sleep(0.02)
        print(sorted(seen), flush=True)
"""
"""Says four times what was told: of one that turns often, and of one whose pauses are longer than a hang."""


class Failing(OwnThread):
    """Fails so often, then waits for its end."""

    def __init__(self, failures: int) -> None:
        self.runs, self.failures = 0, failures
        self.settled = threading.Event()
        super().__init__("tpos-failing")

    def _run(self) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise ValueError("the cable is loose\nand more that nobody reads")
        self.settled.set()
        self._stop.wait()


def test_a_thread_that_fails_is_started_again_and_it_is_said() -> None:
    with Failing(2) as thread:
        assert thread.settled.wait(20)
        assert thread.runs == 3
        assert own_thread.troubles() == ["tpos-failing failed (the cable is loose) and was started again"]
    assert not any(one.name == "tpos-failing" for one in threading.enumerate())


def test_trouble_is_over_when_it_goes_well_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_thread, "TOLD_S", 0.2)
    with Failing(1) as thread:
        assert thread.settled.wait(20)
        until_s = time.monotonic() + 10
        while own_thread.troubles() and time.monotonic() < until_s:
            time.sleep(0.01)
        assert own_thread.troubles() == []


def test_the_end_is_not_waited_for_where_a_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_thread, "JOIN_S", 0.1)
    released = threading.Event()

    class Hanging(OwnThread):
        def _run(self) -> None:
            released.wait()

    thread = Hanging("tpos-hanging").start()
    begun_s = time.monotonic()
    thread.close()
    released.set()
    assert time.monotonic() - begun_s < own_thread.JOIN_S + 10


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_no_thread_hangs_where_the_whole_process_was_stopped():
    """Nobody ran, the one who asks as little as the others; and pauses, however long, are no hang."""
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as told:
        for _ in range(2):
            assert told.readline() == "[]\n"
            child.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            child.send_signal(signal.SIGCONT)
        assert told.read() == "[]\n" * 2
    assert child.wait(20) == 0


def test_a_thread_that_no_longer_comes_round_is_said_to_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_thread, "HANGS_S", 0.3)
    held = threading.Event()

    class Turning(OwnThread):
        def _run(self) -> None:
            while not self._stop.wait(0.01):
                self._thread.turn()
                held.wait()

    def said(lines: list[str]) -> bool:
        until_s = time.monotonic() + 20
        while own_thread.troubles() != lines and time.monotonic() < until_s:
            time.sleep(0.01)
        return own_thread.troubles() == lines

    with Turning("tpos-turning"):
        assert said(["tpos-turning hangs"])
        held.set()
        assert said([])
    assert own_thread.troubles() == []
