"""The live show, assembled: sound in, control, inference, picture out, recording; and the main thread's loop.

threads: audio callback, audio-analysis, inference (and inference-1 beside it), tpos-osc, tpos-presets,
tpos-recorder; the main thread draws.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from engine.app.options import LookOptions
from engine.app.stats import LiveSummary, Tally
from engine.audio.capture import Capture
from engine.audio.inputs import open_source
from engine.control.director import Director
from engine.control.hot_reload import PresetWatcher
from engine.control.osc import HOST, PORT, OscServer, Status, parse_target
from engine.control.queue import CommandQueue
from engine.control.show import Effect
from engine.core import console
from engine.core.clock import Clock, WallClock
from engine.core.hud_info import HudInfo
from engine.core.mailbox import Mailbox
from engine.core.messages import Frame, Heard, ShowState
from engine.inference.fallback import Ladder
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import open_ladder
from engine.inference.plan import choose_plan
from engine.inference.worker import Inference
from engine.outputs.screens import Screen, open_screen
from engine.recording.control import Filming
from engine.recording.session import About, default_root
from engine.recording.start_picture import starting_picture
from engine.render.pacing import Gaps, run
from tpos_models.contracts import Model

PROGRAM = "tpos-live 0.1.0"
FILM_FPS = 30.0
MESSAGE_S = 5.0


@dataclass(frozen=True)
class LiveOptions:
    """What `tpos live` was asked for; `record` is the recordings' folder and starts recording at once."""

    look: LookOptions = LookOptions()
    source: str = "default"
    channels: tuple[int, ...] | None = None
    loop: bool = False
    headless: bool = False
    fullscreen: bool = False
    display: int = 0
    osc_host: str = HOST
    osc_port: int = PORT
    osc_target: str | None = None
    record: Path | None = None
    size: tuple[int, int] | None = None
    max_fps: float = 0.0
    stream_batch: bool = False
    seconds: float | None = None


