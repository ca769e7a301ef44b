"""The live show, assembled: sound in, control, inference, picture out, recording; and the main thread's loop.

threads: audio callback, audio-analysis, inference (and inference-1 beside it), hearing, tpos-osc, tpos-presets,
tpos-midi, tpos-link, tpos-recorder, tpos-keeper, one for each output that streams; the main thread draws.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial

import numpy as np

import engine
from engine.app.builder import Engine, LiveOptions, open_sound
from engine.app.field_choice import NUMBERS_HZ, open_field
from engine.app.hands import Hands
from engine.app.notices import Notices, greet, state_line
from engine.app.options import FieldChoice
from engine.app.prompt_check import PromptCheck
from engine.app.remote.beside import Remote
from engine.app.snapshots import Snapshots
from engine.app.stats import LiveSummary, Tally, summed_up, told
from engine.app.sync.landing import Landing
from engine.audio.playback import Playback, open_playback
from engine.audio.sources import Source
from engine.control import set_list
from engine.control.hot_reload import PresetWatcher
from engine.control.osc_status import Status
from engine.control.show import EffectKind, Show
from engine.core import console, own_thread
from engine.core.clock import Clock, WallClock
from engine.core.hud_info import HudInfo
from engine.core.messages import Frame, ShowState
from engine.core.preview import Preview
from engine.core.signals import ended_by_signals
from engine.inference.fallback import FallbackChain
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import choose_precision, open_chain
from engine.inference.plan import choose_plan
from engine.inference.preload import Preload
from engine.inputs.registry import open_video_in
from engine.inputs.video_in import VideoIn, following
from engine.outputs.registry import OutputSettings
from engine.outputs.screens import Screen, open_screen
from engine.outputs.venue.mapper import Mapper
from engine.recording import run_folder
from engine.recording.control import RecordingControl
from engine.recording.keeping import Keeper, left_off
from engine.recording.session import About
from engine.recording.start_picture import starting_picture
from engine.render.pacing import redraw_loop
from tpos_models import registry
from tpos_models.precision import Precision

PROGRAM = f"tpos-live {engine.__version__}"
FILM_FPS = 30.0
STARTING = "the model is getting ready; the first time it is prepared for this machine"


class Live:
    """One show from start to closing summary, drawn on `screen`. Everything here runs on the main thread.

    `picture`, RGB uint8 (H, W, 3), is what it starts from. Raises what `OscServer` raises.
    """

    def __init__(
        self,
        options: LiveOptions,
        show: Show,
        screen: Screen,
        source: Source,
        clock: Clock,
        *,
        picture: np.ndarray | None = None,
        playback: Playback | None = None,
        chain: FallbackChain | None = None,
        preview: Preview | None = None,
        video: VideoIn | None = None,
    ) -> None:
        look = options.look
        self.options, self.show, self.screen, self.clock, self.picture = options, show, screen, clock, picture
        self.playback, self.tally, self.video = playback, Tally(), video
        self.notices = Notices(self.tally, clock)
        precision = choose_precision(look.precision, look.name) or Precision.AUTO
        self._chain = chain or open_chain(look.name, look.size_px, self.notices.post, look.additions, precision)
        if options.record is not None:
            show.set(recording=True)
        self.hands = Hands(options.hands, show, clock, self.notices)
        self.engine = Engine(
            show, source, self._open_pipeline, clock, osc=options.osc, status=self.status,
            max_fps=options.max_fps or (NUMBERS_HZ if options.field is FieldChoice.SHADER else 0.0),
            step_down=self._chain.step_down, climb=self._chain.climb)  # fmt: skip
        self.landing = Landing(show, self.engine.capture, self.tally, clock)
        self.recording = RecordingControl(
            options.record, screen.film_size, FILM_FPS, self.engine.capture, show, clock, self._about, options.form
        )
        shown = preview or Preview()
        osc, self.mapper = self.engine.osc.address, screen.outlets.mapper
        wall = self.mapper.preview
        self.remote = Remote(options.remote, show, self.status, shown, osc, self.notices, clock, wall)
        self.keeper = Keeper(show, shown, lambda: self.recording.session)
        self.words, self.snapshots = PromptCheck(self.notices.post), Snapshots(options.record, self.notices)
        self.preload = Preload(registry.built_with(look.name), lambda: self.engine.opened_s is not None)
        self._shown: Frame | None = None
        self._refused: Exception | None = None
        """Why the model could not be opened at all."""

    def run(self, stopping: threading.Event) -> LiveSummary:
        """Play until the time is over, the file has ended, the window is closed, or `stopping` is set.

        The time counts from when the model is ready: the first start prepares it for this machine.
        """
        with ExitStack() as stack:
            if self.playback is not None:
                stack.callback(self.playback.close)
                self.playback.start()
            stack.callback(self.words.close)
            stack.enter_context(self.snapshots)
            if self.video is not None:
                self.video.back = partial(self.notices.post, trouble=False)
                stack.enter_context(self.video)
            stack.enter_context(self.engine)
            stack.enter_context(self.hands)
            stack.callback(self.recording.close)
            stack.enter_context(self.remote)
            stack.enter_context(self.keeper)
            show, post = self.show, self.notices.post
            stack.enter_context(self.preload)
            stack.enter_context(PresetWatcher(show.edit, post, show.looks.own, lambda: show.isf, show.reload))
            over = partial(self._over, stopping)
            gaps = redraw_loop(self.screen, self.redraw, self.clock, self.screen.rate_hz, over, self._redraw_failed)
            self.recording.sound()
        if self._refused is not None:
            raise self._refused
        snapshots, sessions = tuple(self.snapshots.saved), tuple(self.recording.sessions)
        return summed_up(self.tally, self.engine, self._chain, self._played_s, gaps, sessions, snapshots)

    def redraw(self, now_s: float) -> None:
        """One turn of the main loop."""
        self._take_frame(now_s)
        state = self.show.current()  # after a frame is uploaded: what hands did meanwhile is drawn too
        self._carry_out_effects()
        self.words.follow(state.prompts, state.steps, self._chain.loaded)
        if self.engine.capture.latest().time_s > 0:  # a file waits for the model, and its film for the file
            self.recording.follow(state)
        drawn, hud = self.landing.drawn(state, now_s), self._hud(state, now_s)
        redrawn = self.screen.redraw(self.landing.sound, drawn, now_s, hud, self.recording.running)
        self.landing.redrawn()
        if redrawn.trouble:
            self.notices.trouble(f"{redrawn.trouble}; the running look stays")
        if redrawn.instead:
            self.show.reload(redrawn.instead)
        if self.recording.due(redrawn.shaped_s) or self.snapshots.wanted:
            self._read_back(redrawn.shaped_s)
        elif not self.recording.running:
            self.screen.forget()
        self.recording.sound()
        self.notices.collect()
        self.tally.hear(self.engine.worker.heard)
        self.notices.standing(self._troubles())

    def _troubles(self) -> dict[str, str]:
        """What is wrong now, in a line by source, "" where all is well."""
        played, worker = self.playback.trouble if self.playback else "", self.engine.worker
        return {
            "picture": worker.trouble or "",
            "pace": "" if worker.trouble else worker.stall,
            "ear": worker.hearing_trouble,
            "sound": self.engine.capture.trouble,
            "recording": self.recording.trouble,
            "playback": played,
            "video in": self.video.trouble if self.video else "",
            "outputs": self.screen.outlets.trouble,
            "threads": "; ".join(own_thread.troubles()),
        }

    def _redraw_failed(self, error: Exception) -> None:
        self.notices.trouble(f"a redraw failed: {own_thread.first_line(error)}")

    def status(self) -> Status:
        """For OSC, ten times a second, from the control thread."""
        state, features, frame = self.show.state, self.engine.capture.latest(), self._shown
        starting = "starting" if self.engine.opened_s is None else ""
        held = "blackout" if state.blackout else "frozen" if state.freeze else starting
        precision = self._chain.precision
        held = held or ("finishing" if self.recording.finishing else "")
        fps, delay_ms = self._pace()
        return Status(
            fps=fps, delay_ms=delay_ms, sound=features, heard=self.engine.worker.heard,
            prompt=frame.prompt if frame else "", stack=self.show.stack, recording=self.recording.begun,
            state=state_line(self._troubles().values(), held, features.state),
            model=f"{self._chain.backend} {precision}" if precision else "",
            ladder=self._chain.place,
            restarts=self.engine.worker.restarts,
            dropped=self.recording.status.counters.lost + self.engine.capture.counters().lost,
            message=self.notices.message(self.clock.now()),
            midi=self.hands.midi,
            outlets=self.screen.outlets.states,
            mapping=self.mapper.view,
        )  # fmt: skip

    def _pace(self) -> tuple[float, float]:
        """Frames a second and the newest one's delay in ms, which grows while none comes."""
        if self.engine.worker.stall:
            return 0.0, self.tally.delay_now_ms(self.clock.now())
        return self.tally.fps, self.tally.last_delay_ms

    def _open_pipeline(self) -> FramePipeline:
        """For the inference thread: the model in use, loaded where it is not, ready to play.

        Before the first frame a backend that fails is left here; one that never opens ends the show. Later failures are
        the inference thread's.
        """
        was_open = self.engine.frames.count > 0
        while True:
            try:
                return self._build_pipeline()
            except Exception as error:
                if was_open:
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold the model's memory
                if not self._chain.step_down(error, self.show.state.steps):
                    self._refused = error
                    raise

    def _build_pipeline(self) -> FramePipeline:
        options, model = self.options, self._chain.model
        steps = options.look.reference_steps if options.look.is_reference else 0
        plan = choose_plan(model, steps, options.stream_batch)
        limit, pixels = self._chain.backend.most_steps, options.field is not FieldChoice.SHADER
        pipeline = FramePipeline(model, self.clock, plan, limit, self.picture, beside_display=True, pixels=pixels,
                                 lookahead_s=lambda: self.tally.lookahead_s,
                                 pictures=following(self.video, model))  # fmt: skip
        with console.progress("recording what the show needs on the GPU", quiet=not plan.captured) as progress:
            pipeline.prepare(self.show.state, progress)
        return pipeline

    def _about(self) -> About:
        """What the records say of this show; of the model what is known when it is loaded."""
        look, model = self.options.look, self._chain.loaded
        in_force = {"precision": model.precision} if model else {}
        return About(
            program=PROGRAM,
            model=look.name,
            spec=asdict(model.spec) if model else {},
            options=look.model_record() | in_force,
            input=self.engine.capture.source.name,
            picture=self.picture,
        )

    def _over(self, stopping: threading.Event) -> bool:
        timed_out = self.options.seconds is not None and self._played_s >= self.options.seconds
        return timed_out or stopping.is_set() or self.engine.capture.ended or self._refused is not None

    @property
    def _played_s(self) -> float:
        opened_s = self.engine.opened_s
        return 0.0 if opened_s is None else self.clock.now() - opened_s

    def _carry_out_effects(self) -> None:
        while self.show.effects:
            effect = self.show.effects.popleft()
            if effect.kind is EffectKind.SNAPSHOT:
                self.snapshots.want(int(effect.text or 1))
            elif effect.kind is EffectKind.PRESET:
                self.notices.note(f"preset {effect.text}")
            elif effect.kind is EffectKind.OUTPUT:
                self.notices.attempt(partial(self.screen.outlets.switch, effect.text, effect.on))
            elif effect.kind is EffectKind.MAP:
                self.mapper.carry_out(effect.text, *effect.given)
            elif effect.kind is EffectKind.PROBLEM:
                self.notices.trouble(effect.text)
            else:
                self.hands.carry_out(effect)

    def _take_frame(self, now_s: float) -> None:
        frame = self.engine.frames.peek()
        if frame is None or frame is self._shown or self.landing.early(frame, now_s):
            return
        self._shown = frame
        self.screen.show(frame)
        self.tally.frame(frame, now_s)
        self.recording.frame(frame)

    def _read_back(self, newest_s: float) -> None:
        if (ready := self.screen.picture(newest_s)) is None:
            return
        image, shaped_s = ready
        if self.recording.running:
            self.recording.picture(image, shaped_s)
        if self.snapshots.wanted:
            self.snapshots.save(image)

    def _hud(self, state: ShowState, now_s: float) -> HudInfo:
        recording_s = self.recording.status.seconds if self.recording.running else None
        hud = told(self.engine, state, self._pace(), recording_s, self.notices.message(now_s) or self._awaited())
        return replace(hud, outlets=self.screen.outlets.states)

    def _awaited(self) -> str:
        return STARTING if self.engine.opened_s is None else self.show.bar_line.said


