"""Commands: parsing, the reducer, cues, and the queue to the inference thread."""

import threading

import pytest

from engine.control import presets
from engine.control.addresses import ADDRESSES, parse
from engine.control.arguments import CommandError
from engine.control.changes import Looks, parse_prompts
from engine.control.parameters import PARAMETERS, with_values
from engine.control.queue import Command, CommandQueue
from engine.control.show import Effect, EffectKind, Show, apply
from engine.core.effects import Mirror
from engine.core.isf import Header, Input, InputKind, IsfFile, IsfLayer
from engine.core.messages import Fit, GuidanceTier, LoraStrength, Prompt, ShowState

LOOK = """
schema = 1
prompts = ["a beach", { text = "fire", weight = 0.0 }]
motion = 0.4
fade_s = 3.0
[[cue]]
fade_s = 1.5
prompts = ["waves"]
motion = 0.9
shader = { zoom = 0.8 }
[[cue]]
fade_s = 5.0
weights = [0.2, 1.0]
[[cue]]
amount = 0.25
"""
OTHER = 'schema = 1\nprompts = ["a lake"]\nseed = 9\ncue = [{ name = "Other" }]'


@pytest.fixture
def preset() -> presets.Preset:
    return presets.parse(LOOK, "look")


@pytest.fixture
def show(preset: presets.Preset) -> Show:
    return Show(preset, {"other": presets.parse(OTHER, "other")}, order=("other",))


def say(show: Show, address: str, *values: object) -> list[Effect]:
    return show.apply(parse(address, values)[0])


INPUT = Input("INPUT", InputKind.FLOAT, (0.0,), (0.0,), (1.0,))
EFFECT = IsfLayer(IsfFile("NAME", "NAME.fs", "", Header((INPUT,))))


def test_every_address_is_understood_with_plain_arguments(show: Show) -> None:
    samples = {"s": "other", "f": 0.5, "b": True}
    show.set(loras=(LoraStrength("one"), LoraStrength("two"), LoraStrength("three")), isf=(EFFECT,))
    for row in ADDRESSES:
        address = "/".join("3" if part == "N" else part for part in row.path.split("/"))
        command, clamped = parse(
            address, [(a.choices or a.words or (samples.get(a.kind, int(a.low)),))[0] for a in row.arguments]
        )
        assert not clamped
        assert all(e.kind is not EffectKind.PROBLEM for e in show.apply(command)), address


def test_a_word_of_a_table_becomes_its_own_kind() -> None:
    state = apply(ShowState(), parse("/tpos/effects/mirror", ["Left"])[0])
    assert state.effects.mirror is Mirror.LEFT


OF_A_ROW = {name.partition(".")[0] for name in PARAMETERS} - {"safe"} | {"loras", "isf"}