class Live:
    """One show from start to closing summary. Everything here runs on the main thread."""

    def __init__(self, options: LiveOptions, ladder: Ladder | None = None, clock: Clock | None = None) -> None:
        self.options = options
        self.news: deque[str] = deque()
        """Lines from other threads for the operator."""
        look = options.look
        self._ladder = ladder or open_ladder(look.name, look.size_px, self.news.append, look.additions)
        self.picture = starting_picture(look.init_image) if look.init_image else None
        self.clock = clock or WallClock()
        self.show, troubles = look.build_show()
        if options.record is not None:
            self.show.set(recording=True)
        self.tally = Tally()
        source = open_source(options.source, options.channels or (), options.loop, self.clock)
        self.capture = Capture(source, self.clock)
        self.director = Director(self.show, self.capture, CommandQueue())
        self.frames: Mailbox[Frame] = Mailbox()
        self.inference = Inference(
            self._new_stage,
            self.capture,
            self.director.state,
            self.frames,
            self.clock,
            options.max_fps,
            self._ladder.step_down,
        )
        self.osc = OscServer(
            self.director.queue,
            host=options.osc_host,
            port=options.osc_port,
            target=parse_target(options.osc_target) if options.osc_target else None,
            check=self.show.check,
            status=self.status,
            clock=self.clock,
        )
        self.filming: Filming | None = None
        self.snapshots: list[Path] = []
        self._shown: Frame | None = None
        self._message, self._message_until_s = "", 0.0
        self._wants_snapshot = False
        for trouble in troubles:
            self.say(trouble)

    def run(self, screen: Screen, stopping: threading.Event) -> LiveSummary:
        """Play until the time is over, the file has ended, the window is closed, or `stopping` is set."""
        started_s = self.clock.now()
        self.filming = Filming(
            self.options.record, screen.film_size, FILM_FPS, self.capture, self.show, self.clock, self._about()
        )
        with ExitStack() as stack:
            stack.callback(self.osc.close)
            stack.enter_context(self.capture)
            stack.callback(self.filming.stop)
            self.inference.start()
            stack.callback(self.inference.stop)
            self.osc.start()
            stack.enter_context(PresetWatcher(self.show.edit, self.say, self.show.looks.current))
            gaps = run(
                screen,
                lambda now_s: self.redraw(screen, now_s),
                self.clock,
                screen.rate_hz,
                self._over(started_s, stopping),
            )
            self.filming.sound()
        return self._summary(started_s, gaps)

    @property
    def model(self) -> Model:
        """The model in use, loaded when first asked for."""
        return self._ladder.model

    def redraw(self, screen: Screen, now_s: float) -> None:
        """One turn of the main loop."""
        assert self.filming is not None
        state = self.director.state()
        while self.director.effects:
            self._carry_out(self.director.effects.popleft())
        self._take_frame(screen, now_s)
        self.filming.follow(state)
        screen.redraw(self.capture.latest, state, now_s, self._hud(state, now_s), self.filming.running)
        if self.filming.due(screen.shaped_s) or self._wants_snapshot:
            self._read(screen)
        self.filming.sound()
        while self.news:
            self.say(self.news.popleft())
        for trouble in (self.inference.trouble, self.filming.trouble):
            if trouble:
                self.say(trouble)

    def status(self) -> Status:
        """For OSC, ten times a second, from the control thread."""
        state, features, frame = self.show.state, self.capture.latest(), self._shown
        return Status(
            fps=self.tally.fps,
            delay_ms=self.tally.last_delay_ms,
            level=features.level,
            beat=features.beat,
            bpm=features.bpm,
            heard=frame.heard if frame else (),
            prompt=frame.prompt if frame else "",
            preset=state.preset,
            cue=state.cue,
            recording=state.recording,
            state=self.inference.trouble or features.state,
        )

    def say(self, words: str) -> None:
        """Tell the operator of trouble, on the screen and on stderr; the same line in a row only once."""
        self.note(words)
        if self.tally.trouble(words):
            console.say(f"tpos: {words}")

    def note(self, words: str) -> None:
        """Show a line on the screen for a while."""
        self._message, self._message_until_s = words, self.clock.now() + MESSAGE_S

    def _about(self) -> About:
        """What the records say of this show."""
        spec, look = self.model.spec, self.options.look
        return About(
            program=PROGRAM,
            model=spec.name,
            spec=asdict(spec),
            options=look.model_record(),
            input=self.capture.source.name,
            picture=self.picture,
        )

    def _new_stage(self) -> FramePipeline:
        limit, stream = self._ladder.rung.most_steps, self.options.stream_batch
        plan = choose_plan(self.model, stream_batch=stream)
        return FramePipeline(self.model, self.clock, plan, limit, self.picture, beside_display=True)

    def _over(self, started_s: float, stopping: threading.Event) -> Callable[[], bool]:
        seconds = self.options.seconds

        def over() -> bool:
            timed_out = seconds is not None and self.clock.now() - started_s >= seconds
            return timed_out or stopping.is_set() or self.capture.ended

        return over

    def _take_frame(self, screen: Screen, now_s: float) -> None:
        frame = self.frames.peek()
        if frame is None or frame is self._shown:
            return
        assert self.filming is not None
        self._shown = frame
        screen.show(frame)
        self.tally.frame(frame, now_s)
        self.filming.frame(frame)

    def _read(self, screen: Screen) -> None:
        assert self.filming is not None
        ready = screen.picture()
        if ready is None:
            return
        image, shaped_s = ready
        if self.filming.running:
            self.filming.picture(image, shaped_s)
        if self._wants_snapshot:
            self._wants_snapshot = False
            self._snapshot(image)

    def _snapshot(self, image: np.ndarray) -> None:
        root = self.options.record or default_root()
        path = root / f"snapshot_{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.png"
        try:
            root.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        except OSError as error:
            self.say(f"{path}: cannot be written ({error.strerror})")
        else:
            self.snapshots.append(path)
            self.note(f"snapshot {path}")

    def _carry_out(self, effect: Effect) -> None:
        if effect.name == "snapshot":
            self._wants_snapshot = True
        elif effect.name == "preset":
            self.note(f"preset {effect.text}")
        elif effect.name == "problem":
            self.say(effect.text)

    def _hud(self, state: ShowState, now_s: float) -> HudInfo:
        assert self.filming is not None
        features = self.capture.latest()
        heard: tuple[Heard, ...] = self._shown.heard if self._shown else ()
        return HudInfo(
            fps=self.tally.fps,
            delay_ms=self.tally.last_delay_ms,
            level=features.level,
            state=features.state,
            bpm=features.bpm,
            beat_phase=features.beat_phase,
            heard=heard,
            prompt=" + ".join(prompt.text for prompt in state.prompts if prompt.weight > 0),
            recording_s=self.filming.status.seconds if self.filming.running else None,
            message=self._message if now_s < self._message_until_s else "",
        )

    def _summary(self, started_s: float, gaps: Gaps) -> LiveSummary:
        assert self.filming is not None
        seconds = self.clock.now() - started_s
        return LiveSummary(
            seconds=seconds,
            frames=self.frames.count,
            fps=self.tally.fps if seconds < 1 else self.frames.count / seconds,
            evaluations=self.inference.evaluations,
            delay_ms=self.tally.delay_ms,
            heard=self.tally.heard,
            redraws=gaps.stats(),
            audio=self.capture.counters(),
            recordings=tuple(self.filming.sessions),
            snapshots=tuple(self.snapshots),
            restarts=self.inference.restarts,
            troubles=tuple(self.tally.troubles),
            first_frame_s=self.tally.first_frame_s,
            rung=str(self._ladder.rung),
        )


def run_live(options: LiveOptions, quiet: bool = False) -> LiveSummary:
    """Play a show from the command line; Ctrl-C ends it in good order."""
    live = Live(options)
    with open_screen(options, live.director) as screen, ended_by_signals() as stopping:
        if not quiet:
            _greet(live)
        return live.run(screen, stopping)


def _greet(live: Live) -> None:
    host, port = live.osc.address
    console.say(f"listening to {live.capture.source.name}; OSC on {host}:{port}; model {live.model.spec.name}")
    if live.options.stream_batch:
        console.say(f"stream batch: a picture comes {live.show.state.steps - 1} frames later than without")
    console.say("Ctrl-C ends the show" if live.options.headless else "keys: ? lists them, Q twice ends the show")


@contextmanager
def ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a polite kill set, so that work ends in good order."""
    stopping = threading.Event()
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, lambda number, frame: stopping.set()) for name in names]
    try:
        yield stopping
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
