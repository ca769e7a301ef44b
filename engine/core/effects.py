"""What is laid over the picture after the reactive layer: the settings of the built-in effects.

Their order and what they do: `engine.render.effects.chain`. At its default each is off, and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from engine.core.parameters import Parameter


class Mirror(StrEnum):
    """Which half, or quarter, of the picture is seen in the rest of it."""

    OFF = "off"
    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"
    QUARTER = "quarter"


def _effect(doc: str, low: float = 0.0, high: float = 1.0, unit: str = "") -> Parameter:
    return Parameter(f"Effect: {doc}.", low, high, unit, "effects")


_TURN = "a turn in 16 beats at 1, in surges on the beat"


@dataclass(frozen=True, slots=True)
class EffectAmounts:
    """Everything about the built-in effects that the operator decides."""

    mirror: Annotated[Mirror, _effect("the half, or the upper left quarter, that the rest mirrors")] = Mirror.OFF
    kaleidoscope: Annotated[int, _effect("sectors of a kaleidoscope; 0 is none", 0, 16)] = 0
    kaleidoscope_turn: Annotated[float, _effect(f"what the kaleidoscope looks at turns, {_TURN}", -1.0)] = 0.0
    chromatic: Annotated[float, _effect("red and blue part from the middle outwards, further on every hit")] = 0.0
    trails_s: Annotated[float, _effect("time constant of the light that is left behind; 0 is none", 0.0, 10.0, "s")] = (
        0.0
    )
    trails_zoom: Annotated[float, _effect("trails flow outwards, below 0 inwards, in surges on the beat", -1.0)] = 0.0
    trails_turn: Annotated[float, _effect(f"trails turn, {_TURN}", -1.0)] = 0.0
    hue: Annotated[float, _effect("all hues turn; 1 is once around")] = 0.0
    hue_turn: Annotated[float, _effect(f"and go on turning, {_TURN}", -1.0)] = 0.0
    posterise: Annotated[int, _effect("levels of each primary colour; below 2 as many as there are", 0, 16)] = 0
    halftone: Annotated[float, _effect("printed in dots of cyan, magenta and yellow")] = 0.0
    halftone_dots: Annotated[int, _effect("dots from top to bottom of that print", 20, 200)] = 72
    film: Annotated[float, _effect("worn film: dust, scratches, weave, flicker, dark corners")] = 0.0
    strobe: Annotated[float, _effect("how dark it is between flashes; the flash limiter holds it", 0.0, 1.0)] = 0.0
    strobe_flashes: Annotated[int, _effect("flashes of the strobe in a beat", 1, 8)] = 1


NO_EFFECTS = EffectAmounts()
