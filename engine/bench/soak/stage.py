"""The show of a soak, in a process of its own: `python -m engine.bench.soak.stage OPTIONS`, with `Asked` as JSON.

It takes lines, "begin FAULT" and "end FAULT", and gives lines: `Vitals` as JSON while it plays, the summary at its end.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec
import numpy as np

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.options import LookOptions
from engine.bench.soak.seams import Inside, JumpingClock, Networks
from engine.bench.soak.spoken import BUFFER_BYTES, PRESET, SENT_HZ, SENT_PX, Asked, Vitals
from engine.core import console
from engine.core.hud_info import Health, HudInfo
from engine.core.messages import SoundState
from engine.core.own_thread import OwnThread
from engine.core.signals import ended_by_signals
from engine.inference.fallback import Backend, FallbackChain, backends_on
from engine.inference.loading import choose_precision, open_on, runners
from engine.outputs.output import Picture
from engine.outputs.registry import OUTPUTS, Kind, OutputSettings
from engine.outputs.spec import OutputSpec
from engine.outputs.stream import StreamOutput
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.precision import Precision

VITALS_S = 0.05


class Wire:
    """Pictures over TCP to a receiver on this machine. See `Sink`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._socket.connect(("127.0.0.1", port))

    def watchers(self) -> int:
        """There is one, or it raises."""
        return 1

    def send(self, pixels: np.ndarray, time_s: float) -> None:
        """As they are."""
        self._socket.sendall(pixels.tobytes())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Probe:
    """An output that notes when redraws come. See `Output`."""

    name, light, context, closed, size, rate_hz = "probe", False, None, False, (16, 16), 1.0

    def __init__(self) -> None:
        self.redraws = 0
        self._last_s, self._gap_s = time.monotonic(), 0.0

    @property
    def health(self) -> Health:
        """It is well."""
        return Health(self.redraws)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """A redraw."""
        now_s = time.monotonic()
        self._gap_s, self._last_s = max(self._gap_s, now_s - self._last_s), now_s
        self.redraws += 1

    def gap_s(self) -> float:
        """The longest since it was asked last."""
        longest_s, self._gap_s = self._gap_s, 0.0
        return max(longest_s, time.monotonic() - self._last_s)

    def close(self) -> None:
        """It holds nothing."""


class Reporter(OwnThread):
    """Gives the vitals, from a thread of its own."""

    def __init__(self, live: Live, probe: Probe) -> None:
        self._live, self._probe = live, probe
        super().__init__("soak-vitals")

    def _run(self) -> None:
        while not self._stop.wait(VITALS_S):
            _put(msgspec.json.encode(self._vitals()).decode())

    def _vitals(self) -> Vitals:
        live = self._live
        features, film = live.engine.capture.latest(), live.recording.status
        return Vitals(
            time_s=time.monotonic(),
            frames=live.engine.frames.count,
            redraws=self._probe.redraws,
            gap_s=self._probe.gap_s(),
            hop_s=features.time_s if features.state is not SoundState.LOST else 0.0,
            film_s=0.0 if film.error or film.stalled else film.seconds,
            film=str(film.path or ""),
            restarts=live.engine.worker.restarts,
            state=live.status().state,
            osc_port=live.engine.osc.address[1],
        )


def _put(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _chain(asked: Asked, networks: Networks, lives: list[Live]) -> FallbackChain:
    precision = choose_precision(asked.precision, asked.model) or Precision.AUTO

    def open_backend(backend: Backend) -> Model:
        return open_on(backend, asked.model, None, networks, precision=precision)

    def notify(line: str) -> None:
        for live in lives:
            live.notices.post(line)

    return FallbackChain(backends_on(runners(asked.model), registry.resizable(asked.model)), open_backend, notify)


def _options(asked: Asked) -> LiveOptions:
    def open_wire(settings: OutputSettings, spec: OutputSpec) -> StreamOutput:
        return StreamOutput(spec.name, SENT_PX, SENT_HZ, lambda: Wire(asked.wire_port))

    OUTPUTS["wire"] = Kind("a receiver of the soak's", str, open_wire)
    plain = {"agc": False, "flash_limiter": False}
    return LiveOptions(
        look=LookOptions(asked.model, precision=asked.precision, preset=PRESET, settings=plain),
        source=asked.track,
        loop=True,
        mute=True,
        headless=True,
        size=asked.size,
        record=Path(asked.folder),
        osc=OscOptions(port=0, target=f"127.0.0.1:{asked.osc_port}"),
        outputs=(OutputSpec("wire"),),
    )


def _obey(inside: Inside) -> None:
    for line in sys.stdin:
        what, _, name = line.strip().partition(" ")
        (inside.begin if what == "begin" else inside.end)(name)


def main(text: str) -> None:
    """Play until a signal ends it."""
    logging.getLogger("engine").addHandler(logging.NullHandler())  # as the command: a line of trouble, no traceback
    asked = msgspec.json.decode(text, type=Asked)
    networks, clock, lives = Networks(), JumpingClock(), list[Live]()
    chain, probe = _chain(asked, networks, lives), Probe()
    with (
        console.in_background(),
        open_live(_options(asked), clock, chain) as live,
        ended_by_signals() as stopping,
    ):
        lives.append(live)
        live.screen.outlets.add(probe)
        inside = Inside(live, networks, clock)
        threading.Thread(target=_obey, args=(inside,), name="soak-faults", daemon=True).start()
        with Reporter(live, probe):
            summary = live.run(stopping)
    _put(json.dumps({"summary": summary.as_dict()}, default=float))


if __name__ == "__main__":
    main(sys.argv[1])
