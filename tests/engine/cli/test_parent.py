"""A show that dies is back: its parent, on small programs and on the real show, killed as the kernel kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from pythonosc.udp_client import SimpleUDPClient

from engine.cli import parent

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(os.name != "posix", reason="Windows has shows without a parent"),
]
T = TypeVar("T")

SHOW = """
import json, os, signal, sys, time
from pathlib import Path
sys.stdin.readline()
folder = Path(os.environ["TPOS_RUN_FOLDER"])
with open(sys.argv[1], "a") as log:
    log.write(f"{os.getpid()}\\n")
%s
"""
UP = """
(folder / "state.json").write_text(json.dumps({"pid": os.getpid()}))
%s
"""


def run_under_parent(folder: Path, body: str) -> tuple[int, list[int], str]:
    """A small program as the show: the parent's exit code, the programs' numbers, what the parent said."""
    (folder / "show.py").write_text(SHOW % body)
    keep = f"import sys; from engine.cli import parent; sys.exit(parent.keep([{str(folder / 'log')!r}], {program!r}))"
    done = subprocess.run(
        [sys.executable, "-c", keep.replace("SHOW", str(folder / "show.py"))],
        capture_output=True, text=True, timeout=60, env=environment(folder), check=False, start_new_session=True,
    )  # fmt: skip
    assert not [*folder.glob("run/tpos/show-*")], "the parent left its folder behind"
    return done.returncode, [int(line) for line in (folder / "log").read_text().split()], done.stderr


program = (sys.executable, "SHOW")


def environment(folder: Path) -> dict[str, str]:
    (folder / "run").mkdir(exist_ok=True)
    return {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}


@pytest.mark.parametrize(
    ("words", "has_one"),
    [
        ("live", True),
        ("--debug live --headless", True),
        ("live --no-parent", False),
        ("live --json", False),
        ("live --seconds=3", False),
        ("live --help", False),
        ("demo", False),
        ("", False),
    ],
)
def test_shows_of_no_set_length_have_a_parent(words: str, has_one: bool):
    assert parent.is_asked_for(words.split()) is has_one


def test_the_parent_loads_nothing_that_computes_or_draws():
    loaded = "import sys, engine.cli.main; print(*{'torch', 'numpy', 'pyglet', 'onnxruntime'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("code", [0, 2, 7])
def test_a_show_that_never_was_up_is_not_brought_back(tmp_path: Path, code: int):
    assert run_under_parent(tmp_path, f"sys.exit({code})")[0] == code
    assert len((tmp_path / "log").read_text().split()) == 1


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(1)", "os.abort()"])
def test_a_show_that_died_is_back_until_it_ends_in_order(tmp_path: Path, end: str):
    code, shows, said = run_under_parent(tmp_path, UP % f"sys.exit(0) if (folder / 'died.txt').exists() else {end}")
    assert (code, len(shows)) == (0, 2)
    assert not said


def test_a_show_that_dies_again_and_again_is_given_up_with_a_line(tmp_path: Path):
    code, shows, said = run_under_parent(tmp_path, UP % "os.kill(os.getpid(), signal.SIGSEGV)")
    assert (code, len(shows)) == (128 + signal.SIGSEGV, 3)
    assert said == "tpos: the show was ended by SIGSEGV, 3 times within seconds; it is given up\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both_once_and_the_code_is_passed_on(tmp_path: Path, number: signal.Signals):
    waits = UP % (
        f"signal.signal({int(number)}, lambda *got: (open(sys.argv[1], 'a').write('1\\n'), sys.exit(5)))\n"
        f"os.kill(os.getppid(), {int(number)})\ntime.sleep(30)"
    )
    code, shows, _ = run_under_parent(tmp_path, waits)
    assert code == 5
    assert shows[1:] == [1], "the signal came once"


def test_a_show_is_out_of_its_terminal_s_reach(tmp_path: Path):
    """What leads a session has no terminal: Ctrl-C comes to it from its parent alone, Ctrl-Z and Ctrl-S never."""
    code, shows, _ = run_under_parent(tmp_path, UP % "open(sys.argv[1], 'a').write(f'{os.getsid(0)}')")
    assert code == 0
    assert shows == [shows[0], shows[0]], "its session has its own number"


HEAPS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.free.argtypes, libc.malloc_info.argtypes = [ctypes.c_void_p], [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)
def take():
    together.wait()
    for _ in range(2000):
        libc.free(libc.malloc(50_000))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
heaps = folder / "heaps.xml"
file = libc.fopen(bytes(heaps), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
open(sys.argv[1], "a").write(str(heaps.read_text().count("<heap nr=")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="these heaps are glibc's")
def test_a_show_has_two_heaps_however_many_threads_take_memory(tmp_path: Path):
    code, shows, _ = run_under_parent(tmp_path, UP % HEAPS)
    assert code == 0
    assert shows[1] <= 2


def test_a_show_that_does_not_end_is_ended(tmp_path: Path):
    begun_s = time.monotonic()
    code, _, _ = run_under_parent(
        tmp_path, UP % "signal.signal(15, signal.SIG_IGN)\nos.kill(os.getppid(), 15)\ntime.sleep(60)"
    )
    assert code == 128 + signal.SIGKILL
    assert parent.EXIT_S <= time.monotonic() - begun_s < parent.EXIT_S + 10


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(found: Callable[[], T | None], patience_s: float = 120.0) -> T:
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if (value := found()) is not None:
            return value
        time.sleep(0.02)
    pytest.fail("it did not come")


class Playing:
    """`tpos live` under its parent, recording."""

    def __init__(self, folder: Path) -> None:
        self.folder, port = folder, free_port()
        show = (
            "live",
            "--headless",
            "--size",
            "160x160",
            "--input",
            "synth",
            "--mute",
            "--record",
            str(folder / "rec"),
        )
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", *show, "--osc-port", str(port)],
            env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.osc = SimpleUDPClient("127.0.0.1", port)

    def kept(self, ready: Callable[[dict[str, Any]], bool] = lambda kept: True) -> dict[str, Any]:
        """What the show keeps, once it is as asked."""

        def look() -> dict[str, Any] | None:
            for file in self.folder.glob("run/tpos/show-*/state.json"):
                kept = json.loads(file.read_text())
                return kept if ready(kept) else None
            return None

        return wait_for(look)

    def picture(self) -> bytes | None:
        for file in self.folder.glob("run/tpos/show-*/picture.jpg"):
            return file.read_bytes()
        return None

    def spare(self) -> int | None:
        """The spare process, once it has loaded what a show needs, and waits."""
        show = self.kept()["pid"]
        for child in psutil.Process(self.parent.pid).children():
            if child.pid != show and child.memory_info().rss > 150e6 and child.cpu_percent(0.5) < 5:
                return child.pid
        return None


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Playing]:
    show = Playing(tmp_path)
    yield show
    if show.parent.poll() is None:
        show.parent.terminate()
    show.parent.communicate(timeout=30)
    show.osc._sock.close()


def test_a_killed_show_is_back_as_it_was_and_records_on(playing: Playing):
    first = playing.kept(lambda kept: kept["session"] != "")
    playing.osc.send_message("/tpos/prompt", "a city at night")
    playing.osc.send_message("/tpos/seed", 77)
    playing.osc.send_message("/tpos/freeze", True)
    playing.kept(lambda kept: kept["state"]["freeze"] and kept["state"]["seed"] == 77)
    time.sleep(2.5)  # a picture of the frozen show is kept
    picture, spare = wait_for(playing.picture), wait_for(playing.spare)
    os.kill(first["pid"], signal.SIGKILL)
    killed_s = time.monotonic()
    second = playing.kept(lambda kept: kept["pid"] != first["pid"])
    assert time.monotonic() - killed_s < 10.0  # 3 s are reached where nobody else wants the cores
    assert second["pid"] == spare
    assert (second["state"]["prompts"][0]["text"], second["state"]["seed"]) == ("a city at night", 77)
    assert second["state"]["freeze"]
    assert second["session"] == first["session"]
    wait_for(lambda: (playing.folder / "rec" / f"{first['session']}-2" / "control.jsonl").exists() or None)
    playing.parent.send_signal(signal.SIGTERM)
    assert playing.parent.wait(20) == 0
    assert picture
    assert playing.parent.stderr is not None
    assert "the show was ended by SIGKILL; it goes on here, as it was" in playing.parent.stderr.read()
