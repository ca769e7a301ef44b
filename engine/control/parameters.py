"""The one table of parameters, walked from the show state, and a state with other values in it.

Presets (`presets`), OSC (`addresses`), the command line (`engine.app.options`) and the reference (`reference`) read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.messages import ShowState
from engine.core.parameters import Curve, Kind, Parameter, walk

PARAMETERS: Mapping[str, Parameter] = {parameter.name: parameter for parameter in walk(ShowState)}
"""Every parameter by its name: "motion", "shader.zoom"."""


def value_of(state: ShowState, name: str) -> Any:
    """A parameter's value in a state."""
    value: Any = state
    for part in name.split("."):
        value = getattr(value, part)
    return value


def with_values(state: ShowState, values: Mapping[str, Any]) -> ShowState:
    """The state with other values, by field or by parameter name."""
    nested: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if inner:
            nested.setdefault(outer, {})[inner] = _typed(name, value)
        else:
            plain[name] = _typed(name, value)
    changed = {outer: replace(getattr(state, outer), **inner) for outer, inner in nested.items()}
    return replace(state, **plain, **changed)


def with_loras(state: ShowState, strengths: Mapping[str, float]) -> ShowState:
    """The state with other strengths of those of its LoRAs that are named."""
    return replace(
        state, loras=tuple(replace(one, strength=strengths.get(one.name, one.strength)) for one in state.loras)
    )


def _typed(name: str, value: Any) -> Any:
    """Text that is one of a few words becomes the field's own enum."""
    choice = PARAMETERS[name].choices if name in PARAMETERS else ()
    return type(value_of(ShowState(), name))(value) if choice else value


def from_control(parameter: Parameter, value: Any) -> Any:
    """What a control surface sent, in the parameter's own unit."""
    if parameter.kind is not Kind.FLOAT:
        return value
    if parameter.curve is Curve.NORMALISED:
        value = round(parameter.low + value * (parameter.high - parameter.low), 3)
    return value if value >= parameter.off_below or parameter.low < 0 else 0.0


def to_control(parameter: Parameter, value: Any) -> Any:
    """A value in the parameter's own unit as a control surface sends it."""
    if parameter.curve is Curve.NORMALISED:
        return (value - parameter.low) / (parameter.high - parameter.low)
    return str(value) if parameter.choices else value
