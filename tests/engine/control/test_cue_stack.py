"""Cues that follow on, the set list and the safe look, beside a clock and a beat that are reckoned here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.control import presets, set_list
from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.bar_line import Coming
from engine.control.parameters import with_values
from engine.control.show import EffectKind, Show
from engine.core.messages import SILENCE, Prompt
from engine.render.keys import show_command
from tpos_models.errors import MissingFileError, PresetError

LOOK = """
schema = 1
prompts = ["a beach"]
[[cue]]
name = "Rise"
follow_bars = 4
prompts = ["waves"]
fade_bars = 2
[[cue]]
follow_s = 3
[[cue]]
name = "Last"
follow_s = 1
"""
BPM, PER_BAR, STEP_S = 150.0, 3, 0.01
BAR_S = PER_BAR * 60 / BPM


class Rig:
    """A show in a music of three beats a bar whose bar 0 began at 0; asked for its state every 10 ms."""

    def __init__(self, show: Show, at_s: float = 0.0, bpm: float = BPM) -> None:
        self.show, self.now_s, self.bpm = show, at_s, bpm
        show.bar_line.coming = self.coming

    def coming(self) -> Coming:
        beats = self.now_s * self.bpm / 60
        beat, bar = int(beats), int(beats) // PER_BAR
        features = replace(
            SILENCE, time_s=self.now_s, bpm=self.bpm, beat=beat, beat_phase=beats - beat, bar=bar,
            bar_beat=beat % PER_BAR, beats_per_bar=PER_BAR,
        )  # fmt: skip
        return Coming(features, 0.0)

    def say(self, address: str, *values: object) -> None:
        self.show.command(address, values)
        self.show.current()

    def play(self, until_s: float) -> list[tuple[float, int]]:
        """When cues came until then, and which."""
        came, before = [], self.show.state.cue
        while self.now_s < until_s:
            self.now_s += STEP_S
            if (cue := self.show.current().cue) != before:
                came.append((round(self.now_s, 2), cue))
                before = cue
        return came


@pytest.fixture
def show() -> Show:
    library = {name: presets.parse(f'schema = 1\nprompts = ["{name}"]\nmotion = 0.9', name) for name in ("a", "b")}
    calm = presets.parse('schema = 1\nprompts = ["calm"]\nmotion = 0.1', "safe")
    return Show(presets.parse(LOOK, "look"), {**library, "safe": calm}, order=("a", "b", "a"))


def test_cues_follow_on_after_bars_and_seconds_and_the_last_stays(show: Show) -> None:
    rig = Rig(show, at_s=BAR_S)
    rig.say("/tpos/cue/go")
    (to_second, second), (to_third, third) = rig.play(20.0)
    assert (second, third) == (1, 2)
    assert to_second == pytest.approx(5 * BAR_S, abs=1.5 * STEP_S)
    assert to_third == pytest.approx(to_second + 3, abs=2.5 * STEP_S)
    assert show.stack.follow_s == 0


def test_bars_are_counted_from_the_beat_a_cue_came_on_and_follow_a_tempo_that_bends(show: Show) -> None:
    rig = Rig(show, at_s=2.41)  # beat 6.03
    rig.say("/tpos/cue/go")
    rig.play(3.2)
    beats = rig.now_s * rig.bpm / 60
    rig.bpm, rig.now_s = 75.0, beats * 60 / 75  # the beat goes on from where it is, half as fast
    assert show.stack.follow_s == pytest.approx((18 - beats) * 60 / 150, abs=0.02)
    ((at_s, _),) = rig.play(18 * 60 / 75 + 1)
    assert at_s == pytest.approx(18 * 60 / 75, abs=1.5 * STEP_S)


def test_without_a_tempo_a_bar_lasts_two_seconds(show: Show) -> None:
    rig = Rig(show, bpm=0.0)
    rig.say("/tpos/cue/go")
    assert rig.play(8.5) == [(pytest.approx(8.0, abs=1.5 * STEP_S), 1)]


def test_a_hold_stops_the_clock_and_a_jump_starts_it_anew(show: Show) -> None:
    rig = Rig(show)
    rig.say("/tpos/cue", 2)
    rig.play(2.0)
    rig.say("/tpos/follow", False)
    assert rig.play(10.0) == []
    assert show.stack.follow_s == pytest.approx(1.0, abs=2 * STEP_S)
    rig.say("/tpos/follow", True)
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/cue", 2)
    assert rig.play(14.0) == [(pytest.approx(13.0, abs=2 * STEP_S), 2)]


def test_what_follows_after_seconds_waits_for_the_bar_where_changes_do(show: Show) -> None:
    rig = Rig(show, at_s=BAR_S / 2)
    rig.say("/tpos/cue", 2)
    rig.say("/tpos/quantise", "bar")
    ((at_s, _),) = rig.play(6.0)
    assert at_s == pytest.approx(4 * BAR_S, abs=1.5 * STEP_S)  # 0.6 + 3 s is in the third bar


FOUR = """
schema = 1
prompts = ["a beach"]
follow_s = 3
[[cue]]
follow_s = 3
[[cue]]
[[cue]]
[[cue]]
"""


@pytest.mark.parametrize(
    ("quantise", "said", "came"),
    [
        ("4 bars", ["/tpos/cue/go"], [(4.8, 1)]),  # asked at 2 s; the next would follow at 3 s
        ("4 bars", ["/tpos/cue/go", "/tpos/cue/go"], [(4.8, 2)]),
        ("4 bars", ["/tpos/cue/back"], [(4.8, -1), (9.6, 0), (14.4, 1)]),
        ("4 bars", ["/tpos/prompt"], [(4.8, 1)]),
        ("4 bars", [], [(4.8, 1)]),
        ("4 bars", ["/tpos/cue/lost"], [(4.8, 1)]),  # there is none: the next comes on its line
        ("next drop", ["/tpos/cue/go"], []),
    ],
)
def test_what_follows_adds_nothing_to_a_cue_that_waits(
    quantise: str, said: list[str], came: list[tuple[float, int]]
) -> None:
    rig = Rig(Show(presets.parse(FOUR, "four")))
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", quantise)
    rig.play(2.0)
    for address in said:
        rig.say(*{"/tpos/cue/lost": ("/tpos/cue", 50), "/tpos/prompt": ("/tpos/prompt", "x")}.get(address, (address,)))
    assert rig.play(25.0) == [(pytest.approx(at_s, abs=1.5 * STEP_S), cue) for at_s, cue in came]


@pytest.mark.parametrize(
    ("said", "came"),
    [
        ([], [(4.8, 1)]),  # over at 3 s
        ([("/tpos/cue/go",)], [(4.8, 1)]),
        ([("/tpos/cue/go",), ("/tpos/cue/go",)], [(4.8, 2)]),
        ([("/tpos/cue/back",)], [(4.8, -1), (9.6, 0)]),  # which follows, as any cue that is 3 s long
        ([("/tpos/cue", 50)], [(4.8, 1)]),  # there is none
        ([("/tpos/follow", False)], []),
        ([("/tpos/follow", False), ("/tpos/follow", True)], [(4.8, 1)]),
    ],
)
def test_what_the_operator_says_comes_in_the_place_of_what_waits_to_follow(
    said: list[tuple[str, object]], came: list[tuple[float, int]]
) -> None:
    rig = Rig(Show(presets.parse(FOUR, "four")))
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", "4 bars")
    rig.play(3.5)
    for address, *values in said:
        rig.say(address, *values)
    assert rig.play(10.0) == [(pytest.approx(at_s, abs=1.5 * STEP_S), cue) for at_s, cue in came]


def test_the_first_go_beside_what_waits_to_follow_on_a_drop_is_no_second_one() -> None:
    rig = Rig(Show(presets.parse(FOUR, "four")))
    rig.say("/tpos/quantise", "next drop")
    rig.play(3.5)
    rig.say("/tpos/cue/go")
    assert rig.play(10.0) == []
    rig.say("/tpos/quantise", "now")
    assert rig.play(10.1) == [(pytest.approx(10.0, abs=2.5 * STEP_S), 0)]


@pytest.mark.parametrize(
    "said",
    [[("/tpos/cue", 1)], [("/tpos/cue/name", "cue 1")], [("/tpos/cue/go",), ("/tpos/cue/back",)]],
)  # fmt: skip
def test_the_running_cue_that_is_asked_for_again_begins_anew(said: list[tuple[str, object]]) -> None:
    rig = Rig(Show(presets.parse(FOUR, "four")))
    rig.say("/tpos/cue", 1)
    rig.play(2.0)
    for address, *values in said:
        rig.show.command(address, tuple(values))
    assert rig.play(9.0) == [(pytest.approx(5.0, abs=2.5 * STEP_S), 1)]


@pytest.mark.parametrize(("address", "value"), [("/tpos/preset", "four"), ("/tpos/set", 1)])
def test_the_running_preset_that_is_asked_for_again_begins_anew(address: str, value: object) -> None:
    rig = Rig(Show(presets.parse(FOUR, "four"), order=("four",)))
    rig.play(2.0)
    rig.say(address, value)
    assert rig.play(6.0) == [(pytest.approx(5.0, abs=2.5 * STEP_S), 0)]


@pytest.mark.parametrize("said", [("/tpos/cue", 1), ("/tpos/cue/go", False), ("/tpos/motion", 0.3), ("/tpos/cue", 50)])
def test_a_surface_that_repeats_itself_and_what_puts_no_cue_on_hold_nothing_up(said: tuple[str, object]) -> None:
    rig = Rig(Show(presets.parse(FOUR, "four")))
    came: list[tuple[float, int]] = []
    rig.say("/tpos/cue", 1)
    while not came and rig.now_s < 9:
        rig.say(*said)
        came = rig.play(rig.now_s + 0.1)
    assert came == [(pytest.approx(3.0, abs=2.5 * STEP_S), 1)]


def test_a_cue_is_found_by_its_name_and_the_list_can_be_read(show: Show) -> None:
    rig = Rig(show)
    rig.say("/tpos/cue/name", "LAST")
    assert show.state.cue == 2
    rig.say("/tpos/cue/name", "cue 2")
    assert (show.stack.cue, show.stack.cues) == (1, ("Rise", "cue 2", "Last"))
    rig.say("/tpos/cue/name", "Lost")
    assert show.state.cue == 1
    assert show.effects.pop().text.endswith("no cue is called 'Lost'; accepted: Rise, cue 2, Last")


def test_the_set_goes_on_and_back_through_presets_that_may_come_twice(show: Show) -> None:
    rig, played = Rig(show), []
    assert (show.stack.place, show.stack.order) == (-1, ("a", "b", "a"))
    for key in ("PAGEDOWN", "PAGEDOWN", "PAGEDOWN", "PAGEDOWN", "PAGEUP", "PAGEUP", "PAGEUP"):
        address, values = show_command(key, show.state) or ("", ())
        rig.say(address, *values)
        played.append((show.state.preset, show.state.place))
    assert played == [("a", 0), ("b", 1), ("a", 2), ("a", 2), ("b", 1), ("a", 0), ("a", 0)]
    rig.say("/tpos/preset", "look")
    rig.say("/tpos/set/next")
    assert show.state.preset == "b"  # a preset in between is no step of the set
    rig.say("/tpos/set", 9)
    assert "accepted: 1..3" in show.effects.pop().text
    assert show.state.preset == "b"


def test_a_set_list_is_a_file_of_names_and_paths_or_a_folder(tmp_path: Path) -> None:
    for name in ("02 sun", "01 dusk"):
        (tmp_path / f"{name}.toml").write_text(f'schema = 1\nprompts = ["{name}"]')
    assert [one.name for one in set_list.read(str(tmp_path))] == ["01 dusk", "02 sun"]
    file = tmp_path / "lists" / "friday.toml"
    file.parent.mkdir()
    file.write_text('schema = 1\npresets = ["neon", "../02 sun.toml", "neon"]')
    assert [one.name for one in set_list.read(str(file))] == ["neon", "02 sun", "neon"]
    assert set_list.read("") == ()
    for text, said in (
        ('schema = 1\npresets = ["neom"]', "friday.toml: preset 1: no preset is called 'neom'; did you mean neon"),
        ('schema = 1\npresets = []', "presets = []; accepted: a list of 1..999"),
        ('schema = 1\npresets = ["../03.toml"]', "preset 1:.*no such preset file"),
        ('schema = 1\npreset = ["neon"]', "did you mean presets"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises((PresetError, MissingFileError), match=said.replace("[", r"\[").replace("?", r"\?")):
            set_list.read(str(file))
    (tmp_path / "lists" / "neon.toml").write_text('schema = 1\nprompts = ["mine"]')
    file.write_text('schema = 1\npresets = ["neon", "neon.toml"]')
    with pytest.raises(PresetError, match="two presets are called 'neon'"):
        set_list.read(str(file))
    (tmp_path / "empty").mkdir()
    with pytest.raises(PresetError, match=r"0 presets \(.toml\) in it"):
        set_list.read(str(tmp_path / "empty"))


def test_the_safe_look_is_there_at_once_and_the_way_back_leads_to_where_we_were(show: Show) -> None:
    rig = Rig(show)
    rig.say("/tpos/set/next")
    rig.say("/tpos/preset", "look")
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/prompt/1/text", "my own words")
    rig.say("/tpos/shader/glow", 0.9)
    rig.say("/tpos/quantise", "16 bars")
    rig.say("/tpos/preset", "b")
    assert show.stack.waits == "16 bars"
    before = show.state
    address, values = show_command("P", show.state) or ("", ())
    rig.say(address, *values)
    assert (show.state.preset, show.state.prompts, show.state.motion) == ("safe", (Prompt("calm"),), 0.1)
    assert (show.state.safe, show.state.fade_s, show.state.fade_bars) == (True, 0.0, 0.0)
    assert show.stack.waits == ""  # nothing comes over it later
    rig.play(60.0)
    assert show.state.preset == "safe"
    rig.say("/tpos/blackout", True)
    address, values = show_command("P", show.state) or ("", ())
    rig.say(address, *values)
    fresh = {"revision": 0, "fade_s": 0.0, "fade_bars": 0.0, "blackout": True}
    assert with_values(show.state, fresh) == with_values(before, fresh)
    rig.say("/tpos/quantise", "now")
    rig.say("/tpos/cue/go")
    assert show.state.cue == 1  # of the preset it was


def test_the_safe_look_leaves_the_set_where_it_is(show: Show) -> None:
    rig = Rig(show)
    for address in ("/tpos/set/next", "/tpos/safe", "/tpos/set/next", "/tpos/safe", "/tpos/set/back", "/tpos/safe"):
        rig.say(address)
    rig.say("/tpos/set/next")  # which ends it, one further on than where it was
    assert (show.state.preset, show.state.place, show.state.safe) == ("b", 1, False)


def test_another_preset_ends_the_safe_look(show: Show) -> None:
    rig = Rig(show)
    rig.say("/tpos/safe")
    rig.say("/tpos/preset", "b")
    assert (show.state.safe, show.state.preset) == (False, "b")
    rig.say("/tpos/safe", False)
    assert show.state.preset == "b"
    assert not any(effect.kind is EffectKind.PROBLEM for effect in show.effects)


@pytest.mark.parametrize(
    ("said", "seconds", "bars"),
    [(4, 4.0, 0.0), (2.5, 2.5, 0.0), ("1.5 s", 1.5, 0.0), ("3", 3.0, 0.0), ("2 bars", 0.0, 2.0), ("1 BAR", 0.0, 1.0),
     ("0.5bars", 0.0, 0.5), (99, 60.0, 0.0), ("99 bars", 0.0, 64.0)],
)  # fmt: skip
def test_fades_are_seconds_or_bars_wherever_said(show: Show, said: object, seconds: float, bars: float) -> None:
    for address, value, name in (("/tpos/prompt", "rain", "fade"), ("/tpos/blackout", True, "blackout_fade")):
        command, clamped = parse(address, [value, said])
        assert bool(clamped) == (said in (99, "99 bars"))
        show.apply(command)
        assert (getattr(show.state, f"{name}_s"), getattr(show.state, f"{name}_bars")) == (seconds, bars)


@pytest.mark.parametrize("said", ["soon", "-1", "2 beats", "1e9", "", "nan", "2 bars 3"])
def test_what_is_no_length_is_refused_and_said(said: str) -> None:
    with pytest.raises(CommandError, match=r"fade is '.*seconds, or text such as 2 bars, up to 64"):
        parse("/tpos/prompt", ["rain", said])


def test_a_cue_brings_its_fade_in_bars_and_leaves_with_the_presets(show: Show) -> None:
    rig = Rig(show)
    rig.say("/tpos/cue/go")
    assert (show.state.fade_s, show.state.fade_bars) == (2.0, 2.0)
    rig.say("/tpos/cue/back")
    assert (show.state.fade_s, show.state.fade_bars) == (2.0, 0.0)
