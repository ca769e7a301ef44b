"""Messages of a show never hold it up, whatever becomes of the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from engine.core import console
with console.in_background():
    begun_s = time.monotonic()
    for number in range(20_000):
        console.notify(f"line {number} " + "." * 200)
    took_s = time.monotonic() - begun_s
    open(sys.argv[1], "w").write(str(took_s))
    time.sleep(float(sys.argv[2]))
console.notify("the end")
open(sys.argv[1], "a").write(" ended")
"""


def show(report: Path, stderr: int, after_s: float = 0.0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(report), str(after_s)]
    return subprocess.Popen(command, stderr=stderr)


def wait_for(report: Path, word: str) -> str:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        if report.exists() and word in (text := report.read_text()):
            return text
        time.sleep(0.02)
    pytest.fail(f"{report}: no {word!r}")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_terminal_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """As Ctrl-S: nobody reads the pipe, and 4 MB of lines are 60 times what it holds."""
    reading, writing = os.pipe()
    program = show(tmp_path / "report", writing)
    os.close(writing)
    assert float(wait_for(tmp_path / "report", ".").split()[0]) < 10
    os.close(reading)
    assert program.wait(60) == 0
    assert wait_for(tmp_path / "report", "ended")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_terminal_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = show(tmp_path / "report", writing)
    os.close(writing)
    assert program.wait(60) == 0
    assert wait_for(tmp_path / "report", "ended")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
@pytest.mark.parametrize(("signals", "code"), [(["SIGHUP"], 0), (["SIGTERM", "SIGTERM"], 128 + signal.SIGTERM)])
def test_a_closed_terminal_ends_in_order_and_a_second_signal_at_once(
    tmp_path: Path, signals: list[str], code: int
) -> None:
    """The program takes ever to end in order once it is asked twice."""
    wait = "stopping.wait()" if len(signals) == 1 else "stopping.wait(); open(sys.argv[1], 'a').write('1'); hang()"
    source = (
        "import sys, threading\nfrom engine.core.signals import ended_by_signals\n"
        "hang = threading.Event().wait\n"
        f"with ended_by_signals() as stopping:\n    open(sys.argv[1], 'w').write('0'); {wait}\n"
    )
    program = subprocess.Popen([sys.executable, "-c", source, str(tmp_path / "report")])
    for number, name in enumerate(signals):
        wait_for(tmp_path / "report", str(number))
        program.send_signal(getattr(signal, name))
    assert program.wait(30) == code
