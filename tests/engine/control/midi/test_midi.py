"""What a controller's messages do to the show, as MIDI 1.0 and the maps' table say, without a wire between."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import mido
import pytest
import socket_midi
from midi_stage import Stage, turn, wait_for

from engine.control.bar_line import Coming
from engine.control.midi import maps
from engine.control.midi.ports import AUTO, Ports, open_driver
from engine.control.parameters import PARAMETERS, value_of
from engine.core.messages import SILENCE, LoraStrength
from engine.core.parameters import Kind, Parameter
from tpos_models.errors import PresetError


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda one: one.name)
def test_every_parameter_is_reached_by_a_knob_or_where_it_is_text_by_a_button(parameter: Parameter) -> None:
    if parameter.kind is Kind.TEXT and not parameter.choices:
        text = ",".join(parameter.words[1:]) or "no people"
        stage = Stage(f'[[control]]\nnote = 60\ntarget = "{parameter.name}"\nvalue = "{text}"')
        assert value_of(stage.send("note_on", note=60, velocity=1), parameter.name) == text
        return
    stage = Stage(f'takeover = "jump"\n[[control]]\ncc = 7\ntarget = "{parameter.name}"')

    def told(value: int) -> object:
        return value_of(stage.send("control_change", control=7, value=value), parameter.name)

    if parameter.choices:
        assert {told(value) for value in range(128)} == set(parameter.choices)
    elif parameter.kind is Kind.SWITCH:
        assert (told(127), told(0), told(64)) == (True, False, True)
    else:
        assert (told(127), told(0)) == (parameter.high, parameter.low)
        middle = parameter.low + (parameter.high - parameter.low) * 64 / 127
        assert told(64) == pytest.approx(middle, abs=0.51 if parameter.kind is Kind.INT else 0.001)


def test_fourteen_bits_come_in_two_messages() -> None:
    stage = Stage('takeover = "jump"\n[[control]]\ncc = 7\nfine = true\ntarget = "motion"')
    assert stage.turn(64)[0] == pytest.approx(64 * 128 / 16383, abs=1e-5)
    assert stage.turn(33, cc=39)[0] == pytest.approx((64 * 128 + 33) / 16383, abs=1e-5)
    assert (stage.turn(127), stage.turn(127, cc=39)) == ([pytest.approx(127 * 128 / 16383, abs=1e-5)], [1.0])
    assert stage.turn(3)[0] == pytest.approx(3 * 128 / 16383, abs=1e-5)  # the lower half begins anew


def test_a_bend_has_fourteen_bits_of_its_own() -> None:
    stage = Stage('takeover = "jump"\n[[control]]\nbend = true\ntarget = "shader.fly"')
    flown = [stage.send("pitchwheel", pitch=pitch).shader.fly for pitch in (-8192, 8191, 0)]
    assert flown == [-1.0, 1.0, pytest.approx(0.0, abs=1e-4)]


@pytest.mark.parametrize(
    ("encoder", "right", "left", "fast"),
    [("twos complement", 1, 127, 124), ("signed bit", 1, 65, 68), ("binary offset", 65, 63, 60)],
)
def test_an_encoder_turns_on_from_wherever_its_parameter_is(encoder: str, right: int, left: int, fast: int) -> None:
    stage = Stage(f'[[control]]\ncc = 7\nencoder = "{encoder}"\nstep = 0.01\ntarget = "motion"', motion=0.5)
    assert stage.turn(right, right, left, fast) == pytest.approx([0.51, 0.52, 0.51, 0.47])
    stage.show.set(motion=0.995)
    assert stage.turn(right, right, left) == pytest.approx([1.0, 1.0, 0.99])


def test_small_steps_add_up_to_a_whole_number() -> None:
    stage = Stage('[[control]]\ncc = 7\nencoder = "twos complement"\nstep = 0.01\ntarget = "effects.kaleidoscope"')
    sectors = [stage.send("control_change", control=7, value=1).effects.kaleidoscope for _ in range(25)]
    assert sectors[-1] == 4  # a quarter of 0..16
    assert sorted(set(sectors)) == [0, 1, 2, 3, 4]


def test_a_knob_picks_its_parameter_up_where_they_meet() -> None:
    stage = Stage('[[control]]\ncc = 7\ntarget = "motion"', motion=0.5)
    assert stage.turn(0, 30, 60) == [0.5, 0.5, 0.5]
    assert stage.turn(70, 100) == pytest.approx([70 / 127, 100 / 127], abs=1e-5)
    stage.show.set(motion=0.2)  # by other hands
    assert stage.turn(101, 50) == pytest.approx([0.2, 0.2])
    assert stage.turn(20, 40) == pytest.approx([20 / 127, 40 / 127], abs=1e-5)


def test_scaling_goes_at_once_and_meets_at_the_ends() -> None:
    stage = Stage('takeover = "scale"\n[[control]]\ncc = 7\ntarget = "motion"', motion=0.8)
    assert stage.turn(0)[0] == 0.8  # where it stands is not known before
    stage.show.set(motion=0.5)
    up = stage.turn(*range(1, 128))
    assert up[0] > 0.5
    assert all(b > a for a, b in pairwise(up))
    assert up[-1] == pytest.approx(1.0)
    stage.show.set(motion=0.4)
    assert stage.turn(64)[0] == pytest.approx(0.4 * 64 / 127, abs=1e-4)


def test_ends_of_its_own_may_be_the_other_way_round() -> None:
    text = 'takeover = "jump"\n[[control]]\ncc = 7\nlow = 6.0\nhigh = -6.0\ntarget = "audio_gain_db"'
    stage = Stage(text)
    gains = [stage.send("control_change", control=7, value=value).audio_gain_db for value in (0, 127)]
    assert gains == pytest.approx([6.0, -6.0], abs=0.02)


def test_notes_and_programs_call_cues_presets_and_buttons() -> None:
    stage = Stage(
        """
        [[control]]
        note = 1
        target = "/tpos/cue"
        value = 2
        [[control]]
        program = "any"
        target = "/tpos/cue"
        [[control]]
        note = 2
        target = "/tpos/preset"
        value = "other"
        [[control]]
        note = 3
        target = "freeze"
        [[control]]
        note = 4
        target = "/tpos/tempo/tap"
        [[control]]
        note = 5
        target = "effects.mirror"
        """
    )
    assert stage.send("note_on", note=1, velocity=9).cue == 1
    assert stage.send("program_change", program=1).cue == 0
    assert [stage.send("note_on", note=3, velocity=v).freeze for v in (127, 0, 127)] == [True, True, False]
    assert stage.send("note_off", note=3).freeze is False
    assert stage.send("note_on", note=4, velocity=64).taps_s == (5.0,)
    assert stage.send("note_on", note=5, velocity=64).effects.mirror == "left"
    assert stage.send("note_on", note=2, velocity=64).preset == "other"


@pytest.mark.parametrize("kind", mido.messages.specs.SPEC_BY_TYPE)
def test_every_kind_of_message_is_survived(kind: str) -> None:
    kinds = ("cc = 0", "note = 0", "program = 0", "bend = true")
    stage = Stage("\n".join(f"[[control]]\n{kind}\nchannel = 1\ntarget = 'freeze'" for kind in kinds))
    state = stage.send(kind)
    pressed = {"note_on", "program_change", "pitchwheel"}
    assert state.freeze == (kind in pressed)


def test_a_switch_on_a_cc_is_set_by_it_at_once() -> None:
    stage = Stage('[[control]]\ncc = 7\ntarget = "freeze"')
    assert [stage.send("control_change", control=7, value=value).freeze for value in (127, 0, 127)] == [
        True,
        False,
        True,
    ]


def test_weights_of_prompts_and_loras_are_knobs_too() -> None:
    text = """
        [[control]]
        cc = 7
        target = "/tpos/prompt/2/weight"
        [[control]]
        cc = 8
        target = "/tpos/lora/1/strength"
        """
    stage = Stage(text, loras=(LoraStrength("one", 0.0),))
    state = [stage.send("control_change", control=7, value=value) for value in (127, 64, 40)][-1]
    assert state.prompts[1].weight == pytest.approx(40 / 127, abs=1e-5)
    state = [stage.send("control_change", control=8, value=value) for value in (60, 127)][-1]
    assert state.loras[0].strength == 4.0


def test_lights_follow_what_other_hands_do_and_never_the_knob_itself() -> None:
    stage = Stage(
        """
        [[control]]
        cc = 7
        target = "motion"
        [[control]]
        note = 3
        channel = 2
        on = 21
        off = 1
        light_channel = 7
        target = "freeze"
        [[control]]
        note = 4
        target = "/tpos/cue"
        value = 2
        [[control]]
        cc = 9
        fine = true
        target = "amount"
        """,
        motion=0.5,
        amount=1.0,
    )
    assert stage.lights() == [[0xB0, 7, 64], [0x96, 3, 1], [0x90, 4, 0], [0xB0, 9, 127], [0xB0, 41, 127]]
    assert stage.lights() == []
    stage.turn(60, 100)
    assert stage.lights() == []
    stage.show.set(motion=0.25, freeze=True, cue=1)
    assert stage.lights() == [[0xB0, 7, 32], [0x96, 3, 21], [0x90, 4, 127]]


@pytest.mark.parametrize(
    ("target", "half_way", "end"), [("effects.kaleidoscope", 8, 16), ("effects.mirror", "top", "quarter")]
)
def test_a_knob_leads_on_when_the_bar_has_made_what_it_said(target: str, half_way: object, end: object) -> None:
    stage = Stage(f"[[control]]\ncc = 7\ntarget = '{target}'", quantise="bar")

    def at(time_s: float) -> object:
        beat = int(time_s * 2)  # 120 a minute, bars of four
        music = replace(SILENCE, time_s=time_s, bpm=120.0, beat=beat, beat_phase=time_s * 2 % 1, bar=beat // 4,
                        bar_beat=beat % 4)  # fmt: skip
        stage.show.bar_line.coming = lambda: Coming(music, 0.0)
        return value_of(stage.show.current(), target)

    off = at(3.1)
    stage.lights()
    stage.turn(0, 66)
    assert (at(3.5), stage.lights()) == (off, [])
    assert at(4.02) == half_way
    stage.turn(127)
    assert stage.lights() == []
    assert at(6.02) == end
    stage.show.put({target: off})  # by other hands
    stage.turn(100)
    assert (len(stage.lights()), at(8.02)) == (1, off)
    stage.turn(0, 66)
    for value in (end, half_way):  # by other hands, to where the knob would have it as well
        stage.show.put({target: value})
        assert len(stage.lights()) == 1


@pytest.mark.parametrize("name", maps.available())
def test_shipped_maps_load_and_say_whose_they_are(name: str) -> None:
    one = maps.load(name)
    assert one.file.device
    assert maps.for_port(f"{one.file.device}:{one.file.device} MIDI 1").name == name
    places = [(c.cc, c.note, c.channel) for c in one.file.controls]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[control]]\ncc = 200\ntarget = 'motion'", "control 1, cc = 200; accepted: a whole number 0..127"),
        ("[[control]]\ncc = 2\ntarget = 'moton'", "control 1, target = 'moton': no such parameter; accepted: motion"),
        ("[[control]]\ntarget = 'motion'", "control 1 has no message; accepted: one of cc, note, program, bend"),
        ("[[control]]\ncc = 1\nnote = 2\ntarget = 'motion'", "has cc and note; accepted: one of"),
        ("[[control]]\ncc = 40\nfine = true\ntarget = 'motion'", "is fine; accepted: with a cc of 0..31"),
        ("[[control]]\ncc = 4\ntarget = '/tpos/preset'", "is told text, which a knob has not"),
        ("[[control]]\nnote = 4\ntarget = 'motion'\nvalue = 3.0", "3; accepted: value (number 0..1)"),
        ("[[control]]\nnote = 4\ntarget = 'fit'\nvalue = 'wide'", "accepted: fit (fill | fit)"),
        ("[[control]]\ncc = 4\ntarget = 'motion'\nlow = 2.0", "2 is an end; accepted: value (number 0..1)"),
        ("[[control]]\ncc = 4\ntarget = 'motion'\nencoder = 'grey'", "'twos complement' | 'signed bit'"),
        ("[[control]]\nnote = 4\ntarget = 'motion'\nencoder = 'signed bit'", "encoder; accepted: with a cc"),
        ("[[control]]\ncc = 4\ntarget = 'motion'\nvalue = 1.0", "a value of a knob"),
        ("[[control]]\nkey = 4\ntarget = 'motion'", "key is not a known key"),
        ("[[control]]\ncc = 4\ntarget = '/tpos/moton'", "unknown address"),
        ("schema = [", "not valid TOML"),
    ],
)
def test_a_broken_map_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(PresetError) as error:
        maps.parse(f"schema = 1\n{text}", "own", "own.toml")
    assert line in str(error.value)
    assert str(error.value).startswith("own.toml: ")
    assert "\n" not in str(error.value)


def test_a_map_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(PresetError, match="did you mean nanokontrol2"):
        maps.load("nanocontrol2")


class InUse:
    """A driver whose ports another program holds; `free` are no longer held."""

    free: tuple[str, ...] = ()

    def names(self) -> tuple[list[str], list[str]]:
        return ["one", "two"], []

    def open_input(self, name: str) -> object:
        if name not in self.free:
            raise OSError("in use")
        return object()


def test_ports_that_cannot_be_opened_are_said_once_each_and_again_when_they_were_open() -> None:
    driver: Any = InUse()
    ports = Ports(driver, AUTO)
    said = [f"MIDI: {name} cannot be opened: in use" for name in ("one", "two")]
    assert [ports.look()[1] for _ in range(3)] == [said, [], []]
    driver.free = ("one",)
    assert [ports.look()[1] for _ in range(2)] == [["MIDI: one is listened to"], []]


def test_two_of_one_name_are_told_each_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    both = [socket_midi.Controller("Box", number) for number in (20, 24)]
    ports = Ports(open_driver(), AUTO)
    try:
        ports.look()
        for n, one in enumerate(both):
            ports.open[one.name].tell([turn(7, n)])
        for n, one in enumerate(both):
            assert list(one.told()) == [turn(7, n)]
    finally:
        ports.close()
        for one in both:
            one.unplug()


def test_a_port_that_can_be_told_nothing_is_listened_to_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OSError("in use")

    monkeypatch.setenv("MIDO_BACKEND", "socket_midi")
    monkeypatch.setattr(socket_midi.Output, "_open", busy)
    device, ports = socket_midi.Controller("Box"), Ports(open_driver(), AUTO)
    try:
        said = ["MIDI: Box:Box MIDI 1 is listened to", "MIDI: Box:Box MIDI 1 cannot be told what it shows: in use"]
        assert [ports.look()[1] for _ in range(2)] == [said, []]
        device.send(turn(7, 3))
        taken: list[Any] = []
        wait_for(lambda: taken.extend(ports.take()) or taken)
        assert [message for _, (message, _) in taken] == [[0xB0, 7, 3]]
    finally:
        ports.close()
        device.unplug()
