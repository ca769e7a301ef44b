"""How loud a sound is, in dB of full scale and beside what its room is used to."""

from __future__ import annotations

import numpy as np

FLOOR_DB = -90.0
SILENCE_DB, PRESENT_DB = -60.0, -50.0
"""Below the one nothing is heard, above the other all of it is the programme and not the noise of the input."""
ROOM_DB = -14.0
"""RMS of loud music: what a room is taken for before it is known."""
DOUBLED_DB, MOST = 12.0, 1.25


def loudness_db(samples: np.ndarray) -> float:
    """RMS level, 0 dB = full scale (RMS 1), at least FLOOR_DB; to 0.001 dB, whatever the samples' order."""
    power = (
        float(np.mean(np.square(np.nan_to_num(samples, posinf=0, neginf=0), dtype=np.float64))) if samples.size else 0
    )
    return max(FLOOR_DB, round(10 * float(np.log10(max(power, 1e-12))), 3))


def presence(level_db: float) -> float:
    """How far a sound of RMS `level_db` is believed to be the programme, 0..1: fades out towards silence."""
    return min(max((level_db - SILENCE_DB) / (PRESENT_DB - SILENCE_DB), 0.0), 1.0)


def strength(level_db: float, room_db: float = ROOM_DB) -> float:
    """How strong a sound of RMS `level_db` is where `room_db` is usual, 0..1.25.

    1 at the usual level, twice as much for every 12 dB (the root of the amplitude), faded out towards silence.
    """
    return presence(level_db) * min(2 ** ((level_db - room_db) / DOUBLED_DB), MOST)
