"""What breaks a silence begins on a beat, and on the first of a bar: kept until what is heard says otherwise clearly.

A bass line or a synthesiser alone fits a grid as well as the one half a beat beside it. Who hears it begin takes its
first note for one, and counts on: what is repeated says nothing new.
"""

from __future__ import annotations

import math

from tpos_models.beats.bands import HOP_S

_QUIET_POWER = 1e-6
"""Sum of squared magnitudes; about -60 dB of full scale."""
_QUIET_HOPS = round(1.0 / HOP_S)
_ATTACK_HOPS, _RISE = round(0.3 / HOP_S), 30.0
"""So soon after it a sound so many times stronger is the beginning."""
_NEAR = 0.15
"""How far, in beats, the beginning may be from a beat or from the middle between two."""
_OVERRULED = 2.5
"""Log odds by which the network must find beats likelier half a beat beside."""
_NEWEST = 1 / 8
_RECKONED_HOPS = round(60 / HOP_S)
"""For so long beats are counted from the beginning by a tempo that is as exact as a loop's."""
_ANY_TEMPO = 24
"""So many beats after the beginning is a beat, and the first of a bar, at half or twice the tempo, too."""


class Opening:
    """What a beginning says of beats; owned by the thread that pushes.

    `believed` from a beginning on, until it is overruled or no beat is near.
    """

    def __init__(self) -> None:
        self.believed = False
        self.began = False
        """In this hop."""
        self._quiet_hops = _QUIET_HOPS
        self._since_hops = self._began_hops = math.inf
        self._power = 0.0
        self._beats, self._beside = 0, 0.0

    def push(self, power: float) -> None:
        """A hop whose squared magnitudes sum to `power`; silence comes before the first."""
        self._since_hops += 1
        self._began_hops += 1
        loud = power > _QUIET_POWER
        swells = self._since_hops < _ATTACK_HOPS and power > _RISE * self._power
        self.began = loud and (self._quiet_hops >= _QUIET_HOPS or swells)
        if self.began:
            self.believed, self._since_hops, self._power, self._beside = True, 0.5, power, 0.0
            self._began_hops = 1.0  # half a hop ago, and half a hop until a beat is announced
        self._quiet_hops = 0 if loud else self._quiet_hops + 1

    def since(self, period: float) -> float | None:
        """How many beats of `period` hops ago the sound began; None: too long ago to be reckoned."""
        return self._began_hops / period if self._began_hops < _RECKONED_HOPS else None

    def place(self, phase: float, period: float) -> tuple[float, int | None]:
        """`phase`, or half a beat beside it, whichever has a beat where a bar began; and how many beats ago.

        `period` in hops. Where the beginning is near neither it says nothing more: None.
        """
        ago = self._since_hops / period
        off = (ago - phase + 0.5) % 1 - 0.5 if self.believed else 0.0
        self.believed = self.believed and (abs(off) < _NEAR or abs(off) > 0.5 - _NEAR)
        placed = (phase + 0.5) % 1 if self.believed and abs(off) > 0.25 else phase
        if not self.believed:
            return phase, None
        self._beats, self._beside = round(ago - placed), 0.0
        return placed, self._beats

    def beat(self) -> None:
        """A beat falls where it is expected: from some of them on is reckoned, lest errors of the tempo add up."""
        self._beats += 1
        if self._beats % _ANY_TEMPO == 0:
            self._since_hops = 0.5

    def weigh(self, more: float) -> None:
        """By how much, in log odds, the network finds the newest beat likelier half a beat beside where it fell."""
        self._beside += _NEWEST * (more - self._beside)
        self.believed = self.believed and self._beside < _OVERRULED
