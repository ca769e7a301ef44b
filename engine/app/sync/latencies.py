"""What `tpos sync` found on this machine, kept beside presets, and how much sooner than heard a beat is to be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from engine.control.presets import MAX_FILE_BYTES, user_directory
from engine.control.schema import decode_toml, read_bounded, write_toml

LARGEST_MS = 510.0
"""Half of the test's period, and a little."""
Milliseconds = Annotated[float, msgspec.Meta(ge=-LARGEST_MS, le=LARGEST_MS)]


class Latencies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of this machine's display and sound, in milliseconds; 0 where they were never measured."""

    display_ms: Milliseconds = 0.0
    """How much later than the sound that was played for the same moment a picture is seen."""
    loopback_ms: Milliseconds = 0.0
    """How much later than the devices say a sound that was played comes back in through the input."""

    def lead_s(self, heard: bool) -> float:
        """How much sooner a picture is to be drawn, to be seen at its time; `heard`: a time that the input told.

        What the input is late is part of it, what the loudspeakers are late cancels: display - output + output + input.
        """
        return (self.display_ms + heard * self.loopback_ms * bool(self.display_ms)) / 1000


def latencies_file() -> Path:
    """Where they are kept."""
    return user_directory().parent / "latencies.toml"


def read_latencies() -> Latencies:
    """Those that are kept; zeros where none are. Raises PresetError for a file that is none."""
    path = latencies_file()
    if not path.exists():
        return Latencies()
    return decode_toml(read_bounded(path, MAX_FILE_BYTES, "file of latencies"), Latencies, str(path))


def keep(**measured_ms: float) -> Latencies:
    """Keep what was measured beside what is known; all that is known now. Raises PresetError, StorageError."""
    known = msgspec.structs.replace(read_latencies(), **{name: round(ms, 1) for name, ms in measured_ms.items()})
    write_toml(latencies_file(), known)
    return known
