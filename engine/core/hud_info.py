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


MOST_KNOTS = 8
"""Points of a mapping's mesh, a side."""
MOST_POINTS = 4 + MOST_KNOTS**2


@dataclass(frozen=True, slots=True)
class MappingView:
    """How outputs lie on the wall, for those who set that up from afar."""

    venue: str
    outputs: tuple[tuple[str, int, int], ...]
    """Those that can be mapped: name, width and height in pixels."""
    unsaved: bool = False
    """Something was moved that the venue's file has not."""
    output: str = ""
    """The one that is set up, "" for none; the rest is of it."""
    point: int = 1
    """The chosen one of `points`."""
    pattern: bool = False
    points: tuple[tuple[float, float], ...] = ()
    """Where they are on it, from its top left: its corners clockwise, then its mesh's, row by row."""
    columns: int = 0
    """Of the mesh; 0: there is none."""
    rows: int = 0
    curve: str = ""


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
