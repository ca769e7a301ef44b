"""How the music moves the effects: what turns, flows, flashes and parts, in seconds and beats, at any frame rate."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.messages import AudioFeatures, SoundState
from engine.render.audio_reactive import ATTACK_S, Ease

STEADY_BPM = 120.0
"""What moves with the beat moves at this while there is no tempo."""
SURGE = 0.6
"""The part of a beat's motion that lies in the surge upon it, over by the middle of the beat."""
LIT, GONE = 0.3, 0.45
"""A strobe is fully lit from the beginning of its period on, and dark from there on."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One redraw's step."""

    dt_s: float
    step: float
    """Beats since the last redraw: one a beat, most of it in a surge right after the beat."""
    hit: float
    """1 at an onset, gone in a moment."""
    phase: float
    """Of the beat, 0..1; of a steady one where there is no tempo, 0 in silence."""

    def flash(self, per_beat: int) -> float:
        """How bright the lamp of a strobe is, 0..1; in silence it is lit."""
        into = (self.phase * per_beat) % 1.0
        return min(1.0, max(0.0, (GONE - into) / (GONE - LIT)))


class Motion:
    """Owned by the thread that draws."""

    def __init__(self) -> None:
        self._hit = Ease(ATTACK_S, 0.16)
        self._steady = 0.0
        self._at: float | None = None
        """The place in the beats that were counted."""

    def step(self, features: AudioFeatures, dt_s: float) -> Moved:
        """Advance by `dt_s` seconds."""
        steady, at = dt_s * STEADY_BPM / 60.0, features.beat + surged(features.beat_phase)
        gone = at - self._at if self._at is not None else 0.0
        counted = gone if 0.0 < gone < 1.0 else 0.0  # a beat or more between two redraws is a freeze
        step, self._at = (counted, at) if features.bpm > 0.0 else (steady, None)
        self._steady = (self._steady + steady) % 1.0
        hit = self._hit.step(1.0 if features.hit else features.onset, dt_s)
        silent = features.state in (SoundState.SILENCE, SoundState.LOST)
        phase = 0.0 if silent else features.beat_phase if features.bpm > 0.0 else self._steady
        return Moved(dt_s, step, hit, phase)


def surged(phase: float) -> float:
    """How far a beat's motion has come at a phase of it, 0..1."""
    return (1.0 - SURGE) * phase + SURGE * (1.0 - max(0.0, 1.0 - 2.0 * phase) ** 3)