@pytest.mark.parametrize("row", [a for a in ADDRESSES if a.applies in OF_A_ROW])
def test_an_address_changes_the_part_of_the_state_that_its_row_names(row) -> None:
    argument = row.arguments[0]
    values = {"f": 60.0, "i": 5, "b": True, "s": (argument.choices or argument.words or ("people",))[-1]}
    other = {"follow": False, "amount": 0.5, "literal": 0.5, "agc": False, "flash_limiter": False}
    before = with_values(ShowState(loras=(LoraStrength("style"),), isf=(EFFECT,)), other)
    after = apply(before, parse(row.path.replace("/N/", "/1/"), [values[argument.kind]])[0])
    changed = {name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {row.applies, "revision"}


@pytest.mark.parametrize(
    ("address", "value", "field", "expected"),
    [
        ("/tpos/audio/amount", True, "amount", 1.0),
        ("/tpos/audio/amount", 0, "amount", 0.0),
        ("/tpos/motion", 0.800000011920929, "motion", 0.8),
        ("/tpos/seed", 7.0, "seed", 7),
        ("/tpos/freeze", 1.0, "freeze", True),
        ("/tpos/freeze", 0.2, "freeze", False),
        ("/tpos/audio/gain", 0.5, "audio_gain_db", 0.0),
        ("/tpos/audio/gain", 1, "audio_gain_db", 24.0),
        ("/tpos/audio/gain", 0, "audio_gain_db", -24.0),
        ("/tpos/tempo/bpm", 128, "tempo_bpm", 128.0),
        ("/tpos/tempo/bpm", 5, "tempo_bpm", 0.0),
        ("/tpos/guidance", "Semantic", "guidance", GuidanceTier.SEMANTIC),
        ("/tpos/fit", "fit", "fit", Fit.FIT),
        ("/tpos/steps", 4.0, "steps", 4),
        ("/tpos/guidance_scale", 7.5, "guidance_scale", 7.5),
        ("/tpos/audio/agc", 0, "agc", False),
    ],
)
def test_numbers_and_booleans_are_coerced(address, value, field, expected) -> None:
    got = getattr(apply(ShowState(), parse(address, [value])[0]), field)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(("value", "expected"), [(1.7, 1.0), (-3, 0.0), (1e30, 1.0)])
def test_out_of_range_is_clamped_and_said(value, expected) -> None:
    command, clamped = parse("/tpos/motion", [value])
    assert command.args == (expected,)
    assert f"clamped to {expected:g}" in clamped


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("/tpos/motion", ["loud"]),
        ("/tpos/motion", [float("nan")]),
        ("/tpos/motion", [float("inf")]),
        ("/tpos/motion", [b"\0\1"]),
        ("/tpos/motion", [None]),
        ("/tpos/motion", []),
        ("/tpos/motion", [0.1, 0.2]),
        ("/tpos/prompt", [3]),
        ("/tpos/guidance", ["strong"]),
        ("/tpos/fit", [1]),
        ("/tpos/prompt", ["x" * 70_000]),
        ("/tpos/record", ["../../x"]),
        ("/tpos/snapshot", ["../../x"]),
        ("/tpos/record", [True, "../../x"]),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_accepted(address, values) -> None:
    with pytest.raises(CommandError, match=r"accepted: ."):
        parse(address, values)


def test_an_unknown_address_names_near_ones() -> None:
    with pytest.raises(CommandError) as error:
        parse("/tpos/promt/3/weigth", [0.5])
    assert "/tpos/prompt/N/weight" in error.value.accepted
    with pytest.raises(CommandError):
        parse("/tpos/prompt/17/weight", [0.5])


def test_prompts_replace_with_a_fade_and_the_revision_grows() -> None:
    before = ShowState(revision=4)
    after = apply(before, parse("/tpos/prompt", ["a volcano", 2.5])[0])
    assert (after.prompts, after.fade_s, after.revision) == ((Prompt("a volcano"),), 2.5, 5)
    assert apply(after, parse("/tpos/prompt", ["a volcano", 2.5])[0]) is after
    assert before.revision == 4


def test_several_prompts_in_one_text() -> None:
    got = parse_prompts("a beach:0.7 | fire : .3|the 10:30 train| at 10:00 ")
    assert got == (Prompt("a beach", 0.7), Prompt("fire", 0.3), Prompt("the 10:30 train"), Prompt("at 10:00"))
    assert parse_prompts("") == (Prompt(""),)


def test_more_than_sixteen_prompts_are_cut_and_said() -> None:
    command, clamped = parse("/tpos/prompt", [" | ".join(f"scene {i}" for i in range(40))])
    assert len(apply(ShowState(), command).prompts) == 16
    assert "16" in clamped


def test_prompts_by_number_arrive_in_any_order() -> None:
    state = ShowState(prompts=(Prompt("a beach"),), fade_s=4.0)
    for address, value in (("3/weight", 0.25), ("3/text", "fire"), ("2/text", "waves"), ("1/weight", 0)):
        state = apply(state, parse(f"/tpos/prompt/{address}", [value])[0])
    assert state.prompts == (Prompt("a beach", 0.0), Prompt("waves", 1.0), Prompt("fire", 0.25))
    assert state.fade_s == 0.0


def test_a_switch_without_argument_toggles() -> None:
    state = ShowState()
    for expected in (True, False, True):
        state = apply(state, parse("/tpos/blackout")[0])
        assert state.blackout is expected
    assert apply(state, parse("/tpos/blackout", [0, 2.0])[0]).blackout_fade_s == 2.0


def test_a_button_released_does_nothing(show: Show) -> None:
    assert say(show, "/tpos/snapshot", 1.0) == [Effect(EffectKind.SNAPSHOT)]
    assert say(show, "/tpos/snapshot", 0.0) == []
    say(show, "/tpos/cue/go", 1.0)
    say(show, "/tpos/cue/go", 0.0)
    assert show.state.cue == 0


def test_cues_go_back_and_take_back_what_they_set(show: Show) -> None:
    start = show.state
    say(show, "/tpos/cue/go")
    assert (show.state.prompts, show.state.motion, show.state.fade_s) == ((Prompt("waves"),), 0.9, 1.5)
    assert (show.state.shader.zoom, show.state.shader.warp) == (0.8, start.shader.warp)
    say(show, "/tpos/cue/go")
    assert show.state.prompts == (Prompt("a beach", 0.2), Prompt("fire", 1.0))
    assert (show.state.motion, show.state.shader, show.state.fade_s) == (0.4, start.shader, 5.0)
    say(show, "/tpos/cue/back")
    say(show, "/tpos/cue/back")
    assert (show.state.cue, show.state.prompts, show.state.shader) == (-1, start.prompts, start.shader)
    say(show, "/tpos/cue/back")
    assert show.state.cue == -1


def test_a_cue_leaves_alone_what_the_operator_moved_and_it_does_not_name(show: Show) -> None:
    say(show, "/tpos/prompt", "my own words")
    say(show, "/tpos/shader/glow", 1.0)
    say(show, "/tpos/cue", 3)
    assert show.state.prompts == (Prompt("my own words"),)
    assert (show.state.amount, show.state.shader.glow) == (0.25, 1.0)


def test_a_cue_that_is_not_there_is_a_problem_and_changes_nothing(show: Show) -> None:
    before = show.state
    (effect,) = say(show, "/tpos/cue", 7)
    assert effect.kind is EffectKind.PROBLEM
    assert "0..3" in effect.text
    assert show.state is before
    for _ in range(5):
        say(show, "/tpos/cue/go")
    assert show.state.cue == 2


def test_switching_presets_keeps_what_belongs_to_the_stage(show: Show) -> None:
    say(show, "/tpos/audio/gain", 0.75)
    say(show, "/tpos/freeze", True)
    assert say(show, "/tpos/preset", "other") == [Effect(EffectKind.PRESET, "other")]
    assert (show.state.prompts, show.state.seed) == ((Prompt("a lake"),), 9)
    assert (show.state.audio_gain_db, show.state.freeze) == (12.0, True)
    assert show.looks.current is not None
    assert show.looks.current.name == "other"
    assert say(show, "/tpos/cue", 2)[0].kind is EffectKind.PROBLEM


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "other.toml", "", "nope"])
def test_presets_from_outside_are_names_never_paths(show: Show, name: str) -> None:
    before = show.state
    (effect,) = say(show, "/tpos/preset", name)
    assert effect.kind is EffectKind.PROBLEM
    assert show.state is before
    with pytest.raises(CommandError, match=r"look.*other|other.*look"):
        show.check(parse("/tpos/preset", [name])[0])


