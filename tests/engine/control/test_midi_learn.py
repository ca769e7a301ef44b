"""What a controller is taught: knobs, encoders, fine ones and pads; what it forgets, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import mido
import pytest
from midi_stage import Stage
from msgspec import UNSET

from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.midi import maps
from engine.control.midi.targets import Target
from engine.control.parameters import PARAMETERS
from engine.control.show import Show
from engine.core.parameters import Parameter

SPOKEN = {"twos complement": (1, 127), "signed bit": (1, 65), "binary offset": (65, 63)}
"""What endless encoders say for one step to the right and one to the left."""


@pytest.mark.parametrize(("encoder", "right", "left"), [(one, *said) for one, said in SPOKEN.items()], ids=SPOKEN)
def test_an_endless_encoder_is_learned_as_one_and_moves_nothing_by_leaps(encoder: str, right: int, left: int) -> None:
    stage = Stage("", motion=0.5)
    turn = mido.Message("control_change", control=20, value=right)
    stage.device.learn(Target.of("motion"), turn, stage.show.state, 4.9)
    heard = [stage.turn(value, cc=20)[0] for value in (right, right, right, right, left, left, right)]
    assert all(0.45 < motion < 0.55 for motion in heard)
    (control,) = stage.device.map.file.controls
    assert control.encoder == encoder
    before = stage.show.state.motion
    assert stage.turn(right, right, left, cc=20) == pytest.approx([before + 0.01, before + 0.02, before + 0.01])


@pytest.mark.parametrize("encoder", ["twos complement", "binary offset"])
def test_an_encoder_is_known_by_its_turns_to_the_left_too(encoder: str) -> None:
    right, left = SPOKEN[encoder]
    stage = Stage("", motion=0.5)
    turn = mido.Message("control_change", control=20, value=left)
    stage.device.learn(Target.of("motion"), turn, stage.show.state, 4.9)
    stage.turn(left, left, left, right, cc=20)
    assert [one.encoder for one in stage.device.map.file.controls] == [encoder]


@pytest.mark.parametrize(
    "way", [range(0, 20), range(127, 100, -1), range(60, 90), (0, 1, 0, 1, 2, 3, 5, 7, 9), (0, 127)]
)
def test_a_knob_with_ends_is_never_taken_for_an_encoder(way: Iterable[int]) -> None:
    first, *rest = way
    stage = Stage("", motion=0.5)
    turn = mido.Message("control_change", control=20, value=first)
    stage.device.learn(Target.of("motion"), turn, stage.show.state, 4.9)
    assert stage.turn(*rest, cc=20)[-1] == pytest.approx(rest[-1] / 127, abs=1e-6)
    assert stage.device.map.file.controls[0].encoder is UNSET


def test_a_pad_is_taught_what_it_says_and_forgets_it() -> None:
    stage = Stage("[[control]]\ncc = 1\ntarget = '/tpos/preset'\nbutton = true\nvalue = 'look'")
    for note, address, value in ((36, "/tpos/preset", "other"), (37, "/tpos/cue", 2.0)):
        pad = mido.Message("note_on", note=note, velocity=9)
        stage.device.learn(Target.of(address), pad, stage.show.state, 0.0, Target.of(address).read(f"{value}"))
    assert stage.send("note_on", note=36, velocity=9).preset == "other"
    stage.show.command("/tpos/preset", ("look",))
    assert stage.send("note_on", note=37, velocity=9).cue == 1
    stage.device.forget("/tpos/preset", "other")
    assert [one.said for one in stage.device.map.file.controls] == ["look", "2"]
    stage.device.forget("/tpos/cue", "")
    assert [one.said for one in stage.device.map.file.controls] == ["look"]
    assert stage.device.map.unsaved


@pytest.mark.parametrize(
    ("address", "arguments", "line"),
    [
        ("/tpos/midi/learn", ("/tpos/cue", "two"), "'two'; accepted: cue (whole number 0..99)"),
        ("/tpos/midi/learn", ("motion", "7"), "7; accepted: value (number 0..1)"),
        ("/tpos/midi/forget", ("moton",), "no such parameter; accepted: motion"),
        ("/tpos/midi/forget", ("next",), "no such parameter"),
    ],
)
def test_what_cannot_be_taught_is_refused_at_once(address: str, arguments: tuple[str, ...], line: str) -> None:
    with pytest.raises(CommandError, match=re.escape(line)):
        Show().check(parse(address, arguments)[0])


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda one: one.name)
def test_every_parameter_is_learned(parameter: Parameter) -> None:
    stage = Stage("")
    press = mido.Message("note_on", channel=2, note=9, velocity=127)
    control = stage.device.learn(Target.of(parameter.name), press, stage.show.state, 0.0)
    assert control is not None
    assert (control.target, control.note, control.channel) == (parameter.name, 9, 3)
    assert stage.device.commands(press, stage.show.state, 0.0)[0].address == parameter.address
    assert not stage.device.commands(press.copy(channel=0), stage.show.state, 0.0)


def test_what_is_learned_is_saved_and_is_the_same_when_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    stage = Stage("")
    stage.device.use(maps.for_port("My Box:MIDI 1"))
    for n, target in ((5, "motion"), (6, "shader.zoom"), (5, "amount")):
        stage.device.learn(Target.of(target), mido.Message("control_change", control=n), stage.show.state, 9.0)
    stage.send("control_change", control=37, value=3)  # 4 s later: another knob
    assert [control.target for control in stage.device.map.file.controls] == ["shader.zoom", "amount"]
    saved = maps.save(stage.device.map)
    assert saved.path == tmp_path / "tpos" / "midi" / "my_box.toml"
    assert maps.for_port("My Box:MIDI 1 28:0").file == stage.device.map.file
    assert maps.load("my_box").file == saved.file


def test_a_fine_knob_is_learned_as_one() -> None:
    stage = Stage("")
    stage.device.learn(Target.of("motion"), mido.Message("control_change", control=7), stage.show.state, 4.9)
    stage.turn(64, cc=39)
    (control,) = stage.device.map.file.controls
    assert control.fine
    stage.turn(64)
    assert stage.turn(1, cc=39)[0] == pytest.approx(8193 / 16383, abs=1e-5)
