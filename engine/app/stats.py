"""How a live show went: numbers gathered while it runs, summed up when it ends."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from engine.app.builder import Engine
from engine.audio.capture import AudioCounters
from engine.core.hud_info import HudInfo
from engine.core.messages import Frame, Heard, ShowState, SoundState
from engine.inference.fallback import FallbackChain
from engine.recording.folders import video_of
from engine.recording.take import SessionSummary
from engine.render.pacing import RedrawStats, RedrawTimes

_KEPT, _OF_LATE = 20_000, 15
MOST_TROUBLES = 100


@dataclass(frozen=True)
class LiveSummary:
    """The closing words of `tpos live`. Delays are from the newest sound in a frame to its first redraw.

    For `still_s` of its `seconds` there was nothing to sample; `fps` leaves them out.
    """

    seconds: float
    still_s: float
    frames: int
    fps: float
    evaluations: int
    delay_ms: tuple[float, float]
    """Median and 95th percentile."""
    heard: tuple[tuple[str, float], ...]
    redraws: RedrawStats
    audio: AudioCounters
    recordings: tuple[SessionSummary, ...]
    snapshots: tuple[Path, ...]
    restarts: int
    troubles: tuple[str, ...]
    first_frame_s: float
    """From the start of the program to the first frame's redraw; 0 where none came."""
    precision: str
    backend: str
    """What the model ran on at the end."""
    picture_delay_ms: tuple[float, float] = (0.0, 0.0)
    """From a live picture's capture to the first redraw of the frame that starts from it; 0 where none came."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        values = asdict(self)
        for name in ("delay_ms", "picture_delay_ms"):
            values[name] = dict(zip(("median", "p95"), values[name], strict=True))
        values["heard"] = [{"phrase": phrase, "weight": round(weight, 3)} for phrase, weight in self.heard]
        values["recordings"] = [{**recording, "path": str(recording["path"])} for recording in values["recordings"]]
        values["snapshots"] = [str(path) for path in self.snapshots]
        return values

    def lines(self) -> list[str]:
        """For people."""
        heard = ", ".join(f"{phrase} {weight:.0%}" for phrase, weight in self.heard) or "nothing it knows"
        shown = self.first_frame_s > 0
        first = f"first frame {self.first_frame_s:.1f} s after the start" if shown else "no frame was shown"
        model = f"model on {self.backend} in {self.precision}" if self.precision else "no model was ready"
        delays = "sound to picture {:.0f} ms (95 % within {:.0f} ms); ".format(*self.delay_ms)
        still = f", but for {self.still_s:.0f} s of a still picture" if self.still_s >= 1 else ""
        lines = [
            f"{self.seconds:.0f} s: {self.frames} frames sampled, {self.fps:.1f} a second{still}; "
            f"{self.redraws.redraws} redraws, {self.redraws.per_s:.0f} a second",
            f"{delays if self.delay_ms[0] else ''}{self.audio.overruns} overruns, "
            f"{self.audio.overflows} overflows, {self.audio.losses} losses",
            f"heard: {heard}",
            f"{first}; {model}",
        ]
        if self.picture_delay_ms[0]:
            lines.append("video in to picture {:.0f} ms (95 % within {:.0f} ms)".format(*self.picture_delay_ms))
        lines += [f"trouble: {trouble}" for trouble in self.troubles]
        lines += [f"snapshot: {path}" for path in self.snapshots]
        for recording in self.recordings:
            broke = f" (broke off: {recording.error})" if recording.error else ""
            lines.append(f"recording: {video_of(recording.path)} ({recording.duration_s:.1f} s){broke}")
        return lines


class Tally:
    """Gathers what the summary needs. Owned by the main thread."""

    def __init__(self) -> None:
        self._delays_s: deque[float] = deque(maxlen=_KEPT)
        self._of_late_s: deque[float] = deque(maxlen=_OF_LATE)
        self._picture_delays_s: deque[float] = deque(maxlen=_KEPT)
        self._apart_s: deque[float] = deque(maxlen=60)
        """Seconds between the newest frames, stillness left out."""
        self._arrived_s = 0.0
        self._heard: defaultdict[str, float] = defaultdict(float)
        self._hearings = 0
        self.frames = 0
        self.lookahead_s = 0.0
        """From a change of state until it is seen, as of late: the delay, and half of the wait for the next frame."""
        self.first_frame_s = 0.0
        self.troubles: list[str] = []
        self._last_trouble = ""

    def frame(self, frame: Frame, now_s: float) -> None:
        """A frame is drawn for the first time."""
        self.frames += 1
        self.first_frame_s = self.first_frame_s or time.time() - psutil.Process().create_time()
        if frame.audio_time_s > 0:  # nothing was heard before the first
            self._delays_s.append(now_s - frame.audio_time_s)
            self._of_late_s.append(now_s - frame.audio_time_s)
        if frame.picture_time_s > 0:
            self._picture_delays_s.append(now_s - frame.picture_time_s)
        if self.frames > 1:
            self._apart_s.append(now_s - max(self._arrived_s, frame.still_until_s))
        self._arrived_s = now_s
        late_s = float(np.median(self._of_late_s)) if self._of_late_s else 0.0
        self.lookahead_s = late_s + (0.5 / self.fps if self.fps else 0.0)

    def hear(self, heard: tuple[Heard, ...]) -> None:
        """What the newest sound resembles, once for each redraw after the first frame."""
        self._hearings += self.frames > 0
        for one in heard if self.frames else ():
            self._heard[one.phrase] += one.weight

    def trouble(self, words: str) -> bool:
        """Remember a line of trouble, the first MOST_TROUBLES of them; False if it was the last one already."""
        if self._last_trouble == words:
            return False
        self._last_trouble = words
        if words not in self.troubles and len(self.troubles) < MOST_TROUBLES:
            self.troubles.append(words)
        return True

    @property
    def fps(self) -> float:
        """Frames a second over the newest sixty, while there was something to sample."""
        return len(self._apart_s) / max(1e-6, sum(self._apart_s)) if self._apart_s else 0.0

    @property
    def delay_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of the delay."""
        return _median_p95_ms(self._delays_s)

    @property
    def picture_delay_ms(self) -> tuple[float, float]:
        """The same of live pictures."""
        return _median_p95_ms(self._picture_delays_s)

    @property
    def last_delay_ms(self) -> float:
        """Delay of the newest frame."""
        return self._delays_s[-1] * 1000 if self._delays_s else 0.0

    def delay_now_ms(self, now_s: float) -> float:
        """The delay of the newest frame where no other came since: it grows."""
        return self.last_delay_ms + 1000 * max(0.0, now_s - self._arrived_s)

    @property
    def heard(self) -> tuple[tuple[str, float], ...]:
        """The five strongest phrases, weights averaged over the show."""
        ranked = sorted(self._heard.items(), key=lambda pair: -pair[1])[:5]
        return tuple((phrase, weight / self._hearings) for phrase, weight in ranked)


