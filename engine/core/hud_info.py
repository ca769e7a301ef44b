"""What the operator is told: a value that needs no OpenGL, so that a show without a screen can make it too."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.beat_grid import ClockSource
from engine.core.course import Section
from engine.core.messages import Heard, LoraStrength, SoundState


@dataclass(frozen=True, slots=True)
class Health:
    """How an output fares."""

    sent: int = 0
    """Pictures that reached it."""
    dropped: int = 0
    """Pictures that it had no time for."""
    trouble: str = ""
    """One line on what is wrong, "" while all is well."""
    watchers: int | None = None
    """How many receive it, None where that cannot be known."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """One further output that the show was asked for."""

    name: str
    on: bool = True
    rate_hz: float = 0.0
    """Pictures a second that reached it of late."""
    health: Health = Health()

    @property
    def state(self) -> str:
        """In a word or a line: ok, off, unwatched, or what is wrong."""
        if not self.on:
            return "off"
        return self.health.trouble or ("unwatched" if self.health.watchers == 0 else "ok")


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
    outlets: tuple[Outlet, ...] = ()
