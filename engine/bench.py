"""`tpos bench`: the running engine, measured on this machine, with the bars it should reach.

Every bar is a ratio or a latency of one run, on the real stages and threads; nothing here is asserted by the tests.
"""

from __future__ import annotations

import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil
import torch
from pythonosc.udp_client import SimpleUDPClient

from engine.audio import HOP_S, SAMPLE_RATE
from engine.audio.capture import Capture
from engine.audio.sources import PacedSource, Source, SynthSource
from engine.clock import WallClock
from engine.commands import CommandQueue
from engine.director import Director
from engine.inference import Inference
from engine.mailbox import Mailbox
from engine.models import open_model
from engine.options import LookOptions
from engine.osc import OscServer
from engine.render.pace import RedrawStats, run
from engine.sampling import HEAR_EVERY_S, SamplingStage, to_pixels
from engine.screens import open_headless
from engine.types import Frame, ShaderAmounts
from tpos_models.contracts import Model
from tpos_models.errors import RunError
from tpos_models.guidance import TIERS

Say = Callable[[str], None]
EVALUATIONS = {"blend": 1, "semantic": 2, "reference": 3}
CLICK_EVERY_S = 0.6
DISPLAYS = (((640, 360), 36.0, 30.0), ((1280, 720), 20.0, 15.0))
"""Size, redraw rate asked for where the CPU draws, and the bar."""


@dataclass(frozen=True)
class Bar:
    """One line of the table: `least` or `most` says on which side of `bar` the measurement should lie."""

    what: str
    measured: float
    side: str
    bar: float
    unit: str

    @property
    def reached(self) -> bool:
        """Whether the measurement lies on the right side."""
        return self.measured >= self.bar if self.side == "least" else self.measured <= self.bar


def run_bench(name: str, seconds: float, say: Say | None = None, soak_minutes: float | None = None) -> dict[str, Any]:
    """Measure everything, `seconds` for each part, or one long show. Returns what `--json` prints."""
    tell = say or (lambda line: None)
    tell("loading the model")
    model = open_model(name)
    tell("bare networks")
    stages = bare_networks(model)
    bars: list[Bar] = []
    if soak_minutes is None:
        for measure in (_rates, _displays, _clicks, _prompts):
            bars += measure(model, seconds, tell)
    else:
        from engine.soak import run_soak

        bars += run_soak(soak_minutes, name, tell)
    return {
        "hardware": hardware(),
        "model": name,
        "runner": model.runner,
        "stages": stages,
        "peak_rss_mib": psutil.Process().memory_info().rss / 2**20,
        "bars": [{**asdict(bar), "reached": bar.reached} for bar in bars],
    }


def bar_lines(report: dict[str, Any]) -> list[str]:
    """The report as lines for people."""
    lines = [report["hardware"], f"model {report['model']} on {report['runner']}, {report['peak_rss_mib']:.0f} MiB"]
    lines += [
        f"  {name:<22} median {times['median_ms']:6.1f} ms   p95 {times['p95_ms']:6.1f} ms"
        for name, times in report["stages"].items()
    ]
    for bar in report["bars"]:
        sign = ">=" if bar["side"] == "least" else "<="
        mark = "reached" if bar["reached"] else "MISSED"
        lines.append(f"  {bar['what']:<58} {bar['measured']:8.2f} {sign} {bar['bar']:g} {bar['unit']}  {mark}")
    return lines


def hardware() -> str:
    """The machine in one line."""
    name = platform.processor() or platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return (
        f"{name}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB{gpu}, {platform.system()}"
    )


def bare_networks(model: Model, repeats: int = 40) -> dict[str, dict[str, float]]:
    """Each network alone: median and p95 in ms."""
    spec = model.spec
    tokens = model.text.encode(["a beach", "a beach on fire"]).tokens
    z = torch.randn(1, spec.latent_channels, *spec.sample_size)
    t = torch.full((2,), spec.timesteps[0])
    sound = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE * 12).astype(np.float32)
    clock = iter(range(1_000_000))
    hop = round(HEAR_EVERY_S * SAMPLE_RATE)

    def hear() -> object:
        at = next(clock)
        end = min(len(sound), SAMPLE_RATE * 9 + at * hop % (SAMPLE_RATE * 3))
        return model.audio.hear(sound[:end], end / SAMPLE_RATE)

    calls: dict[str, Callable[[], object]] = {
        "audio hop": hear,
        "denoiser, 1 evaluation": lambda: model.denoiser(z, t[:1], tokens[:1]),
        "denoiser, 2 evaluations": lambda: model.denoiser(z.expand(2, -1, -1, -1), t, tokens),
        "decoder": lambda: model.decoder(z),
        "pixels": lambda: to_pixels(torch.rand(1, 3, 256, 256)),
    }
    return {name: _times(call, repeats) for name, call in calls.items()}


