"""Controllers for benchmarks: ports of a JACK server without a sound card."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from engine.bench.sender import Sender
from tpos_models.errors import MissingPart

NAME, UNHEARD = "tpos-bench", "tpos-nobody"
SERVER = f"tpos-{os.getpid()}"
"""Another than the client's: JACK mistakes one for the other."""
_WAIT_S = 10.0
_JACK = ("jackd", "--no-realtime", "-S", "-t", "5000", "-n", SERVER, "-d", "dummy", "-p", "128")


@contextmanager
def jack_controllers() -> Iterator[tuple[Sender, Sender]]:
    """Controllers named `NAME` and `UNHEARD` on a JACK server of their own, to which mido is pointed.

    Raises MissingPart where there is no jackd or no python-rtmidi that knows it.
    """
    if not shutil.which("jackd") or not importlib.util.find_spec("rtmidi"):
        raise MissingPart("no jackd or no python-rtmidi: sudo apt-get install jackd2; pip install 'tpos-live[midi]'")
    chosen = {
        "JACK_DEFAULT_SERVER": SERVER,
        "JACK_NO_START_SERVER": "1",
        "MIDO_BACKEND": "mido.backends.rtmidi/UNIX_JACK",
    }
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    server = subprocess.Popen(_JACK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(server)
        with closing(Sender("midi", NAME)) as controller, closing(Sender("midi", UNHEARD)) as unheard:
            yield controller, unheard
    finally:
        server.terminate()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    import rtmidi

    until_s = time.monotonic() + _WAIT_S
    while server.poll() is None and time.monotonic() < until_s:
        try:
            rtmidi.MidiIn(rtmidi.API_UNIX_JACK).delete()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise MissingPart("jackd does not start here; 'jackd -d dummy' says why")