@contextmanager
def open_live(options: LiveOptions, clock: Clock | None = None, chain: FallbackChain | None = None) -> Iterator[Live]:
    """A show ready to run on the screen that `options` ask for.

    Raises what looking for the model and opening the presets, the sound, the start picture, the live one, the screen
    and the OSC port raises.
    """
    registry.check(options.look.name, options.look.additions)
    clock = clock or WallClock()
    show, troubles = options.look.build_show(order=set_list.read(options.hands.set_list))
    left = left_off(show)
    source = open_sound(options.source, options.channels, options.loop, show, clock)
    playback = open_playback(source, options.monitor, options.mute)
    picture = starting_picture(options.look.init_image) if options.look.init_image else None
    video = open_video_in(options.video_in, clock)
    preview = Preview() if options.remote or run_folder.own() else None
    settings = OutputSettings(
        options.size, options.fullscreen, options.display,
        lambda address, arguments: show.command(address, arguments, clock.now()), lambda: show.state, preview,
        mapper=Mapper(options.venue),
    )  # fmt: skip
    placeholder, kind = left.picture if left else picture, "headless" if options.headless else "window"
    with settings.mapper, open_screen(kind, settings, placeholder, options.outputs) as screen:
        choice, look, words = open_field(options.field, options.look, screen, video is not None)
        live = Live(replace(options, field=choice, look=look), show, screen, source, clock,
                    picture=picture, playback=playback, chain=chain, preview=preview, video=video)  # fmt: skip
        settings.sound.sound, settings.mapper.tell = live.engine.capture, live.notices.post
        troubles += [left.resume(show, live.recording)] if left else []
        live.notices.opened(words, troubles)
        yield live


def run_live(options: LiveOptions, quiet: bool = False) -> LiveSummary:
    """Play a show from the command line; Ctrl-C ends it in good order."""
    with console.in_background(), open_live(options) as live, ended_by_signals() as stopping:
        if not quiet:
            name, state, look = live.engine.capture.source.name, live.show.state, options.look
            late = state.steps - 1 if options.stream_batch else 0
            greet(name, state, live.engine.osc.address, look.name, options.headless, late)
        return live.run(stopping)
