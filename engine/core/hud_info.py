"""What the operator is told: a value that needs no OpenGL, so that a show without a screen can make it too."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.beat_grid import ClockSource
from engine.core.course import Section
from engine.core.messages import Heard, LoraStrength, SoundState


@dataclass(frozen=True, slots=True)
class HudInfo:
    """One moment of the show in the operator's words. `level` and `beat_phase` as in `AudioFeatures`."""

    fps: float = 0.0
    delay_ms: float = 0.0
    level: float = 0.0
    state: SoundState = SoundState.OK
    bpm: float = 0.0
    beat_phase: float = 0.0
    heard: tuple[Heard, ...] = ()
    prompt: str = ""
    recording_s: float | None = None
    message: str = ""
    frozen: bool = False
    blackout: bool = False
    loras: tuple[LoraStrength, ...] = ()
    section: Section = Section.NONE
    clock: ClockSource = ClockSource.EAR
