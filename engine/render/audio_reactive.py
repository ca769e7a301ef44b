"""How the music moves the reactive layer: features in, uniforms out, eased in seconds whatever the frame rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from engine.core.course import Section
from engine.core.messages import AudioFeatures, ShaderAmounts

ATTACK_S = 0.012
"""Rise of every pulse: below one frame at 60 Hz, so a hit is on the screen at the next swap, yet never a jump cut."""
STEADY, LURCH_BEATS = 0.25, 0.08
"""Share of its way that the camera goes evenly, and the time constant of the rest."""
FLY_OCTAVES, TURN_RAD = 0.25, 2 * math.pi / 24
"""How far a beat takes the camera at full amounts and motion: an octave in a bar of four, a turn in six."""
SWAY_RAD, SWAY_SHIFT = 0.07, 0.03
FREE_HZ, HIT_HZ = 0.4, 2.0
"""Beats a second that pass for the camera where there is no tempo, and more in the wake of a hit."""
BUILD_HURRY, DROP_HURRY, BREATH_PACE = 1.5, 0.75, 0.5
DROP_OCTAVES, DROP_RAD, LANDING_S = 0.5, math.pi / 3, 0.2
HOME_S, AT_HOME = 0.5, 1e-3
MOST_LATE_S = 0.25
"""A beat is foretold for so long after the newest sound: an input that has stopped has none."""
MOST_BEATS = 1.5
"""A way that is longer from one redraw to the next is not gone: another beat is counted."""


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera is: a change of coordinates about the picture's middle, by default none."""

    fly: float = 0.0
    """Octaves of magnification on the way from the picture to itself again, 0..1."""
    turn: float = 0.0
    """Radians that the picture is turned, clockwise."""
    shift: float = 0.0
    """How far to the left the picture is moved, as a fraction of its height."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the shaders are told for one redraw. All amounts 0 give the neutral look, which draws the plain picture."""

    zoom: float = 1.0
    """Magnification about the centre, >= 1."""
    warp: float = 0.0
    """Largest displacement as a fraction of the picture's height."""
    warp_phase: float = 0.0
    """Radians; runs on with time, faster when the bass is up."""
    glow: float = 0.0
    """Weight of the blurred bright parts."""
    colour: np.ndarray = field(default_factory=lambda: np.eye(3, dtype=np.float32))
    """Matrix (3, 3) on RGB code values; keeps grey grey."""
    lift: float = 0.0
    """How much brighter dark parts get, 0..1, in their own hue and saturation; white stays."""
    grain: float = 0.0
    """Peak deviation in code values, 0..1."""
    local: float = 0.0
    """How far all of it but grain and camera keeps to where the sound is drawn: 0 is everywhere, 1 nowhere else."""
    view: View = View()

    @property
    def everywhere(self) -> float:
        """The part of the zoom that all of the picture has."""
        return 1.0 + (1.0 - self.local) * (self.zoom - 1.0)

    @property
    def swell(self) -> float:
        """The part of the zoom that only what the sound draws has."""
        return 1.0 + self.local * (self.zoom - 1.0)


NEUTRAL = Look()


@dataclass
class Ease:
    """A value that rises within `attack_s` and falls within `release_s` (time constants), exactly so at any step."""

    attack_s: float
    release_s: float
    value: float = 0.0

    def step(self, target: float, dt_s: float) -> float:
        """Move towards `target` for `dt_s` seconds; returns the new value."""
        tau = self.attack_s if target > self.value else self.release_s
        self.value += (target - self.value) * -math.expm1(-dt_s / tau)
        return self.value


_LUMA = np.array([0.2126, 0.7152, 0.0722])


def colour_matrix(hue_rad: float, saturation: float) -> np.ndarray:
    """Turn hue about the grey axis and scale saturation about luma; (3, 3) float32, identity for (0, 1)."""
    c, s = math.cos(hue_rad), math.sin(hue_rad)
    third = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    rotate = c * np.eye(3) + (1 - c) * third + s * cross
    grey = np.tile(_LUMA, (3, 1))
    return ((saturation * np.eye(3) + (1 - saturation) * grey) @ rotate).astype(np.float32)


def foretold(features: AudioFeatures, now_s: float) -> AudioFeatures:
    """With beat and bar carried on at the tempo from the newest hop to `now_s`."""
    return features.carried(min(max(now_s - features.time_s, 0.0), MOST_LATE_S))


def lurched(beats: float) -> float:
    """A way of one a beat, most of it right after each: equal to `beats` at every whole one, and never at rest."""
    whole = math.floor(beats)
    phase = beats - whole
    return whole + STEADY * phase + (1 - STEADY) * math.expm1(-phase / LURCH_BEATS) / math.expm1(-1 / LURCH_BEATS)


def breathed(bars: float) -> float:
    """A way of one a bar that comes to rest at every bar line."""
    return bars - math.sin(2 * math.pi * bars) / (2 * math.pi)


