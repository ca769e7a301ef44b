"""General MIDI's sounds as the instruments an ear tells apart."""

from __future__ import annotations

from collections.abc import Mapping

DRUM_CHANNEL = 9

PROGRAMS: Mapping[str, tuple[range, ...]] = {
    "piano": (range(0, 6),),
    "bells": (range(8, 16), range(112, 113), range(114, 115)),
    "organ": (range(16, 21),),
    "guitar_acoustic": (range(24, 26),),
    "guitar_clean": (range(26, 29), range(31, 32)),
    "guitar_distorted": (range(29, 31),),
    "bass": (range(32, 38),),
    "synth_bass": (range(38, 40),),
    "strings": (range(40, 46), range(48, 52)),
    "choir": (range(52, 55),),
    "brass": (range(56, 64),),
    "woodwind": (range(64, 80),),
    "synth_lead": (range(80, 88),),
    "synth_pad": (range(88, 96),),
}
"""Ranges of General MIDI's programs, from 0."""
_DRUMS: Mapping[str, tuple[tuple[int, ...], float]] = {
    "kick": ((35, 36), 0.25),
    "snare": ((38, 40), 0.25),
    "clap": ((39,), 0.2),
    "hi_hat": ((42, 44, 46), 0.12),
    "cymbal": ((49, 51, 52, 53, 55, 57, 59), 1.0),
    "tom": ((41, 43, 45, 47, 48, 50), 0.4),
    "percussion": ((37, 54, 56, *range(60, 82)), 0.2),
}
INSTRUMENTS = (*_DRUMS, *PROGRAMS)
_BY_PROGRAM = {program: name for name, ranges in PROGRAMS.items() for each in ranges for program in each}
_BY_DRUM = {note: (name, seconds) for name, (notes, seconds) in _DRUMS.items() for note in notes}


def of_program(program: int) -> str | None:
    """The instrument of a program 0..127; None for effects and what has no name here, as harp or sitar."""
    return _BY_PROGRAM.get(program)


def of_drum(note: int) -> tuple[str, float] | None:
    """The instrument of a note on the drum channel, and for how many seconds it is heard; None for what has no name."""
    return _BY_DRUM.get(note)
