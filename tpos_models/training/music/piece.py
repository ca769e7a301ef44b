"""What a render's labels say, and the file they lie in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from tpos_models.errors import ModelError

T = TypeVar("T")
KINDS = ("intro", "verse", "breakdown", "build", "drop")
"""A drop is where everything comes back after a breakdown or a build-up, whatever the style."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The truth about a piece of music; all times in seconds since the render's first sample, ascending."""

    name: str
    style: str
    seconds: float
    meter: tuple[int, int]
    """Numerator and denominator of the first bar; in 6/8 a beat is a dotted quarter."""
    beats_s: tuple[float, ...]
    downbeats_s: tuple[float, ...]
    """Empty where the bar lines of a file could not be trusted."""
    sections: tuple[tuple[float, float, str], ...]
    """(start, end, one of `KINDS`); empty for what was not composed here."""
    instruments: dict[str, list[tuple[float, float, float]]]
    """For each of `general_midi.INSTRUMENTS` that plays, its notes: (start, end, amplitude 0..1).

    The end is the key's release, for drums a nominal one.
    """

    @property
    def bpm(self) -> float:
        """The median tempo in beats a minute."""
        gaps = sorted(b - a for a, b in zip(self.beats_s, self.beats_s[1:], strict=False))
        return 60 / gaps[len(gaps) // 2] if gaps else 0.0

    def save(self, path: Path) -> None:
        """Write it as JSON, with its `bpm` for who reads it elsewhere."""
        path.write_bytes(msgspec.json.encode({**asdict(self), "bpm": self.bpm}))

    @classmethod
    def load(cls, path: Path) -> Piece:
        """What `save` wrote; raises `ModelError`."""
        return read_labels(path, cls)


def read_labels(path: Path, kind: type[T]) -> T:
    """Labels beside a sound, JSON, as `kind`, every value checked; raises `ModelError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}; labels as `tpos music` writes them would be accepted") from error