def _median_p95_ms(delays_s: Iterable[float]) -> tuple[float, float]:
    known_ms = [1000 * delay_s for delay_s in delays_s]
    median, p95 = np.percentile(known_ms, [50, 95]) if known_ms else (0.0, 0.0)
    return float(median), float(p95)


def summed_up(
    tally: Tally,
    engine: Engine,
    chain: FallbackChain,
    seconds: float,
    gaps: RedrawTimes,
    recordings: tuple[SessionSummary, ...],
    snapshots: tuple[Path, ...],
) -> LiveSummary:
    """How a show that has ended went."""
    frames, still_s = engine.frames.count, engine.worker.still_s
    return LiveSummary(
        seconds=seconds,
        frames=frames,
        fps=tally.fps if seconds - still_s < 1 else frames / (seconds - still_s),
        still_s=still_s,
        evaluations=engine.worker.evaluations,
        delay_ms=tally.delay_ms,
        heard=tally.heard,
        redraws=gaps.stats(),
        audio=engine.capture.counters(),
        recordings=recordings,
        snapshots=snapshots,
        restarts=engine.worker.restarts,
        troubles=tuple(tally.troubles),
        first_frame_s=tally.first_frame_s,
        precision=chain.precision,
        backend=str(chain.backend),
        picture_delay_ms=tally.picture_delay_ms,
    )


def told(
    engine: Engine, state: ShowState, pace: tuple[float, float], recording_s: float | None, message: str
) -> HudInfo:
    """This moment in the operator's words; `pace` is frames a second and their delay in ms."""
    features = engine.capture.latest()
    return HudInfo(
        fps=pace[0],
        delay_ms=pace[1],
        level=features.level,
        state=SoundState.OK if engine.opened_s is None else features.state,
        bpm=features.bpm,
        beat_phase=features.beat_phase,
        heard=engine.worker.heard,
        prompt=" + ".join(prompt.text for prompt in state.prompts if prompt.weight > 0),
        recording_s=recording_s,
        message=message,
        frozen=state.freeze,
        blackout=state.blackout,
        loras=state.loras,
        section=features.section,
        clock=features.clock,
    )
