"""The course of a track: its bars and sections, and what of its movement a rule can follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """Where a track stands: it thins out, it rises, or everything comes back; NONE: nowhere in particular."""

    NONE = "none"
    BREAKDOWN = "breakdown"
    BUILD = "build"
    DROP = "drop"


class Follow(StrEnum):
    """What of the music's movement a rule can follow; each 0..1 in `AudioFeatures.strength`."""

    LEVEL = "level"
    BASS = "bass"
    MID = "mid"
    HIGH_MID = "high_mid"
    HIGH = "high"
    ONSET = "onset"
    BEAT = "beat"
    BREAKDOWN = "breakdown"
    BUILD = "build"
    DROP = "drop"


OF_STEMS = (Follow.LEVEL, Follow.BASS, Follow.MID, Follow.HIGH_MID, Follow.HIGH, Follow.ONSET)
"""What a stem has of its own; time is kept by the main mix."""

SECTIONS = {"breakdown": Follow.BREAKDOWN, "build-up": Follow.BUILD, "drop": Follow.DROP}
"""What a rule may hear that is no phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a track stands, in one analysis hop."""

    bar: int = 0
    """Bars counted since the start: changes exactly at a downbeat."""
    bar_beat: int = 0
    """Beats since the downbeat: 0 at it."""
    beats_per_bar: int = 4
    section: Section = Section.NONE
    sections: int = 0
    """Sections begun since the start: changes exactly when one begins."""
    drops: int = 0
    """Drops begun since the start."""
    section_s: float = 0.0
    """When the newest one began, a bar line where there is a tempo: it is recognised a little later."""
    breakdown: float = 0.0
    """1 through a breakdown."""
    build: float = 0.0
    """Rises 0..1 through a build-up."""
    drop: float = 0.0
    """1 at the drop, gone four bars later."""