def _times(call: Callable[[], object], repeats: int) -> dict[str, float]:
    for _ in range(3):
        call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    median, p95 = np.percentile(np.array(taken) * 1000, [50, 95])
    return {"median_ms": float(median), "p95_ms": float(p95)}


def bare_loop(model: Model, tier: str, seconds: float) -> float:
    """Frames a second of a loop that makes the same network calls as the engine, and nothing else."""
    n = EVALUATIONS[tier]
    tokens = model.text.encode(["a beach in the rain", "a beach", "rain"]).tokens[:n]  # as the soundtrack begins
    z = torch.randn(1, model.spec.latent_channels, *model.spec.sample_size)
    t = torch.full((n,), model.spec.timesteps[0])
    sound = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE * 12).astype(np.float32)
    start = heard = time.monotonic()
    frames = 0
    while (now := time.monotonic()) - start < seconds:
        if now - heard >= HEAR_EVERY_S:
            heard = now
            end = SAMPLE_RATE * 9 + round((now - start) * SAMPLE_RATE) % (SAMPLE_RATE * 3)
            model.audio.hear(sound[:end], now)
        model.decoder(model.denoiser(z.expand(n, -1, -1, -1), t, tokens))
        frames += 1
    return frames / seconds


@dataclass
class Rig:
    """The engine without a screen of its own: capture, show, inference and OSC, running."""

    capture: Capture
    director: Director
    inference: Inference
    frames: Mailbox[Frame]
    osc: OscServer
    clock: WallClock

    def fps(self, seconds: float) -> float:
        """Sampled frames a second over the next `seconds`."""
        before, start = self.frames.count, self.clock.now()
        self.clock.sleep(seconds)
        return (self.frames.count - before) / (self.clock.now() - start)


@contextmanager
def running(model: Model, look: LookOptions, source: Source | None = None) -> Iterator[Rig]:
    """A running engine, warmed up."""
    clock = WallClock()
    show, _ = look.build_show()
    show.set(rules=())  # a rule adds evaluations to the reference tier that the bare loop does not make
    capture = Capture(source or SynthSource(clock), clock)
    director = Director(show, capture, CommandQueue())
    frames: Mailbox[Frame] = Mailbox()
    inference = Inference(lambda: SamplingStage(model, clock), capture, director.state, frames, clock)
    osc = OscServer(director.queue, port=_free_port(), clock=clock)
    with capture, osc:
        inference.start()
        try:
            if frames.wait_newer(5, 60) is None:
                raise RunError(inference.trouble or "no frame came within a minute")
            yield Rig(capture, director, inference, frames, osc, clock)
        finally:
            inference.stop()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rates(model: Model, seconds: float, tell: Say) -> list[Bar]:
    bars = []
    for tier in TIERS:
        tell(f"engine and bare loop, {tier}")
        with running(model, LookOptions(guidance=tier)) as rig:
            engine = rig.fps(seconds)
            gaps = rig.capture.counters()
        bare = bare_loop(model, tier, seconds)
        least = {"blend": 25.0, "semantic": 15.0}.get(tier)
        if least:
            bars.append(Bar(f"{tier}: new frames a second, headless", engine, "least", least, "frames/s"))
        bars.append(Bar(f"{tier}: engine over the bare networks", engine / bare, "least", 0.8, "of the bare loop"))
        bars.append(Bar(f"{tier}: ring overruns and driver overflows", gaps.overruns + gaps.overflows, "most", 0, ""))
    return bars


def _displays(model: Model, seconds: float, tell: Say) -> list[Bar]:
    bars = []
    for size, rate_hz, least in DISPLAYS:
        tell(f"display {size[0]}x{size[1]} while the model runs")
        stats = _display(model, size, rate_hz, seconds)
        name = f"display {size[0]}x{size[1]} beside the model"
        bars.append(Bar(f"{name}: redraws", stats.per_s, "least", least, "/s"))
        bars.append(Bar(f"{name}: p99 gap", stats.p99_gap_ms, "most", 100.0, "ms"))
    return bars


def _display(model: Model, size: tuple[int, int], rate_hz: float, seconds: float) -> RedrawStats:
    """Redraws of the running engine's frames, each finished before it counts."""
    with open_headless(size) as screen, running(model, LookOptions()) as rig:
        shown: Frame | None = None
        end_s = rig.clock.now() + seconds

        def redraw(now_s: float) -> None:
            nonlocal shown
            frame = rig.frames.peek()
            if frame is not None and frame is not shown:
                shown = frame
                screen.show(frame)
            screen.render(rig.capture.latest, rig.director.state(), now_s)

        return run(screen, redraw, rig.clock, rate_hz, lambda: rig.clock.now() > end_s).stats()


