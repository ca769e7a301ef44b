"""How long things take to show: redraws beside the model, a click to the picture, a prompt to a frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pythonosc.udp_client import SimpleUDPClient

from engine.app.builder import Engine
from engine.app.options import LookOptions
from engine.audio import HOP_S, SAMPLE_RATE
from engine.audio.sources import PacedSource
from engine.bench.report import Bar, Notify
from engine.bench.running import running
from engine.core.clock import WallClock
from engine.core.messages import Frame, ShaderAmounts
from engine.inputs.film import FilmSource
from engine.inputs.video_in import VideoIn, following
from engine.outputs.screens import open_headless
from engine.render.pacing import RedrawStats, redraw_loop
from export.media.video import VideoWriter
from tpos_models.contracts import Model

CLICK_EVERY_S = 0.6
HARDLY = 0.001
"""Motion that nobody sees, and for which every frame is sampled all the same."""
FILM_HZ, FILM_PX = 30, (640, 360)
DISPLAYS = (((640, 360), 36.0, 30.0), ((1280, 720), 20.0, 15.0))
"""Size, redraw rate asked for where the CPU draws, and the bar."""


def measure_latencies(model: Model, seconds: float, notify: Notify) -> list[Bar]:
    """All of them, `seconds` for each."""
    measured = (_displays, _clicks, _prompts, _pictures)
    return [bar for measure in measured for bar in measure(model, seconds, notify)]


def _displays(model: Model, seconds: float, notify: Notify) -> list[Bar]:
    bars = []
    for size, rate_hz, least in DISPLAYS:
        notify(f"display {size[0]}x{size[1]} while the model runs")
        stats = _display(model, size, rate_hz, seconds)
        name = f"display {size[0]}x{size[1]} beside the model"
        bars.append(Bar(f"{name}: redraws", stats.per_s, "least", least, "/s"))
        bars.append(Bar(f"{name}: p99 gap", stats.p99_gap_ms, "most", 100.0, "ms"))
    return bars


def _display(model: Model, size: tuple[int, int], rate_hz: float, seconds: float) -> RedrawStats:
    """Redraws of the running engine's frames, each finished before it counts."""
    with open_headless(size) as screen, running(model, LookOptions()) as engine:
        shown: Frame | None = None
        end_s = engine.clock.now() + seconds

        def redraw(now_s: float) -> None:
            nonlocal shown
            frame = engine.frames.peek()
            if frame is not None and frame is not shown:
                shown = frame
                screen.show(frame)
            screen.render(engine.capture.latest, engine.show.current(), now_s)

        return redraw_loop(screen, redraw, engine.clock, rate_hz, lambda: engine.clock.now() > end_s).stats()


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


def _clicks(model: Model, seconds: float, notify: Notify) -> list[Bar]:
    """From a click's arrival in the ring to the first redraw, read back, and the first frame, that it changed."""
    notify("from a click to the picture")
    clock = WallClock()
    source = ClickSource(clock)
    look = LookOptions(settings={"amount": 0.0, "motion": HARDLY})
    frame_times: list[tuple[float, float]] = []
    changes: list[tuple[float, float]] = []
    with open_headless((640, 360)) as screen, running(model, look, source) as engine:
        engine.show.set(shader=ShaderAmounts(zoom=1.0, warp=0.0, glow=1.0, colour=0.0, grain=0.0))
        follower = threading.Thread(target=_follow, args=(engine, frame_times), daemon=True)
        follower.start()
        frame = engine.frames.peek()
        assert frame is not None
        screen.show(frame)
        end_s = clock.now() + 2 + max(seconds, 10.0)

        def redraw(now_s: float) -> None:
            pixels = screen.render(engine.capture.latest, engine.show.current(), now_s)
            changes.append((clock.now(), float(pixels[::4, ::4].astype(np.int16).mean())))

        redraw_loop(screen, redraw, clock, 36.0, lambda: clock.now() > end_s)
        frame_s = float(np.median(list(engine.worker.frame_s)))
    shader_ms = [1000 * delay for click in source.arrivals if (delay := _first_change(changes, click)) is not None]
    frame_ms = [1000 * delay for click in source.arrivals if (delay := _first_frame(frame_times, click)) is not None]
    notify(f"{len(source.arrivals)} clicks, {len(shader_ms)} seen by the shader layer")
    return [
        Bar("click to shader layer at 640x360, median", _median(shader_ms), "most", 45.0, "ms"),
        Bar("click to diffusion frame, median", _median(frame_ms), "most", 1000 * (2 * frame_s + HOP_S), "ms"),
    ]


def _follow(engine: Engine, times: list[tuple[float, float]]) -> None:
    count = engine.frames.count
    while (frame := engine.frames.wait_newer(count, 2.0)) is not None:
        count = engine.frames.count
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


def _prompts(model: Model, seconds: float, notify: Notify) -> list[Bar]:
    notify("prompts over OSC")
    waits: list[float] = []
    with running(model, LookOptions(prompt="a beach")) as engine:
        client = SimpleUDPClient(*engine.osc.address)
        rng = np.random.default_rng(3)
        for i in range(max(10, round(seconds * 2))):
            engine.clock.sleep(float(rng.uniform(0.1, 0.3)))
            prompt = f"a city at night {i}"
            count, sent_s = engine.frames.count, engine.clock.now()
            client.send_message("/tpos/prompt", prompt)
            while (frame := engine.frames.wait_newer(count, 5.0)) is not None and frame.prompt != prompt:
                count = engine.frames.count
            waits.append(engine.clock.now() - sent_s)
        frame_s = float(np.median(list(engine.worker.frame_s)))
    return [
        Bar("prompt over OSC to a frame sampled with it, median", _median(waits) / frame_s, "most", 2.0, "frame times")
    ]


def _pictures(model: Model, seconds: float, notify: Notify) -> list[Bar]:
    """From when a film in a loop shows a picture to the frame that starts from it."""
    notify(f"from a film, {FILM_HZ} pictures a second, to the picture")
    clock, delays_s = WallClock(), []
    with TemporaryDirectory() as folder:
        film = _passing(Path(folder) / "film.mp4")
        with (
            VideoIn(FilmSource(film, clock), clock) as video,
            running(model, LookOptions(), pictures=following(video, model)) as engine,
        ):
            end_s = clock.now() + seconds
            while clock.now() < end_s:
                frame = engine.frames.wait_newer(engine.frames.count, seconds)
                if frame is not None and frame.picture_time_s:
                    delays_s.append(frame.time_s - frame.picture_time_s)
            frame_s = float(np.median(list(engine.worker.frame_s)))
    name, delay_s = "video in to a frame that starts from it, median", _median(delays_s)
    return [
        Bar(name, delay_s / frame_s, "most", 2.0, "frame times"),
        Bar(name, 1000 * delay_s, "most", 2000 / FILM_HZ, "ms"),
    ]


def _passing(path: Path) -> Path:
    """A second of noise that goes by."""
    width, height = FILM_PX
    scene = np.random.default_rng(7).integers(0, 256, (height // 20, width // 10, 3), np.uint8)
    scene = scene.repeat(20, 0).repeat(20, 1)
    with VideoWriter(path, FILM_PX, FILM_HZ) as video:
        for i in range(FILM_HZ):
            video.write_video(scene[:, 8 * i : 8 * i + width], i / FILM_HZ)
    return path
