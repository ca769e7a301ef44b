"""`tpos render --loop-bars`: a film of whole bars that ends where it begins, for whoever plays it again and again.

The sound's bars are played three times. The first time says how far the noise walks, so that it can be closed; the
second brings everything that remembers (gain, encoder, beat, feedback) to where the third will leave it; the third is
the film. What still differs, as effects that run by the clock do, is crossfaded: the film's last second turns into the
second that came before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.app.loop.bars import Bars, heard_bars
from engine.app.offline import FilmOptions, OfflineShow, open_film_show, play
from engine.app.options import LookOptions
from engine.audio import SAMPLE_RATE
from engine.audio.resample import read_sound
from engine.audio.sound_file import AudioFile
from engine.core.beat_grid import BeatGrid, ClockSource
from engine.core.console import Progress
from engine.core.messages import ShaderAmounts, ShowState
from engine.core.signals import ended_by_signals
from engine.outputs.registry import FILM_PX
from engine.outputs.screens import Screen, open_headless
from engine.recording.start_picture import starting_picture
from engine.render.audio_reactive import FLY_OCTAVES, TURN_RAD
from export.media.video import VideoWriter
from tpos_models.diffusion.closed_walk import ClosedWalk
from tpos_models.errors import InputError

BEATS_PER_BAR = 4
LEAD_FRAMES = 2
"""The film begins so long before the bar's line: what happens on the beat is not cut."""
LONGEST_FADE_S = 1.0
MOST_BARS = 64


@dataclass(frozen=True, eq=False)
class Loop:
    """Whole bars: their sound (n, channels) at 44.1 kHz, how many frames they take, and the state with their beat."""

    samples: np.ndarray
    frames: int
    fps: float
    state: ShowState

    @property
    def period_s(self) -> float:
        """How long they last."""
        return self.frames / self.fps

    @property
    def fade_frames(self) -> int:
        """How many frames the crossfade takes."""
        return max(1, round(min(LONGEST_FADE_S, self.period_s / 4) * self.fps))


def cut_loop(sound: np.ndarray, state: ShowState, bars: int, fps: float) -> Loop:
    """`bars` of `sound` (n, channels) as they are heard; at a set tempo, in bars of four beats from its beginning.

    Their tempo is moved, by less than a frame a loop, to a whole number of frames, and the camera's way to whole
    octaves and turns. A sound that is shorter is repeated. Raises `InputError` where no tempo is heard.
    """
    if not 1 <= bars <= MOST_BARS:
        raise InputError(f"--loop-bars {bars}: 1 to {MOST_BARS} would be accepted")
    asked = state.tempo_bpm
    heard = Bars(0.0, BEATS_PER_BAR * 60 / asked, BEATS_PER_BAR) if asked else heard_bars(sound, bars)
    if not heard:
        raise InputError("--loop-bars: no tempo is heard in the sound; --tempo-bpm would be accepted")
    beats = bars * heard.beats_per_bar
    frames = round(bars * heard.bar_s * fps)
    lead_s, bpm = LEAD_FRAMES / fps, beats * 60 * fps / frames
    first, count = round((heard.start_s - lead_s) * SAMPLE_RATE), round(frames / fps * SAMPLE_RATE)
    samples = np.take(sound, range(first, first + count), axis=0, mode="wrap")
    grid = BeatGrid(ClockSource.LINK, lead_s, 0.0, bpm, heard.beats_per_bar)
    shader = _closed(state.shader, beats * state.motion)
    looped = replace(state, grids=(grid,), clock=str(ClockSource.LINK), shader=shader, stems=(), patch=())
    return Loop(samples, frames, fps, looped)


def _closed(shader: ShaderAmounts, beats: float) -> ShaderAmounts:
    """With a camera that has come home after so many beats: the nearest whole number of octaves and turns."""

    def nearest(amount: float, a_beat: float) -> float:
        most = int(abs(beats * a_beat))
        trips = min(max(round(abs(amount) * beats * a_beat), 1), most) if amount else 0
        return float(np.copysign(trips / (beats * a_beat), amount)) if trips else 0.0

    return replace(shader, fly=nearest(shader.fly, FLY_OCTAVES), turn=nearest(shader.turn, TURN_RAD / (2 * np.pi)))


def looped(show: OfflineShow, loop: Loop, screen: Screen) -> Iterator[np.ndarray]:
    """The film's pictures, uint8 (height, width, 3): `loop.frames` of them."""
    show.pipeline.new_walk = partial(ClosedWalk, loop.period_s)
    laps, fade = itertools.repeat(loop.samples), loop.fade_frames
    playing = play(show, laps, lambda _: loop.state, screen, loop.fps, begin_at=2 * loop.frames - fade)
    before = [picture.copy() for _, picture in itertools.islice(playing, fade)]
    for index, (_, picture) in enumerate(itertools.islice(playing, loop.frames)):
        left = loop.frames - index
        yield picture if left > fade else crossfaded(picture, before[fade - left], 1 - (left - 1) / fade)


def crossfaded(picture: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """`share` 0..1 of the other."""
    return np.rint(picture + share * (other.astype(np.float32) - picture)).astype(np.uint8)


def render_loop(audio: Path, film: FilmOptions, look: LookOptions, bars: int, progress: Progress) -> dict[str, Any]:
    """`tpos render --loop-bars`: a sound file to a loop."""
    if film.seconds is not None:
        raise InputError(f"--seconds {film.seconds:g}: --loop-bars says how long the film is; one of both is accepted")
    state = look.build_show()[0].state
    picture = starting_picture(look.init_image) if look.init_image else None
    sound = np.concatenate(list(read_sound(AudioFile(audio))))
    loop = cut_loop(sound, state, bars, film.fps)
    show = open_film_show(look, picture)
    with (
        open_headless(film.size or FILM_PX) as screen,
        VideoWriter(film.output, screen.film_size, film.fps, SAMPLE_RATE, sound.shape[1], form=film.form) as video,
        ended_by_signals() as stopping,
    ):
        video.write_audio(loop.samples, 0)
        for index, drawn in enumerate(looped(show, loop, screen)):
            if stopping.is_set():
                break
            video.write_video(drawn, index / film.fps)
            progress((index + 1) / loop.frames)
        size = list(video.size)
    bpm = loop.state.grids[0].bpm
    return {"output": str(film.output), "frames": loop.frames, "fps": film.fps, "seconds": loop.period_s,
            "size": size, "bars": bars, "bpm": round(bpm, 3)}  # fmt: skip
