"""Controllers as somebody sees them who is not at them: which are there, what they move, what is being learned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one knob or button moves."""

    address: str
    place: str
    """As a person says it: "cc 7 on channel 1"."""
    map: str
    """Its map's name, which is its device's where nobody chose another."""
    value: str = ""
    """What a button says; "" where it presses, toggles or is turned."""


@dataclass(frozen=True, slots=True)
class MidiView:
    """All controllers at one moment."""

    ports: tuple[str, ...] = ()
    learning: str = ""
    """The address that the next knob or button moved is mapped to, "" for none."""
    value: str = ""
    """What that button is to say, "" for nothing of its own."""
    mapped: tuple[Mapped, ...] = ()
    unsaved: bool = False
    """Something was learned or forgotten that no file has."""
