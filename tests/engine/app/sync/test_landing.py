"""Changes on the bar as a projector shows them: whole evenings in simulated time, frames as slow as machines are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.app.stats import Tally
from engine.app.sync.landing import Landing
from engine.app.sync.latencies import keep
from engine.audio.capture import Capture
from engine.audio.sources import SynthSource
from engine.control import presets
from engine.control.show import Show
from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, AudioFeatures, Frame, ShowState

LOOK = """
schema = 1
prompts = ["a beach"]
[[cue]]
prompts = ["waves"]
[cue.effects]
mirror = "left"
[[cue]]
prompts = ["fire"]
"""
BAR_S = 2.0
STEP_S = 0.001
NO_PICTURE = np.zeros((1, 1, 4), np.uint8)


class Stage:
    """Draws at `redraw_s`, each in `drawing_s`; frames take `frame_s`, a fifth more or less, one after the other.

    Bar 0 began at 0.
    """

    def __init__(
        self, frame_s: float, redraw_s: float, monkeypatch: pytest.MonkeyPatch, drawing_s: float = 0.0
    ) -> None:
        self.clock, self.rng = VirtualClock(), np.random.default_rng(4)
        self.frame_s, self.redraw_s, self.drawing_s = frame_s, redraw_s, drawing_s
        self.show = Show(presets.parse(LOOK, "look"))
        self.show.set(quantise="bar")
        capture = Capture(SynthSource(self.clock), self.clock)
        monkeypatch.setattr(capture, "latest", self.heard)
        self.tally = Tally()
        self.landing = Landing(self.show, capture, self.tally, self.clock)
        self.newest: Frame | None = None
        self.shown: Frame | None = None
        self.begun: tuple[ShowState, float, float] | None = None
        self.redrawn_s = 0.0
        self.frames: list[tuple[float, str]] = []
        """When each frame was there to be seen first, and its prompt."""
        self.mirrors: list[tuple[float, str]] = []

    def heard(self) -> AudioFeatures:
        at_s = self.clock.now() - 0.012
        beats = at_s * 4 / BAR_S
        beat = int(beats)
        return replace(
            SILENCE, time_s=at_s, bpm=120.0, beat=beat, beat_phase=beats - beat, bar=beat // 4, bar_beat=beat % 4
        )

    def play(self, until_s: float) -> None:
        while (now_s := self.clock.now()) < until_s:
            self._compute(now_s)
            if now_s >= self.redrawn_s + self.redraw_s:
                self.redrawn_s = now_s
                self._redraw(now_s)
            self.clock.sleep(STEP_S)

    def _compute(self, now_s: float) -> None:
        if self.begun is not None and now_s >= self.begun[2]:
            state, heard_s, _ = self.begun
            prompt = state.prompts[0].text
            self.newest = Frame(0, NO_PICTURE, heard_s, now_s, state.revision, prompt, (), 0, 1)
            self.begun = None
        if self.begun is None:
            took_s = self.frame_s * self.rng.uniform(0.8, 1.2)
            self.begun = self.show.current(), self.heard().time_s, now_s + took_s

    def _redraw(self, now_s: float) -> None:
        new = None if self.newest is self.shown else self.newest
        if new and not self.landing.early(new, now_s):
            self.shown = new
            self.tally.frame(new, now_s)
            self.frames.append((now_s + self.drawing_s, new.prompt))
        drawn = self.landing.drawn(self.show.current(), now_s)
        self.clock.sleep(self.drawing_s)
        self.landing.redrawn()
        self.mirrors.append((self.clock.now(), drawn.effects.mirror))


def turns(seen: list[tuple[float, str]]) -> list[float]:
    """When what is seen became another."""
    return [at_s for (at_s, now), (_, before) in zip(seen[1:], seen, strict=False) if now != before]


def to_the_bar(at_s: float) -> float:
    return at_s - round(at_s / BAR_S) * BAR_S


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.parametrize("redraw_s", [1 / 60, 1 / 30])
@pytest.mark.parametrize("frame_s", [0.025, 0.1, 0.22])
def test_twenty_cues_are_half_seen_on_their_line(
    frame_s: float, redraw_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(frame_s, redraw_s, monkeypatch)
    stage.play(4.0)
    for n in range(20):
        stage.show.command("/tpos/cue", (1 + n % 2,))
        stage.play(stage.clock.now() + float(stage.rng.uniform(2.2, 4.5)))
    stage.play(stage.clock.now() + 2 * BAR_S)
    late = np.array([to_the_bar(at_s + frame_s / 2) for at_s in turns(stage.frames)])  # faded in from frame to frame
    assert len(late) == 20
    assert abs(np.median(late)) <= redraw_s / 4  # as often before it as after it
    assert np.abs(late).max() <= redraw_s
    effects = np.array([to_the_bar(at_s) for at_s in turns(stage.mirrors)])
    assert len(effects) == 20
    assert (effects >= -STEP_S).all()  # no sooner than their line
    assert effects.max() <= redraw_s + STEP_S


@pytest.mark.parametrize("frame_s", [0.1, 0.22])
def test_drawing_that_takes_long_begins_so_much_sooner(frame_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    redraw_s = 1 / 30
    stage = Stage(frame_s, redraw_s, monkeypatch, drawing_s=0.025)
    stage.play(4.0)
    for n in range(40):
        stage.show.command("/tpos/cue", (1 + n % 2,))
        stage.play(stage.clock.now() + float(stage.rng.uniform(2.2, 4.5)))
    late = np.array([to_the_bar(at_s + frame_s / 2) for at_s in turns(stage.frames)])
    assert len(late) >= 38
    assert abs(late.mean()) <= redraw_s / 4
    effects = np.array([to_the_bar(at_s) for at_s in turns(stage.mirrors)])
    assert (effects >= -STEP_S).all()  # no sooner than their line
    assert effects.max() <= redraw_s + STEP_S


def test_a_late_display_is_shown_both_so_much_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(display_ms=80)
    stage = Stage(0.1, 1 / 60, monkeypatch, drawing_s=0.012)  # which is part of what was measured
    stage.play(4.0)
    stage.show.command("/tpos/cue", (1,))
    stage.play(9.0)
    assert to_the_bar(turns(stage.frames)[-1] + 0.05) == pytest.approx(-0.08 + 0.012, abs=1 / 60)
    assert to_the_bar(turns(stage.mirrors)[-1]) == pytest.approx(-0.08 + 0.012, abs=1 / 60)


def test_what_is_not_to_wait_is_seen_at_once_and_a_fader_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(0.1, 1 / 60, monkeypatch)
    stage.play(3.1)
    stage.show.command("/tpos/cue", (1,))
    stage.play(3.2)
    stage.show.command("/tpos/quantise", ("now",))
    stage.play(3.24)
    assert turns(stage.mirrors)[-1] == pytest.approx(3.2, abs=0.04)
    stage.show.set(quantise="bar")
    stage.show.command("/tpos/cue", (2,))
    stage.play(3.9)  # made by now, and not seen before 4
    assert stage.show.state.prompts[0].text == "fire"
    stage.show.command("/tpos/shader/zoom", (0.9,))
    drawn = stage.landing.drawn(stage.show.current(), stage.clock.now())
    assert drawn.shader.zoom == 0.9
    assert drawn.effects.mirror == "left"
