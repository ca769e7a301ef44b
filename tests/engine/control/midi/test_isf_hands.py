"""Inputs of users' effects under the hands: knobs in the ranges of their files, pads that fire and toggle."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import pytest
from midi_stage import Stage

from engine.control import isf_files
from engine.control.midi.targets import Target
from engine.core.isf import IsfLayer
from engine.core.messages import ShowState

INPUTS = [
    {"NAME": "amount", "TYPE": "float", "DEFAULT": 1.5, "MIN": 0.0, "MAX": 2.0},
    {"NAME": "mode", "TYPE": "long", "DEFAULT": 9, "VALUES": [1, 4, 9]},
    {"NAME": "on", "TYPE": "bool", "DEFAULT": True},
    {"NAME": "place", "TYPE": "point2D", "DEFAULT": [0.1, 0.9], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0]},
    {"NAME": "ink", "TYPE": "color", "DEFAULT": [0.0, 1.0, 0.0, 1.0]},
    {"NAME": "go", "TYPE": "event"},
]


@pytest.fixture
def rings(tmp_path: Path) -> IsfLayer:
    path = tmp_path / "my rings.fs"
    path.write_text(f"/*{json.dumps({'INPUTS': INPUTS})}*/\nvoid main() {{ gl_FragColor = vec4(1.0); }}\n")
    return IsfLayer(isf_files.read(path))


def values(state: ShowState) -> dict[str, tuple[float, ...]]:
    (layer,) = state.isf
    return {one.name: layer.value(one) for one in layer.file.header.values.values()} | {"mix": (layer.mix,)}


def played(rings: IsfLayer, control: str = "") -> Stage:
    """A device of one control, beside a show with the effect."""
    return Stage(control, isf=(rings,))


@pytest.mark.parametrize(
    ("target", "heard"),
    [
        ('amount"', {0: (0.0,), 64: (2 * 64 / 127,), 127: (2.0,)}),
        ('amount"\nlow = 0.5\nhigh = 1.0', {0: (0.5,), 127: (1.0,)}),
        ('mode"', {0: (1.0,), 64: (4.0,), 127: (9.0,)}),
        ('place"', {0: (0.0, 0.9), 127: (1.0, 0.9)}),
        ('ink"', {127: (1.0, 1.0, 0.0, 1.0)}),
        ('mix"', {0: (0.0,), 127: (1.0,)}),
    ],
)
def test_a_knob_has_the_range_of_its_input_and_moves_the_first_number(rings, target, heard):
    """As the header of the file has it; green and y stay as they were."""
    stage = played(rings, f'takeover = "jump"\n[[control]]\ncc = 7\ntarget = "/tpos/isf/my_rings/{target}')
    for place, value in heard.items():
        state = stage.send("control_change", control=7, value=place)
        assert values(state)[target.partition('"')[0]] == pytest.approx(value, abs=1e-5)


def test_a_knob_picks_its_input_up_and_an_encoder_turns_it_on_from_where_it_is(rings: IsfLayer):
    amount = 'cc = 7\ntarget = "/tpos/isf/my_rings/amount"'
    stage = played(rings, f"[[control]]\n{amount}")
    met = [values(stage.send("control_change", control=7, value=v))["amount"][0] for v in (0, 60, 96, 120)]
    assert met == pytest.approx([1.5, 1.5, 2 * 96 / 127, 2 * 120 / 127], abs=1e-5)
    stage = played(rings, f'[[control]]\nencoder = "twos complement"\nstep = 0.01\n{amount}')
    assert values(stage.send("control_change", control=7, value=3))["amount"] == pytest.approx((1.56,))


@pytest.mark.parametrize(
    ("kind", "number", "strength"), [("note_on", "note", "velocity"), ("control_change", "control", "value")]
)
def test_pads_that_were_taught_fire_events_and_toggle(rings, kind, number, strength):
    """An event counts how often it happened; the switch is on by default, and its light with it."""
    stage = played(rings)

    def press(pad: int, how: int) -> ShowState:
        stage.send(kind, **{number: pad, strength: 0})
        return stage.send(kind, **{number: pad, strength: how})

    for pad, name in enumerate(("go", "on")):
        taught = mido.Message(kind, **{number: pad, strength: 127})
        stage.device.learn(Target.of(f"/tpos/isf/my_rings/{name}"), taught, stage.show.state, 1.0)
    softly = 2 if kind == "note_on" else 64
    assert [values(press(0, softly))["go"][0] for _ in range(3)] == [1.0, 2.0, 3.0]
    assert [values(press(1, softly))["on"][0] for _ in range(3)] == [0.0, 1.0, 0.0]
    assert [said[2] for said in stage.lights()] == [0]
    press(1, softly)
    assert [said[2] for said in stage.lights()] == [127]


def test_a_fader_on_an_event_fires_it_once_each_time_it_comes_up(rings: IsfLayer):
    stage = played(rings, '[[control]]\ncc = 7\ntarget = "/tpos/isf/my_rings/go"')
    fired = [values(stage.send("control_change", control=7, value=v))["go"][0] for v in (0, 60, 90, 127, 100, 20, 70)]
    assert fired == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0]