def test_preset_names_are_found_in_any_case(show: Show) -> None:
    assert say(show, "/tpos/preset", "OTHER") == [Effect(EffectKind.PRESET, "other")]
    assert show.state.preset == "other"


def tapped(state: ShowState, *times_s: float) -> ShowState:
    for time_s in times_s:
        state = apply(state, parse("/tpos/tempo/tap", [], time_s)[0])
    return state


def test_taps_are_kept_until_they_stop_or_a_tempo_is_set() -> None:
    assert tapped(ShowState(), 10.0, 10.5, 11.0).taps_s == (10.0, 10.5, 11.0)
    assert tapped(ShowState(), 10.0, 10.5, 13.0) == ShowState(taps_s=(13.0,), tempo_bpm=120.0, revision=3)
    assert tapped(ShowState(), 10.0, 10.1).taps_s == (10.1,)
    assert tapped(ShowState(), *range(20)).taps_s == tuple(range(12, 20))
    fixed = apply(tapped(ShowState(), 10.0, 10.5), parse("/tpos/tempo/bpm", [128.0])[0])
    assert (fixed.taps_s, fixed.tempo_bpm) == ((), 128.0)
    assert tapped(fixed, 20.0).tempo_bpm == 128.0
    assert tapped(fixed, 20.0, 20.5).tempo_bpm == 0.0