class Camera:
    """How the music moves the view; owned by the thread that draws.

    Where there is a tempo its way is a function of beat and bar, else it drifts, and a hit pushes it. A build-up
    hurries it, a drop throws it on, in a breakdown it breathes by the bar. What is turned off goes home.
    """

    def __init__(self) -> None:
        self._ways: tuple[float, float] | None = None
        self._fly = self._turn = 0.0
        self._breath = Ease(0.5, 0.5)
        self._sections = 0
        self._landing = 0.0

    def step(self, features: AudioFeatures, amounts: ShaderAmounts, dt_s: float, motion: float, hit: float) -> View:
        """The view `dt_s` seconds on, where the picture moves by `motion` 0..1 and the newest hit still counts 0..1."""
        beats = motion * self._beats(features, dt_s, hit)
        landed = motion * self._landed(features, dt_s)
        self._fly = self._moved(self._fly, amounts.fly, FLY_OCTAVES * beats + DROP_OCTAVES * landed, 1.0, dt_s)
        turned = TURN_RAD * beats + DROP_RAD * landed
        self._turn = self._moved(self._turn, amounts.turn, turned, 2 * math.pi, dt_s)
        along = (features.bar_beat + lurched(features.beat_phase)) / features.beats_per_bar
        sway = amounts.sway * motion * features.in_time * math.sin(2 * math.pi * along)
        return View(self._fly % 1.0, (self._turn + SWAY_RAD * sway) % (2 * math.pi), SWAY_SHIFT * sway)

    @property
    def landing(self) -> float:
        """1 at a drop, gone a second later."""
        return self._landing

    def _beats(self, features: AudioFeatures, dt_s: float, hit: float) -> float:
        """Beats of way since the step before."""
        bars = features.bar + (features.bar_beat + features.beat_phase) / features.beats_per_bar
        ways = lurched(features.beat + features.beat_phase), features.beats_per_bar * breathed(bars)
        lurch, breath = (_gone(*way) for way in zip(ways, self._ways or ways, strict=True))
        self._ways = ways
        slow = self._breath.step(features.breakdown, dt_s)
        hurry = 1.0 + BUILD_HURRY * features.build + DROP_HURRY * features.drop
        timed = (1 - slow) * hurry * lurch + slow * BREATH_PACE * breath
        return features.in_time * timed + (1 - features.in_time) * dt_s * (FREE_HZ + HIT_HZ * hit)

    def _landed(self, features: AudioFeatures, dt_s: float) -> float:
        """The part of a drop's throw since the step before; all parts are 1."""
        if features.sections != self._sections:
            self._sections = features.sections
            self._landing = 1.0 if features.section is Section.DROP else self._landing
        before, self._landing = self._landing, self._landing * math.exp(-dt_s / LANDING_S)
        return before - self._landing

    @staticmethod
    def _moved(place: float, amount: float, way: float, round_trip: float, dt_s: float) -> float:
        """`place` moved on by its `amount` of the `way`; home, the nearer way round, where that is 0."""
        if amount:
            return (place + amount * way) % round_trip
        off = math.remainder(place, round_trip) * math.exp(-dt_s / HOME_S)
        return off if abs(off) > AT_HOME else 0.0


def _gone(now: float, before: float) -> float:
    """From one place on a way to the next; nothing where the way itself is another."""
    return now - before if abs(now - before) < MOST_BEATS else 0.0


class AudioReactiveLayer:
    """The eased state of the layer that answers the music; owned by the thread that draws."""

    def __init__(self) -> None:
        self.camera = Camera()
        self._hit = Ease(ATTACK_S, 0.16)
        self._beat = Ease(ATTACK_S, 0.12)
        self._bass = Ease(0.05, 0.35)
        self._high = Ease(0.02, 0.25)
        self._level = Ease(0.05, 0.6)
        self._balance = Ease(0.5, 0.5)
        self._phase = 0.0

    def step(self, features: AudioFeatures, amounts: ShaderAmounts, dt_s: float, motion: float = 0.5) -> Look:
        """Advance by `dt_s` seconds and say how to draw; without `motion` (0..1) a steady sound moves nothing."""
        bass, _, high_mid, high = features.bands
        hit = self._hit.step(1.0 if features.hit else features.onset, dt_s)
        beat = self._beat.step(features.pulse, dt_s)
        bass = self._bass.step(bass, dt_s)
        high = self._high.step(max(high, 0.7 * high_mid), dt_s)
        level = self._level.step(features.level, dt_s)
        balance = self._balance.step((features.bands[0] - high) * level, dt_s)
        self._phase = (self._phase + dt_s * motion * (1.0 + 3.0 * bass)) % (2000 * math.pi)
        colour = amounts.colour
        view = self.camera.step(features, amounts, dt_s, motion, hit)
        landing = 0.2 * self.camera.landing
        return Look(
            zoom=1.0 + amounts.zoom * (0.14 * hit + landing) + 0.08 * amounts.beat_pulse * beat,
            warp=0.05 * amounts.warp * bass,
            warp_phase=self._phase,
            glow=amounts.glow * (0.2 * level + 0.6 * high + 0.35 * hit),
            colour=colour_matrix(math.radians(35.0) * colour * balance, 1.0 + colour * (0.5 * level + 0.35 * hit)),
            lift=0.8 * amounts.beat_pulse * beat,
            grain=amounts.grain * (0.04 + 0.12 * high),
            local=amounts.local,
            view=view,
        )
