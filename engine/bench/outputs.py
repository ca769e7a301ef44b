"""`tpos bench --outputs`: what arrives of a show at another program here, what it costs the show, and what restarts do.

The receiver is a process of its own beside the show, so it takes its share of the machine, too.
"""

from __future__ import annotations

import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from engine.app.builder import OscOptions
from engine.app.live import Live, LiveOptions, open_live
from engine.app.options import LookOptions
from engine.audio import SAMPLE_RATE
from engine.audio.soundtrack import SECTIONS, soundtrack
from engine.bench.hands import perform
from engine.bench.ndi_receiver import DARK, look_here, receive
from engine.bench.report import Bar, Notify, growth, memory
from engine.core.hud_info import Health, HudInfo
from engine.outputs import ndi
from engine.outputs.output import Picture
from engine.outputs.spec import parse_outputs
from engine.recording.session import VIDEO
from engine.render.window import has_screen
from export.media.reading import read_frames
from tpos_models.errors import MissingPart, RunError

SIZE, RATE_HZ = (1280, 720), 30.0
BACK_S, READY_S = 3.0, 180.0
TOGGLES = 8
CALLED = "TPoS bench"


def measure_outputs(seconds: float, look: LookOptions, notify: Notify) -> list[Bar]:
    """NDI beside a show, and where there is a screen all outputs at once, `seconds` for each measurement."""
    if why := ndi.missing():
        raise MissingPart(why)
    with tempfile.TemporaryDirectory(prefix="tpos-outputs-") as folder:
        look_here(Path(folder))
        watcher = _Watcher()
        try:
            sound = _sound(Path(folder), seconds)
            bars = _beside(seconds, look, sound, watcher, notify)
            if has_screen():
                return bars + _at_once(seconds, look, sound, watcher, notify)
            notify("windows are not measured: there is no screen")
            return bars
        finally:
            watcher.close()


class Probe:
    """An output that notes when a blackout is drawn, and what is composed, when asked for. See `Output`."""

    name, light, context, closed, size, rate_hz = "probe", False, None, False, SIZE, RATE_HZ

    def __init__(self) -> None:
        self.switched_s: list[float] = []
        """When a redraw was black, and when one no longer was."""
        self.redraws = 0
        self.wanted = False
        self.composed: np.ndarray | None = None
        self._black = False

    @property
    def health(self) -> Health:
        """It is well."""
        return Health(self.redraws)

    def dispatch(self) -> None:
        """There are no events."""

    def send(self, picture: Picture, time_s: float, hud: HudInfo) -> None:
        """Look at it."""
        self.redraws += 1
        if hud.blackout != self._black:
            self._black = hud.blackout
            self.switched_s.append(time.monotonic())
        if (composed := picture.take()) is not None:
            self.composed = composed
        if self.wanted:
            picture.ask(SIZE)

    def close(self) -> None:
        """It holds nothing."""


