"""Automatic gain: brings any mixer's level to what the analysis and the encoder expect, slowly."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from engine.audio import HOP_S
from tpos_models.audio.loudness import FLOOR_DB, PRESENT_DB, ROOM_DB, presence

TARGET_DB = -16.0
"""RMS of the louder moments after gain, 0 dB = full scale."""
RANGE_DB = (-12.0, 24.0)

ROOM_S = 120.0
"""Time constant of what a room is used to: longer than a build-up or a breakdown, shorter than a set."""

_WINDOW = round(1.0 / HOP_S)
_LOOK_BACK_S = 20
_LOUD_QUANTILE = 80
_UP_DB_PER_S, _DOWN_DB_PER_S, _FIRST_DB_PER_S = 2.0, 8.0, 40.0
_FIRST_S = 1.0


def decibels(power: float) -> float:
    """Mean square to dB, 0 dB = full scale, floor -90."""
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 1e-9 else FLOOR_DB


class AutoGain:
    """Follows the louder moments (loudness over 1 s) of the last 20 s; owned by the analysis thread.

    Up at 2 dB/s, down at 8 dB/s, faster only in the first second of sound, so that the music's own dynamics stay.
    Between -50 and -60 dB the gain fades out, and seconds below -50 dB teach it nothing.
    """

    def __init__(self) -> None:
        self.gain_db = 0.0
        """The gain in force, trim included."""
        self.auto_db = 0.0
        """The gain in force without the trim."""
        self.short_db = FLOOR_DB
        """Loudness over the last second, before gain."""
        self._powers: deque[float] = deque(maxlen=_WINDOW)
        self._wanted_db = 0.0
        self._loud_db: list[float] = []
        self._reference_db = TARGET_DB
        self._second_s, self._second_max_db = 0.0, FLOOR_DB
        self._active_s = 0.0

    def update(self, power: float, enabled: bool = True, trim_db: float = 0.0) -> float:
        """Take in one hop of mean square `power`; returns the factor to multiply its samples with.

        `trim_db` is the operator's, added on top; not `enabled` leaves the trim alone.
        """
        self._powers.append(power)
        self.short_db = decibels(sum(self._powers) / len(self._powers))
        if self.short_db > PRESENT_DB:
            self._active_s += HOP_S
            self._second_max_db = max(self._second_max_db, self.short_db)
        self._close_second()
        self._move()
        self.auto_db = self._believed_db() if enabled else 0.0
        self.gain_db = trim_db + self.auto_db
        return float(10 ** (self.gain_db / 20))

    def _believed_db(self) -> float:
        """What was learned, as far as the last second is believed to be the programme."""
        return self._wanted_db * presence(self.short_db) if self._wanted_db > 0 else self._wanted_db

    def _close_second(self) -> None:
        self._second_s += HOP_S
        if self._second_s < 1.0:
            return
        if self._second_max_db > FLOOR_DB:
            self._loud_db = [*self._loud_db[1 - _LOOK_BACK_S :], self._second_max_db]
            self._reference_db = float(np.percentile(self._loud_db, _LOUD_QUANTILE))
        self._second_s, self._second_max_db = 0.0, FLOOR_DB

    def _move(self) -> None:
        if self.short_db <= PRESENT_DB:
            return
        first = self._active_s < _FIRST_S
        reference_db = self._second_max_db if first else self._reference_db
        wanted = min(max(TARGET_DB - reference_db, RANGE_DB[0]), RANGE_DB[1])
        up, down = (_FIRST_DB_PER_S, _FIRST_DB_PER_S) if first else (_UP_DB_PER_S, _DOWN_DB_PER_S)
        self._wanted_db += min(max(wanted - self._wanted_db, -down * HOP_S), up * HOP_S)


class RoomLevel:
    """What the input's loudness usually is: a mean in dB over minutes of sound; owned by the analysis thread."""

    def __init__(self) -> None:
        self.level_db = ROOM_DB

    def update(self, short_db: float) -> None:
        """Take in one hop, at which the loudness over the last second was `short_db`; silence teaches nothing."""
        if short_db > PRESENT_DB:
            self.level_db += (short_db - self.level_db) * -math.expm1(-HOP_S / ROOM_S)
