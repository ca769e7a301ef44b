"""What turns knobs, in a process of its own: what sending costs is not the show's.

`python sender.py osc HOST:PORT` or `python sender.py midi NAME`, a JACK client. It takes lines: "turn WHAT VALUE" sends
one change, to an address or a control, of a value 0..127; "flood WHAT" sends PER_S a second; the next line ends them.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from tpos_models.errors import RunError

Send = Callable[[str, int], object]

PER_S, MOST_AT_ONCE = 1000, 20
"""Changes a second of a flood, some at a time, as drivers hand them on."""
TURN_S = 0.005
"""How often some are sent."""


class Sender:
    """Such a process, between making and `close`. Raises RunError where it cannot send."""

    def __init__(self, way: str, to: str) -> None:
        command = [sys.executable, "-P", __file__, way, to]  # -P: beside this file lie modules of other names
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdin
        assert self._process.stdout
        self._lines, self._told = self._process.stdin, self._process.stdout
        if not self._told.readline():
            self.close()
            raise RunError(f"what was to send over {way} did not start")

    def turn(self, what: str, value: int) -> None:
        """Send one change; it ends a flood."""
        self._lines.write(f"turn {what} {value}\n")

    def flood(self, what: str) -> None:
        """Send PER_S a second until something else is asked."""
        self._lines.write(f"flood {what}\n")

    def close(self) -> None:
        """Let it send what is left, and end."""
        with suppress(OSError):
            self._lines.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self._process.kill()
        self._process.wait()
        self._told.close()


def osc(target: str) -> tuple[Send, Callable[[], object]]:
    """What sends over OSC, and what ends it."""
    from pythonosc.osc_message import OscMessage
    from pythonosc.osc_message_builder import build_msg
    from pythonosc.udp_client import SimpleUDPClient

    host, _, port = target.rpartition(":")
    client = SimpleUDPClient(host, int(port))

    @lru_cache
    def said(address: str, value: int) -> OscMessage:
        return build_msg(address, value / 127)

    return lambda address, value: client.send(said(address, value)), lambda: None


def midi(name: str) -> tuple[Send, Callable[[], object]]:
    """The same over MIDI."""
    import rtmidi

    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
    out.open_virtual_port("knobs")

    def end() -> None:
        time.sleep(0.2)  # RtMidi waits a minute for what it has not sent yet
        out.delete()

    return lambda control, value: out.send_message([0xB0, int(control), value]), end


def flood(send: Send, what: str, lines: queue.SimpleQueue[str]) -> None:
    """Send `PER_S` a second until a line comes; what was held up is left out."""
    began_s, sent = time.monotonic(), 0
    while lines.empty():
        due = int((time.monotonic() - began_s) * PER_S)
        for n in range(max(sent, due - MOST_AT_ONCE), due):
            send(what, n % 128)
        sent = due
        time.sleep(TURN_S)


def main(way: str, to: str) -> None:
    """Until there are no more lines."""
    send, end = {"osc": osc, "midi": midi}[way](to)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while line := lines.get():
        match line.split():
            case ["turn", what, value]:
                send(what, int(value))
            case ["flood", what]:
                flood(send, what, lines)
    end()


if __name__ == "__main__":
    main(*sys.argv[1:])
