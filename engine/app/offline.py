"""The live show on a virtual clock: the same stages, fed from a file, one video frame after the other.

Same sound, same look, same seed, same precision: the same pictures, bit for bit on one machine, whatever its speed and
however many cores it may use; of models that torch draws on a CPU, as long as they are as many.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.app.options import LookOptions, ModelOptions
from engine.app.prompt_check import remarks
from engine.audio import SAMPLE_RATE
from engine.audio.analysis import Analyser
from engine.audio.mix import Mix, check_stems
from engine.audio.resample import Intake, mono, read_sound
from engine.audio.sound_file import AudioFile
from engine.core import console
from engine.core.clock import VirtualClock
from engine.core.console import Progress
from engine.core.messages import SILENCE, AudioFeatures, Frame, ShowState
from engine.core.signals import ended_by_signals
from engine.core.stems import patched
from engine.inference.farm.chunks import SUFFIX, Chunks, Farm
from engine.inference.farm.drawing import Drawing, same_every_time
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import choose_precision, open_model
from engine.inference.plan import choose_plan
from engine.outputs.registry import FILM_PX
from engine.outputs.screens import Screen, open_headless, refuse
from engine.recording.session import Session
from engine.recording.start_picture import starting_picture
from engine.render.picture import Size
from export.media.formats import VideoFormat
from export.media.video import VideoWriter
from tpos_models.contracts import Model
from tpos_models.errors import InputError
from tpos_models.precision import Precision
from tpos_models.registry import POCKET

StateAt = Callable[[float], ShowState]

HALF_HEARD_S = 0.35
"""From the beginning of a sound until its encoder gives it half its say (`tpos train evaluate`: takeovers, median)."""


@dataclass(frozen=True)
class FilmOptions:
    """The video to write: its file, its size (None: `FILM_PX`, or a session's own), its rate, how much, and in what.

    Raises InputError where there is no folder for the file.
    """

    output: Path
    size: Size | None = None
    fps: float = 30.0
    seconds: float | None = None
    form: VideoFormat | None = None

    def __post_init__(self) -> None:
        folder = self.output.absolute().parent
        if not folder.is_dir():
            raise InputError(f"--output {self.output}: no folder {folder}; one that is there would be accepted")


class OfflineShow:
    """One show fed by hand; arguments as `FramePipeline` and `choose_plan`. Owned by the loop that calls `begin`.

    It may be fed ahead of its pictures, as far as `ahead_s` says: then the picture's change to a new sound lies around
    the moment at which that begins, not behind it. The reactive layer gets the features of the moment all the same.
    In its sound the main mix is followed by the channels that stems are taken from, `beside` of them. With `chunks` its
    frames are drawn elsewhere, and here the requests for them are made.
    """

    def __init__(
        self,
        model: Model,
        picture: np.ndarray | None = None,
        reference_steps: int = 0,
        beside: int = 0,
        chunks: Chunks | None = None,
    ) -> None:
        self.clock, self.chunks = VirtualClock(), chunks
        plan = choose_plan(model, reference_steps)
        self.pipeline = FramePipeline(model, self.clock, plan, picture=picture, elsewhere=chunks)
        self._mix, self._beside = Mix(Analyser(), SAMPLE_RATE, beside), beside
        self._coming: deque[AudioFeatures] = deque()
        self._features = SILENCE

    def listen(self, block: np.ndarray, end_s: float, then: ShowState, now: ShowState) -> np.ndarray:
        """Take in the next samples, float32 (n, 1 or 2 and those beside) at 44.1 kHz, the newest captured at `end_s`.

        They are analysed as the operator had it `then`, and weighed by the rules of the picture that is drawn `now`.
        Returns the main mix.
        """
        main, beside = np.split(block, [block.shape[1] - self._beside], axis=1)
        self._coming += self._mix.process(mono(main), beside, end_s, then)
        self.pipeline.listen(self._mix, now)
        return main

    def features(self, now_s: float) -> AudioFeatures:
        """Of the newest hop at a moment, which never goes back."""
        while self._coming and self._coming[0].time_s <= now_s:
            self._features = self._coming.popleft()
        return self._features

    def begin(self, state: ShowState, now_s: float) -> Callable[[], Frame]:
        """The frame of `now_s` (see `FramePipeline.begin`)."""
        self.clock.sleep(now_s - self.clock.now())
        return self.pipeline.begin(state, self.features(now_s))

    def hold(self, now_s: float) -> None:
        """Instead of it, while the show is frozen (see `FramePipeline.hold`)."""
        self.clock.sleep(now_s - self.clock.now())
        self.pipeline.hold()


def ahead_s(state: ShowState) -> float:
    """How far a film's sound is heard ahead: until half of the change to a new one is shown."""
    return HALF_HEARD_S + math.log(2) * state.slew_s


@dataclass(frozen=True)
class Moment:
    """One video frame's time, its sound, what the show was then, and its picture, waited for; None: the last one."""

    now_s: float
    block: np.ndarray
    state: ShowState
    features: AudioFeatures
    picture: Callable[[], Frame] | None


Pictures = Iterator[tuple[Moment, np.ndarray]]
"""A film's moments in their order, each with what a screen drew of it: uint8 (height, width, 3)."""


def play(
    show: OfflineShow, sound: Iterator[np.ndarray], state_at: StateAt, screen: Screen, fps: float, begin_at: int = 0
) -> Pictures:
    """Play `sound`, in blocks as `OfflineShow.listen` takes them, through the show; a freeze holds the last frame.

    Frames before `begin_at` are heard and walked through, but not drawn.
    """
    coming: deque[Moment] = deque()

    def drawn() -> tuple[Moment, np.ndarray]:
        moment = coming.popleft()
        if moment.picture:
            screen.show(replace(moment.picture(), time_s=moment.now_s))
        return moment, screen.render(lambda: moment.features, moment.state, moment.now_s)

    with ThreadPoolExecutor() as executor:
        blocks, heard = _frame_blocks(sound, fps), deque[np.ndarray]()
        for index in itertools.count():
            now_s = index / fps
            state = state_at(now_s)
            at_once = show.pipeline.at_once(state)
            while len(coming) >= at_once:
                yield drawn()
            for block in itertools.islice(blocks, max(0, 1 + round(ahead_s(state) * fps) - len(heard))):
                then_s = (index + len(heard)) / fps
                heard.append(show.listen(block, then_s, state_at(then_s), state))
            if not heard:
                break
            if index < begin_at:
                show.begin(state, now_s)
                heard.popleft()
                continue
            here, picture = executor if show.chunks is None else None, None
            if index and state.freeze:
                show.hold(now_s)
            else:
                picture = _drawn(show.begin(state, now_s), at_once, here)
            coming.append(Moment(now_s, heard.popleft(), state, show.features(now_s), picture))
        while coming:
            yield drawn()


def write(pictures: Pictures, video: VideoWriter, progress: Callable[[float], None]) -> int:
    """Pictures, each with its moment's sound, into `video`; returns the number of frames.

    `progress` is told the seconds done.
    """
    for moment, picture in pictures:
        video.write_video(picture, moment.now_s)
        video.write_audio(moment.block, video.audio_position)
        progress(moment.now_s)
    return video.frames


def _drawn(draw: Callable[[], Frame], at_once: int, executor: Executor | None) -> Callable[[], Frame]:
    """A frame that is waited for when it is asked for; one of those that come alone is drawn here and now."""
    if at_once > 1:
        return executor.submit(draw).result if executor else draw
    frame = draw()
    return lambda: frame


def render_file(
    audio: Path, film: FilmOptions, look: LookOptions, progress: Progress, farm: Farm | None = None
) -> dict[str, Any]:
    """`tpos render`: a sound file to a video file, whose frames a `farm` may draw."""
    state = look.build_show()[0].state
    picture = starting_picture(look.init_image) if look.init_image else None
    file = AudioFile(audio)
    length_s = min(file.duration_s or float("inf"), film.seconds or float("inf"))
    stems = patched(state.stems, state.patch)
    check_stems(stems, file.path.name, file.channels)
    beside = range(file.channels if stems else 0)
    sound = first_seconds(read_sound(file, beside=beside), film.seconds)
    channels = Intake(file.sample_rate, file.channels).channels
    with _drawn_by(farm, look, picture, len(beside), film) as show:
        for line in remarks(show.pipeline.model, state.prompts, state.steps):
            console.notify(f"tpos: {line}")
        return _to_file(show, sound, channels, lambda _: state, film, length_s, progress)


def render_session(
    session: Session, film: FilmOptions, options: ModelOptions, progress: Progress, farm: Farm | None = None
) -> dict[str, Any]:
    """`tpos sessions export`: a recorded set re-rendered from its sound and its control log, by a `farm` if any.

    Users' effects are those of the log, whatever their files are now; where one cannot be drawn, as on other drivers,
    that is said, and the film goes on without.
    """
    sound = session.sound(_say)
    main, every = sound.channels, sound.channels + sound.stems
    intake = Intake(sound.sample_rate, every, range(main), range(main, every))
    heard = intake.whole(sound.blocks())
    options = options.over(session.record.options or {"model": session.record.model or None})
    film = replace(film, size=film.size or session.record.size)
    with _drawn_by(farm, options, session.picture(), sound.stems, film) as show:
        return _to_file(show, heard, intake.channels, session.state_at, film, sound.duration_s, progress, _say)


def open_film_model(options: ModelOptions) -> Model:
    """The model for a film, whose precision is never what this machine is fastest in."""
    asked = choose_precision(options.precision, options.name)
    precision = None if asked is Precision.AUTO else asked  # nothing here may depend on how fast the machine is
    same_every_time()
    return open_model(options.name, options.size_px, options.additions, precision)


def open_film_show(options: ModelOptions, picture: np.ndarray | None, beside: int = 0) -> OfflineShow:
    """A show for a film; arguments as `OfflineShow`."""
    model = open_film_model(options)
    return OfflineShow(model, picture, options.reference_steps if options.is_reference else 0, beside)


@contextmanager
def _drawn_by(
    farm: Farm | None, options: ModelOptions, picture: np.ndarray | None, beside: int, film: FilmOptions
) -> Iterator[OfflineShow]:
    """A show for a film; what a farm draws of it lies in a folder beside the film."""
    if farm is None:
        yield open_film_show(options, picture, beside)
        return
    model, steps = open_film_model(options), options.reference_steps if options.is_reference else 0
    whole, folder = ModelOptions(**options.model_record()), Path(options.name).expanduser()
    name = str(folder.resolve()) if options.name != POCKET and folder.is_dir() else options.name
    drawing = Drawing(name, whole.size_px, whole.additions, model.precision, steps, model.runner)
    height, width = (side * model.spec.scale for side in model.spec.sample_size)
    with Chunks(farm, drawing, film.output.with_name(f"{film.output.name}{SUFFIX}"), 3 * width * height) as chunks:
        yield OfflineShow(model, picture, steps, beside, chunks)


def _say(trouble: str) -> None:
    console.notify(f"tpos: {trouble}")


def _to_file(
    show: OfflineShow,
    sound: Iterator[np.ndarray],
    channels: int,
    state_at: StateAt,
    film: FilmOptions,
    length_s: float,
    progress: Progress,
    refused: Callable[[str], object] = refuse,
) -> dict[str, Any]:
    with (
        open_headless(film.size or FILM_PX, refused) as screen,
        VideoWriter(film.output, screen.film_size, film.fps, SAMPLE_RATE, channels, form=film.form) as video,
        ended_by_signals() as stopping,
    ):
        playing = play(show, sound, state_at, screen, float(video.fps))
        pictures = itertools.takewhile(lambda _: not stopping.is_set(), playing)  # Ctrl-C ends sound and film in order
        frames = write(pictures, video, lambda done_s: progress(done_s / length_s))
        width, height = video.size
    seconds = frames / film.fps
    told = {"output": str(film.output), "frames": frames, "fps": film.fps, "seconds": seconds, "size": [width, height]}
    if show.chunks is None:
        return told
    if stopping.is_set():
        _say(f"the frames that were drawn are kept in {show.chunks.folder}: the same command goes on from there")
    else:
        show.chunks.forget()
    return told | show.chunks.cost.as_dict()


def _frame_blocks(sound: Iterator[np.ndarray], fps: float) -> Iterator[np.ndarray]:
    """Blocks of any length cut into the samples of one video frame each; the rest of the last one is kept."""
    rest: np.ndarray | None = None
    index = 0
    for block in sound:
        rest = block if rest is None else np.concatenate([rest, block])
        while len(rest) >= (count := round((index + 1) / fps * SAMPLE_RATE) - round(index / fps * SAMPLE_RATE)):
            yield rest[:count]
            rest, index = rest[count:], index + 1
    if rest is not None and len(rest):
        yield rest


def first_seconds(sound: Iterator[np.ndarray], seconds: float | None) -> Iterator[np.ndarray]:
    """Blocks of sound at 44.1 kHz up to `seconds`; None: all of them."""
    left = round(seconds * SAMPLE_RATE) if seconds is not None else None
    for block in sound:
        if left is None:
            yield block
        elif left > 0:
            yield block[:left]
            left -= len(block)