def test_a_failed_command_goes_back_to_whoever_sent_it(show: Show) -> None:
    show.queue.put(parse("/tpos/cue", [50], sender=("10.0.0.7", 9001))[0], parse("/tpos/motion", [0.3])[0])
    assert show.current().motion == 0.3
    ((sender, error),) = show.queue.take_failures()
    assert (sender, error.address) == (("10.0.0.7", 9001), "/tpos/cue")
    assert "0..3" in error.accepted
    assert show.queue.take_failures() == []


def test_an_edit_replaces_only_what_changed_in_the_file(show: Show, preset: presets.Preset) -> None:
    say(show, "/tpos/motion", 0.7)
    say(show, "/tpos/shader/glow", 0.9)
    revision = show.state.revision
    show.edit(presets.parse(LOOK.replace('"a beach"', '"a desert"').replace("zoom = 0.8", "zoom = 0.1"), "look"))
    assert show.state.prompts[0].text == "a desert"
    assert (show.state.motion, show.state.shader.glow, show.state.revision) == (0.7, 0.9, revision + 1)
    say(show, "/tpos/cue/go")
    assert show.state.shader.zoom == 0.1


def test_an_edit_reaches_the_running_cue_and_survives_its_removal(show: Show) -> None:
    say(show, "/tpos/cue", 3)
    show.edit(presets.parse(LOOK.replace("amount = 0.25", "amount = 0.5"), "look"))
    assert show.state.amount == 0.5
    show.edit(presets.parse(LOOK.partition("[[cue]]")[0], "look"))
    assert (show.state.cue, show.state.amount) == (-1, 1.0)


def test_an_edit_of_another_preset_waits_for_its_switch(show: Show) -> None:
    before = show.state
    show.edit(presets.parse('schema = 1\nprompts = ["a canyon"]', "other"))
    assert show.state is before
    say(show, "/tpos/preset", "other")
    assert show.state.prompts == (Prompt("a canyon"),)


def test_state_is_replaced_whole_from_many_threads(show: Show) -> None:
    def move(address: str) -> None:
        for i in range(200):
            show.apply(parse(address, [i / 200])[0])

    revision = show.state.revision
    threads = [threading.Thread(target=move, args=(a,)) for a in ("/tpos/shader/zoom", "/tpos/audio/gain")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (show.state.shader.zoom, show.state.audio_gain_db) == (0.995, 23.76)
    assert show.state.revision == revision + 400


def test_apply_is_pure_and_needs_no_preset() -> None:
    state = ShowState()
    assert apply(state, Command("/tpos/cue/go", (True,)), Looks()) is state
    assert state == ShowState()


def test_the_queue_keeps_the_last_value_of_each_address_in_order_of_its_last_update() -> None:
    queue = CommandQueue()
    for i in range(1000):
        queue.put(parse("/tpos/motion", [i / 1000])[0], parse("/tpos/audio/amount", [1 - i / 1000])[0])
    queue.put(parse("/tpos/motion", [0.123])[0])
    assert [(c.address, c.args) for c in queue.take_all()] == [
        ("/tpos/audio/amount", (0.001,)),
        ("/tpos/motion", (0.123,)),
    ]
    assert queue.take_all() == []
    assert (queue.counts.received, queue.counts.coalesced, queue.counts.refused) == (2001, 1999, 0)


def test_the_queue_keeps_every_event_up_to_its_bound() -> None:
    queue = CommandQueue(limit=8)
    refused = sum(queue.put(parse("/tpos/cue/go")[0]) for _ in range(10))
    assert refused == 2
    assert queue.put(parse("/tpos/motion", [0.5])[0]) == 0
    assert len(queue.take_all()) == 9
    assert queue.put(parse("/tpos/freeze")[0], parse("/tpos/freeze")[0]) == 0
    assert len(queue.take_all()) == 2
