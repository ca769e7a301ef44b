"""`tpos soak --hours`: what a show keeps, hour after hour, as fast as it goes: a virtual clock, sound, hands, a film.

Everything that lives as long as the show does is real: analysis, show state, tallies, notices, the session's log, sound
and film. Models are not among it; they are soaked in real time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from engine.app.notices import Notices
from engine.app.stats import Tally
from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.history import History
from engine.audio.soundtrack import stream
from engine.bench.report import Bar, Notify, only
from engine.bench.soak.table import MEMORY_MB_H
from engine.control.show import Show
from engine.core.clock import VirtualClock
from engine.core.messages import AudioFeatures, Frame
from engine.recording.session import SessionRecord, to_json, to_log
from engine.recording.session_writer import SessionWriter
from engine.render.pacing import RedrawTimes

SIZE, FPS, SAMPLED_HZ = (32, 32), 30, 10
WARM_UP_S = 3600.0
"""Until then everything that has a bound has reached it."""
NEW_LOOK_S, TROUBLE_S = 20.0, 45.0
PICTURES = np.random.default_rng(0).integers(0, 255, (7, *SIZE[::-1], 3), np.uint8)


class Night:
    """A show and its recording on a virtual clock."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.show, self.tally = VirtualClock(), Show(), Tally()
        self.notices, self.redraws, self.analyser = Notices(self.tally, self.clock), RedrawTimes(), Analyser()
        self._parts = stream(True)
        self._heard, self._samples, self._slot = np.zeros(0, np.float32), 0, 0
        self._raw = History(30 * SAMPLE_RATE, 1)
        started = datetime.now().astimezone().isoformat(timespec="milliseconds")
        record = SessionRecord(started, os.getpid(), SIZE, FPS, SAMPLE_RATE, 1)
        self.writer = SessionWriter(folder, record, "", 0.0, 0)

    def play(self, seconds: float) -> None:
        """Go on for so long."""
        for _ in range(round(seconds * FPS)):
            self._turn()

    def _turn(self) -> None:
        """One redraw, and what came since the last."""
        self._slot += 1
        self.clock.sleep(self._slot / FPS - self.clock.now())
        now_s = self.clock.now()
        self._act(now_s)
        state, features = self.show.current(), self._listen(now_s)
        if self._slot % (FPS // SAMPLED_HZ) == 0:
            image = PICTURES[self._slot % len(PICTURES)]
            frame = Frame(self._slot, image, features.time_s, now_s, state.revision, "", (), state.seed, 1)
            self.tally.frame(frame, now_s)
            self._log(now_s, "frame", {"index": frame.index, "revision": frame.revision, "seed": frame.seed})
            self.writer.picture(image, features.time_s)
        self.redraws.add(now_s)
        self.notices.collect()
        self.notices.standing({"sound": ""})
        self.writer.keep_up(now_s)
        self.writer.report(now_s)

    def _act(self, now_s: float) -> None:
        """The operator's hands, and what goes wrong by itself."""
        if self._slot % round(NEW_LOOK_S * FPS) == 0:
            self.show.command("/tpos/prompt", (f"a place that nobody has seen, number {self._slot}",), now_s)
            self._log(now_s, "state", to_log(self.show.current(), now_s))
        self.show.command("/tpos/shader/zoom", ((self._slot % 100) / 100,), now_s)
        if self._slot % round(TROUBLE_S * FPS) == 0:
            self.notices.post(f"trouble number {self._slot}", trouble=False)

    def _listen(self, now_s: float) -> AudioFeatures:
        count = round(now_s * SAMPLE_RATE) - self._samples
        while len(self._heard) < count:
            self._heard = np.concatenate([self._heard, next(self._parts)])
        new, self._heard = self._heard[:count], self._heard[count:]
        self._samples += count
        self._raw.append(new[:, None])
        self.analyser.process(new, now_s, self.show.state)
        self.writer.sound(new[:, None], self._samples - count, now_s)
        return self.analyser.latest()

    def _log(self, now_s: float, kind: str, data: dict[str, Any]) -> None:
        self.writer.line(now_s, kind, msgspec.Raw(to_json(data)))


def run_night(
    hours: float, notify: Notify | None = None, warm_up_s: float = WARM_UP_S
) -> tuple[dict[str, Any], list[str]]:
    """So many hours, after one in which what is bounded fills up."""
    notify = notify or (lambda line: None)
    process = psutil.Process()
    held = process.num_handles if sys.platform == "win32" else process.num_fds
    with tempfile.TemporaryDirectory(prefix="tpos-night-") as name:
        night = Night(Path(name))
        night.play(warm_up_s)
        taken = [(0.0, float(process.memory_info().rss))]
        threads, handles = process.num_threads(), held()
        for part in _parts(hours):
            night.play(3600 * part)
            taken.append((taken[-1][0] + part, float(process.memory_info().rss)))
            notify(f"{taken[-1][0]:.1f} of {hours:g} hours: {taken[-1][1] / 2**20:.0f} MiB")
        bars = [
            Bar(f"{hours:g} h: memory, an hour", _slope(taken), "most", MEMORY_MB_H, "MiB"),
            Bar("threads more than at the start", process.num_threads() - threads, "most", 0, ""),
            Bar("handles more than at the start", held() - handles, "most", 0, ""),
        ]
        night.writer.finish(night.clock.now())
        wanted = round((warm_up_s + 3600 * hours) * FPS)
        bars.append(Bar("pictures missing from the film", wanted - night.writer.seconds * FPS, "most", FPS, ""))
    return only(bars)


def _parts(hours: float) -> Iterator[float]:
    """At least eight, of an hour at most."""
    count = max(8, round(hours))
    return islice(cycle([hours / count]), count)


def _slope(taken: list[tuple[float, float]]) -> float:
    """MiB an hour."""
    hours, held = np.array(taken).T
    return float(np.polyfit(hours, held / 2**20, 1)[0])
