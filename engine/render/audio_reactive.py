"""How the music moves the reactive layer: features in, uniforms out, eased in seconds whatever the frame rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from engine.core.messages import AudioFeatures, ShaderAmounts

ATTACK_S = 0.012
"""Rise of every pulse: below one frame at 60 Hz, so a hit is on the screen at the next swap, yet never a jump cut."""


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
    grain: float = 0.0
    """Peak deviation in code values, 0..1."""
    local: float = 0.0
    """How far all of it but the grain keeps to where the sound is drawn: 0 is everywhere, 1 nowhere else."""

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


class AudioReactiveLayer:
    """The eased state of the layer that answers the music; owned by the thread that draws."""

    def __init__(self) -> None:
        self._hit = Ease(ATTACK_S, 0.16)
        self._beat = Ease(ATTACK_S, 0.12)
        self._bass = Ease(0.05, 0.35)
        self._high = Ease(0.02, 0.25)
        self._level = Ease(0.05, 0.6)
        self._balance = Ease(0.5, 0.5)
        self._phase = 0.0

    def step(self, features: AudioFeatures, amounts: ShaderAmounts, dt_s: float) -> Look:
        """Advance by `dt_s` seconds and say how to draw."""
        bass, _, high_mid, high = features.bands
        hit = self._hit.step(1.0 if features.hit else features.onset, dt_s)
        beat = self._beat.step(features.pulse, dt_s)
        bass = self._bass.step(bass, dt_s)
        high = self._high.step(max(high, 0.7 * high_mid), dt_s)
        level = self._level.step(features.level, dt_s)
        balance = self._balance.step((features.bands[0] - high) * level, dt_s)
        self._phase = (self._phase + dt_s * (0.5 + 1.5 * bass)) % (2000 * math.pi)
        colour = amounts.colour
        return Look(
            zoom=1.0 + 0.14 * amounts.zoom * hit + 0.08 * amounts.beat_pulse * beat,
            warp=0.05 * amounts.warp * bass,
            warp_phase=self._phase,
            glow=amounts.glow * (0.2 * level + 0.6 * high + 0.35 * hit),
            colour=colour_matrix(math.radians(35.0) * colour * balance, 1.0 + colour * (0.5 * level + 0.35 * hit)),
            grain=amounts.grain * (0.04 + 0.12 * high),
            local=amounts.local,
        )