class _Watcher:
    """A receiver in a process of its own, and what it has told: when each picture came, and whether it was black."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=receive, args=(CALLED, theirs), daemon=True)
        self._process.start()
        self.came: list[tuple[float, bool]] = []
        self._told()

    def start(self) -> float:
        """Receive from now on; from when on, by `time.monotonic`."""
        self._ours.send("receive")
        self.came = []
        return float(self._told())

    def listen(self, seconds: float, most: int = 1_000_000) -> list[tuple[float, bool]]:
        """What comes from now on, for so long, or the first `most` of it."""
        while self._ours.poll(0):
            self.came.append(self._ours.recv())
        first, until_s = len(self.came), time.monotonic() + seconds
        while time.monotonic() < until_s and len(self.came) - first < most:
            if self._ours.poll(0.02):
                self.came.append(self._ours.recv())
        return self.came[first:]

    def stop(self, show: bool = False) -> tuple[int, np.ndarray | None]:
        """Receive no more: pictures lost on the way, and for `show` one more as RGBA; None where none comes."""
        self._ours.send("show" if show else "stop")
        while isinstance((told := self._told())[1], bool):
            pass
        return told

    def close(self) -> None:
        """End the process."""
        self._ours.send("enough")
        self._process.join(READY_S)

    def _told(self) -> Any:
        if not self._ours.poll(READY_S):
            raise RunError("the receiver's process does not answer")
        return self._ours.recv()


def _sound(folder: Path, seconds: float) -> Path:
    """So much of the soundtrack, from its rain on, as a file: played over and over, all turns hear the same."""
    path = folder / "sound.wav"
    begins = round(next(one.start_s for one in SECTIONS if one.name == "rain") * SAMPLE_RATE)
    sf.write(path, soundtrack()[begins : begins + round(seconds * SAMPLE_RATE)], SAMPLE_RATE)
    return path


def _options(look: LookOptions, sound: Path, outputs: list[str], record: Path | None = None) -> LiveOptions:
    return LiveOptions(
        look=replace(look, settings={"flash_limiter": False}),
        source=str(sound),
        loop=True,
        mute=True,
        headless=not has_screen(),
        size=SIZE,
        osc=OscOptions(port=0),
        record=record,
        outputs=parse_outputs(outputs),
    )


class _Beside:
    """A show with an NDI output, and what a receiver sees of it; `run` is called on a thread of its own."""

    def __init__(self, live: Live, watcher: _Watcher, seconds: float, notify: Notify) -> None:
        self._live, self._watcher, self._seconds, self._notify = live, watcher, seconds, notify
        self._probe = Probe()
        live.screen.outlets.add(self._probe)
        self._alone: list[tuple[float, float]] = []
        self._watched: list[tuple[float, float]] = []
        """Frames sampled and redraws a second, without and with a receiver."""
        self.bars: list[Bar] = []

    def run(self) -> None:
        """Without a receiver, twice with one, and without."""
        self._notify("NDI: without a receiver")
        self._alone.append(self._rates(time.sleep))
        self._notify("NDI: with a receiver")
        self._watcher.start()
        self._watcher.listen(READY_S, most=1)
        self._arrives(len(self._received()) / self._seconds)
        self._notify("NDI: with a receiver that starts anew")
        back_s = self._until_picture(self._watcher.start())
        self.bars.append(Bar("NDI: a receiver that starts anew has a picture", back_s, "most", BACK_S, "s"))
        self._received()
        self._restarts()
        self._notify("NDI: without a receiver")
        self._alone.append(self._rates(time.sleep))
        for name, index in (("new frames", 0), ("redraws", 1)):
            share = sum(one[index] for one in self._watched) / max(1e-9, sum(one[index] for one in self._alone))
            self.bars.append(Bar(f"NDI: the show's {name} a second, received over not", share, "least", 0.9, ""))

    def _received(self) -> list[tuple[float, bool]]:
        """What comes in `seconds`, as `_Watcher.listen` gives it."""
        came: list[tuple[float, bool]] = []
        self._watched.append(self._rates(lambda seconds: came.extend(self._watcher.listen(seconds))))
        return came

    def _rates(self, meanwhile: Callable[[float], object]) -> tuple[float, float]:
        frames, redraws, began_s = self._live.engine.frames.count, self._probe.redraws, time.monotonic()
        meanwhile(self._seconds)
        passed_s = time.monotonic() - began_s
        return (self._live.engine.frames.count - frames) / passed_s, (self._probe.redraws - redraws) / passed_s

    def _until_picture(self, since_s: float) -> float:
        came = self._watcher.listen(READY_S, most=1)
        return came[0][0] - since_s if came else math.inf

    def _arrives(self, rate_hz: float) -> None:
        """Pictures a second, how late they are, and how like what was composed."""
        delays = self._delays_s()
        delay = RATE_HZ * float(np.median(delays)) if delays else math.inf
        motion = self._live.show.state.motion
        self._live.show.set(freeze=True, motion=0.0)
        self._watcher.listen(1.0)
        self._probe.wanted = True
        self._watcher.listen(0.5)
        lost, received = self._watcher.stop(show=True)
        self._probe.wanted = False
        self._live.show.set(freeze=False, motion=motion)
        composed = self._probe.composed
        error = np.full(1, 255.0)
        if received is not None and composed is not None:
            error = received[..., :3].astype(float) - composed
        psnr = 10 * math.log10(255**2 / max(1e-9, float(np.mean(error**2))))
        (health,) = [one.health for one in self._live.screen.outlets.states]
        self.bars += [
            Bar("NDI 1280x720: received a second", rate_hz, "least", 25.0, "pictures/s"),
            Bar("NDI: dropped before it and lost on the way", health.dropped + lost, "most", math.inf, "pictures"),
            Bar("NDI: from a redraw to its picture there, median", delay, "most", 2.0, "frames"),
            Bar("NDI: received against composed", psnr, "least", 35.0, "dB"),
        ]

    def _delays_s(self) -> list[float]:
        """From each redraw that went black, or back, until a received picture was."""
        for number in range(TOGGLES):
            self._live.show.set(blackout=number % 2 == 0, blackout_fade_s=0.0)
            self._watcher.listen(0.4)
        shown = [(t, black) for number, t in enumerate(self._probe.switched_s) for black in [number % 2 == 0]]
        answers = [(t, next((at for at, b in self._watcher.came if at > t and b is black), None)) for t, black in shown]
        return [at - t for t, at in answers if at is not None]

    def _restarts(self) -> None:
        """The source goes away for a second and comes back, to the same receiver."""
        name = self._live.screen.outlets.states[0].name
        self._live.show.command("/tpos/output", (name, False))
        self._watcher.listen(1.0)
        self._live.show.command("/tpos/output", (name, True))
        back_s = self._until_picture(time.monotonic())
        self._watcher.stop()
        self.bars.append(Bar("NDI: a source that starts anew reaches its receiver", back_s, "most", BACK_S, "s"))


def _beside(seconds: float, look: LookOptions, sound: Path, watcher: _Watcher, notify: Notify) -> list[Bar]:
    with open_live(_options(look, sound, [f"ndi:name={CALLED},size=1280x720"])) as live:
        beside = _Beside(live, watcher, seconds, notify)
        perform(live, beside.run)
    return beside.bars


def _at_once(seconds: float, look: LookOptions, sound: Path, watcher: _Watcher, notify: Notify) -> list[Bar]:
    """A window, a second one, the operator's, NDI with a receiver and a recording."""
    notify("window, second window, NDI and recording at once")
    outputs = ["window:size=640x360", "operator", f"ndi:name={CALLED},size=1280x720"]
    black: list[bool] = []

    def body() -> None:
        watcher.start()
        watcher.listen(READY_S, most=1)
        black.extend(is_black for _, is_black in watcher.listen(3 * seconds))
        watcher.stop()

    with open_live(_options(look, sound, outputs, sound.parent)) as live, memory() as taken:
        summary = perform(live, body)
    black += [frame.mean() < DARK for _, frame in read_frames(summary.recordings[0].path / VIDEO)]
    return [
        Bar("all at once: inference restarts", summary.restarts, "most", 0, ""),
        Bar("all at once: black pictures in NDI and film", sum(black), "most", 0, f"of {len(black)}"),
        Bar("all at once: memory after the first third", growth(taken), "most", 5.0, "% more"),
    ]
