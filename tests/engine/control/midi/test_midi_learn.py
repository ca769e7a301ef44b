"""What a controller is taught: knobs, encoders, fine ones and pads; what it forgets, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import mido
import pytest
import socket_midi
from midi_stage import NAME, Stage, WireStage, turn, wait_for
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
def test_an_encoder_is_known_by_its_turns_to_the_left_and_where_its_map_was_saved_meanwhile(encoder: str) -> None:
    right, left = SPOKEN[encoder]
    stage = Stage("", motion=0.5)
    turn = mido.Message("control_change", control=20, value=left)
    stage.device.learn(Target.of("motion"), turn, stage.show.state, 4.9)
    stage.device.use(replace(stage.device.map, unsaved=False))
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
    stage.device.use(stage.device.map.without("/tpos/preset", "other"))
    assert [one.said for one in stage.device.map.file.controls] == ["look", "2"]
    stage.device.use(stage.device.map.without("/tpos/cue"))
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


def test_a_fine_knob_that_was_just_learned_leads_and_is_told_nothing() -> None:
    stage = Stage("", motion=0.5)
    stage.device.learn(Target.of("motion"), mido.Message("control_change", control=7), stage.show.state, 4.9)
    stage.turn(0, cc=39)
    assert stage.lights() == []
    assert stage.turn(100)[0] == pytest.approx(100 * 128 / 16383, abs=1e-5)


@pytest.mark.parametrize(
    ("old", "press"),
    [
        ("cc = 0\ntarget = 'motion'", mido.Message("control_change", control=0, value=3)),
        ("note = 9\ntarget = 'freeze'", mido.Message("note_on", channel=4, note=9, velocity=3)),
        ("program = 'any'\ntarget = '/tpos/cue'", mido.Message("program_change", channel=4, program=3)),
        ("bend = true\ntarget = 'motion'", mido.Message("pitchwheel", channel=4, pitch=3)),
    ],
)
def test_what_is_learned_moves_no_more_what_it_moved_on_any_channel(old: str, press: mido.Message) -> None:
    kept = "[[control]]\ncc = 1\ntarget = 'amount'\n[[control]]\ncc = 0\nchannel = 16\ntarget = 'feedback'"
    stage = Stage(f"[[control]]\n{old}\n{kept}")
    stage.device.learn(Target.of("shader.zoom"), press, stage.show.state, 0.0)
    assert [one.target for one in stage.device.map.file.controls] == ["amount", "feedback", "shader.zoom"]


def test_what_is_learned_or_forgotten_leaves_other_knobs_and_lights_as_they_are() -> None:
    text = "[[control]]\ncc = 7\ntarget = 'motion'\n[[control]]\nnote = 3\ntarget = 'freeze'"
    stage = Stage(text, motion=0.5, amount=0.5)
    stage.turn(64, 90)
    assert stage.lights() == [[0x90, 3, 0]]
    stage.device.learn(Target.of("amount"), turn(30, 3), stage.show.state, 0.0)
    assert stage.lights() == []
    assert stage.turn(127, 100) == pytest.approx([1.0, 100 / 127], abs=1e-5)  # by leaps: it needs not be met again
    stage.device.use(stage.device.map.without("/tpos/freeze"))
    assert stage.lights() == []
    assert stage.turn(20)[0] == pytest.approx(20 / 127, abs=1e-5)
    stage.show.set(amount=0.0)
    assert stage.lights() == [[0xB0, 30, 0]]


@pytest.mark.parametrize(
    ("said", "presses"),
    [
        ((127, 0, 127, 0), 2),
        ((90, 0, 110, 0), 2),  # a pad
        ((127, 127, 127), 3),  # a button that never says that it is let go
        (range(128), 1),  # a fader
        ((*range(0, 128, 3), *range(127, 0, -3), *range(0, 128, 3)), 2),
    ],
)
def test_a_cc_presses_as_often_as_it_comes_up(said: Iterable[int], presses: int) -> None:
    stage = Stage("[[control]]\ncc = 7\nbutton = true\ntarget = '/tpos/tempo/tap'")
    sent = [stage.device.commands(turn(7, value), stage.show.state, 5.0) for value in said]
    assert sum(map(len, sent)) == presses


def test_a_fader_that_is_learned_from_above_presses_when_it_was_down_again() -> None:
    stage = Stage("")
    stage.device.learn(Target.of("blackout"), turn(7, 90), stage.show.state, 0.0)
    sent = [stage.send("control_change", control=7, value=value).blackout for value in (91, 92, 80, 63, 64, 65)]
    assert sent == [False, False, False, False, True, True]


def test_a_map_that_is_broken_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    broken = tmp_path / "tpos" / "midi" / "my_box.toml"
    broken.parent.mkdir(parents=True)
    broken.write_text("schema = [")
    stage = Stage("")
    stage.device.use(maps.for_port("My Box:MIDI 1"))
    stage.device.learn(Target.of("motion"), turn(7, 3), stage.show.state, 0.0)
    assert maps.save(stage.device.map).path != broken
    assert broken.read_text() == "schema = ["
    assert [one.target for one in maps.for_port("My Box:MIDI 1").file.controls] == ["motion"]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WireStage]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    with ExitStack() as stack:
        yield WireStage(socket_midi.Controller, stack)


def test_two_of_one_kind_learn_and_are_saved_as_one(wire: WireStage, tmp_path: Path) -> None:
    one, other = wire.plug(20), wire.plug(24)
    hands = wire.hands()
    hands.learn("effects.hue")
    wait_for(lambda: wire.lines()[-1].startswith("MIDI learn"))
    one.send(turn(90, 20))
    wait_for(lambda: hands.view.unsaved)
    other.send(turn(90, 0), turn(90, 127))
    wait_for(lambda: wire.show.state.effects.hue == 1.0)
    hands.save()
    hands.save()
    wait_for(lambda: wire.lines()[-1] == "MIDI: nothing was learned or forgotten that is not saved")
    saved = tmp_path / "tpos" / "midi" / "nanokontrol2.toml"
    assert wire.lines().count(f"saved {saved}") == 1
    assert 'target = "effects.hue"' in saved.read_text()
    hands.forget("effects.hue")
    wait_for(lambda: not [one for one in hands.view.mapped if one.address == "/tpos/effects/hue"])


@pytest.mark.parametrize("way", ["unsaved", "saved", "broken"])
@pytest.mark.parametrize("given", [False, True], ids=["its own map", "a given map"])
def test_what_was_learned_is_there_when_the_device_is_back(
    wire: WireStage, tmp_path: Path, way: str, given: bool
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('schema = 1\n[[control]]\ncc = 2\ntarget = "motion"\n')
    device, hands = wire.plug(20), wire.hands(midi_map=str(mine) if given else "")
    hands.learn("effects.hue")
    wait_for(lambda: wire.lines()[-1].startswith("MIDI learn"))
    device.send(turn(90, 20))
    wait_for(lambda: hands.view.unsaved)
    if way != "unsaved":
        hands.save()
        wait_for(lambda: not hands.view.unsaved)
    device.unplug()
    wait_for(lambda: not hands.ports)
    assert hands.view.unsaved == (way == "unsaved")
    if way == "broken":
        (tmp_path / "tpos" / "midi" / ("mine.toml" if given else "nanokontrol2.toml")).write_text("schema = [")
    again = wire.plug(24)
    wait_for(lambda: hands.ports)
    again.send(turn(90, 0), turn(90, 127))
    wait_for(lambda: wire.show.state.effects.hue == 1.0, 2.0)


@pytest.mark.parametrize("name", ["mine.toml", "tpos/midi/nanokontrol2.toml"], ids=["edited", "come"])
def test_a_map_that_is_edited_or_comes_while_its_device_is_away_is_taken_in(
    wire: WireStage, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    text = f'schema = 1\ndevice = "{NAME}"\n[[control]]\ncc = 90\ntarget = "effects.hue"\n'
    if name == "mine.toml":
        file.write_text(text)
    device, hands = wire.plug(20), wire.hands(midi_map=str(file) if file.is_file() else "")
    device.unplug()
    wait_for(lambda: not hands.ports)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("effects.hue", "effects.film"))
    again = wire.plug(24)
    wait_for(lambda: hands.ports)
    again.send(turn(90, 0), turn(90, 127))
    wait_for(lambda: wire.show.state.effects.film == 1.0, 2.0)