class ClickSource(PacedSource):
    """Silence with a click about every `CLICK_EVERY_S`; `arrivals` are the times they reached the ring."""

    def __init__(self, clock: WallClock) -> None:
        super().__init__("clicks", SAMPLE_RATE, 1, clock, True)
        self.arrivals: list[float] = []
        self._clicks = False

    def blocks(self, loop: bool) -> Iterator[np.ndarray]:
        """Blocks with a 5 ms burst of noise now and then, at no fixed phase to hops or frames."""
        rng = np.random.default_rng(7)
        wait = 2.0
        while True:
            self._clicks = wait <= 0
            block = np.zeros((self.block_frames, 1), np.float32)
            if self._clicks:
                block[:220, 0] = rng.uniform(-0.7, 0.7, 220)
                wait = CLICK_EVERY_S + rng.uniform(0, 0.1)
            wait -= self.block_s
            yield block

    def _wait_until(self, due_s: float) -> None:
        clicks = self._clicks
        super()._wait_until(due_s)
        if clicks:
            self.arrivals.append(self._clock.now())


def _clicks(model: Model, seconds: float, tell: Say) -> list[Bar]:
    """From a click's arrival in the ring to the first redraw, read back, and the first frame, that it changed."""
    tell("from a click to the picture")
    clock = WallClock()
    source = ClickSource(clock)
    look = LookOptions(amount=0.0, motion=0.0)
    frame_times: list[tuple[float, float]] = []
    changes: list[tuple[float, float]] = []
    with open_headless((640, 360)) as screen, running(model, look, source) as rig:
        rig.director.show.set(shader=ShaderAmounts(zoom=1.0, warp=0.0, glow=1.0, colour=0.0, grain=0.0))
        follower = threading.Thread(target=_follow, args=(rig, frame_times), daemon=True)
        follower.start()
        frame = rig.frames.peek()
        assert frame is not None
        screen.show(frame)
        end_s = clock.now() + 2 + max(seconds, 10.0)

        def redraw(now_s: float) -> None:
            pixels = screen.render(rig.capture.latest, rig.director.state(), now_s)
            changes.append((clock.now(), float(pixels[::4, ::4].astype(np.int16).mean())))

        run(screen, redraw, clock, 36.0, lambda: clock.now() > end_s)
        frame_s = float(np.median(list(rig.inference.frame_s)))
    shader_ms = [1000 * delay for click in source.arrivals if (delay := _first_change(changes, click)) is not None]
    frame_ms = [1000 * delay for click in source.arrivals if (delay := _first_frame(frame_times, click)) is not None]
    tell(f"{len(source.arrivals)} clicks, {len(shader_ms)} seen by the shader layer")
    return [
        Bar("click to shader layer at 640x360, median", _median(shader_ms), "most", 45.0, "ms"),
        Bar("click to diffusion frame, median", _median(frame_ms), "most", 1000 * (2 * frame_s + HOP_S), "ms"),
    ]


def _follow(rig: Rig, times: list[tuple[float, float]]) -> None:
    count = rig.frames.count
    while (frame := rig.frames.wait_newer(count, 2.0)) is not None:
        count = rig.frames.count
        times.append((frame.time_s, frame.audio_time_s))


def _first_change(changes: list[tuple[float, float]], click_s: float) -> float | None:
    """Seconds until the picture differs from how it was when the click arrived."""
    before = [value for at, value in changes if click_s - 0.2 < at <= click_s]
    if len(before) < 2:
        return None
    border = 3 * float(np.std(before)) + 0.25
    after = (at for at, value in changes if click_s < at < click_s + 0.4 and abs(value - np.mean(before)) > border)
    return next((at - click_s for at in after), None)


def _first_frame(frames: list[tuple[float, float]], click_s: float) -> float | None:
    """Seconds until a frame is finished that was sampled with sound captured at the click or later."""
    return next((at - click_s for at, audio_s in frames if audio_s >= click_s and at > click_s), None)


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else float("inf")


def _prompts(model: Model, seconds: float, tell: Say) -> list[Bar]:
    tell("prompts over OSC")
    waits: list[float] = []
    with running(model, LookOptions(prompt="a beach")) as rig:
        client = SimpleUDPClient(*rig.osc.address)
        rng = np.random.default_rng(3)
        for i in range(max(10, round(seconds * 2))):
            rig.clock.sleep(float(rng.uniform(0.1, 0.3)))
            prompt = f"a city at night {i}"
            count, sent_s = rig.frames.count, rig.clock.now()
            client.send_message("/tpos/prompt", prompt)
            while (frame := rig.frames.wait_newer(count, 5.0)) is not None and frame.prompt != prompt:
                count = rig.frames.count
            waits.append(rig.clock.now() - sent_s)
        frame_s = float(np.median(list(rig.inference.frame_s)))
    return [
        Bar("prompt over OSC to a frame sampled with it, median", _median(waits) / frame_s, "most", 2.0, "frame times")
    ]
