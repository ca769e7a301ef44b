"""Changes of look on the bar: when each is made, against a beat that is reckoned here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.control import presets
from engine.control.bar_line import Coming
from engine.control.show import Show
from engine.core.messages import SILENCE

LOOK = """
schema = 1
prompts = ["a beach"]
[[cue]]
prompts = ["waves"]
[[cue]]
prompts = ["fire"]
"""
BPM, PER_BAR, STEP_S = 120.0, 4, 0.01
BAR_S = PER_BAR * 60 / BPM


class Rig:
    """A show that is asked for its state every 10 ms, in a music whose bar 0 began at 0."""

    def __init__(self, quantise: str, at_s: float, ahead_s: float = 0.0) -> None:
        self.show = Show(presets.parse(LOOK, "look"), {"other": presets.parse('schema = 1\nprompts = ["x"]', "other")},
                         order=("other",))  # fmt: skip
        self.show.put({"quantise": quantise})
        self.now_s, self.ahead_s, self.bpm = at_s, ahead_s, BPM
        self.show.bar_line.coming, self.drops = self.coming, 0

    def coming(self) -> Coming:
        heard_s = self.now_s - 0.023  # the newest hop is a little old
        beats = heard_s * self.bpm / 60
        beat, bar = int(beats), int(beats) // PER_BAR
        features = replace(
            SILENCE, time_s=heard_s, bpm=self.bpm, beat=beat, beat_phase=beats - beat, bar=bar, bar_beat=beat % PER_BAR,
            drops=self.drops,
        )  # fmt: skip
        return Coming(features, self.now_s - heard_s + self.ahead_s)

    def say(self, address: str, *values: object) -> None:
        self.show.command(address, values)
        self.show.current()

    def until_changed(self, limit_s: float = 60.0) -> float:
        """When the look changed."""
        before, until_s = self.show.state, self.now_s + limit_s
        while self.show.current() is before:
            self.now_s += STEP_S
            assert self.now_s < until_s
        return self.now_s


@pytest.mark.parametrize(
    ("quantise", "line_s"),
    [("now", 3.1), ("beat", 3.5), ("bar", 4.0), ("4 bars", 8.0), ("8 bars", 16.0), ("16 bars", 32.0)],
)
@pytest.mark.parametrize(
    ("address", "value"),
    [("/tpos/cue", 1), ("/tpos/cue/go", True), ("/tpos/prompt", "rain"), ("/tpos/prompt/1/text", "rain"),
     ("/tpos/preset", "other"), ("/tpos/set/next", True), ("/tpos/set", 1),
     ("/tpos/cue/name", "cue 2"), ("/tpos/effects/mirror", "left"), ("/tpos/effects/kaleidoscope", 6)],
)  # fmt: skip
def test_a_change_of_look_is_made_on_its_line(quantise: str, line_s: float, address: str, value: object) -> None:
    rig = Rig(quantise, 3.1)
    before = rig.show.state
    rig.say(address, value)
    if quantise == "now":
        assert rig.show.state is not before
        return
    assert rig.show.bar_line.waits
    assert rig.until_changed() == pytest.approx(line_s, abs=1.5 * STEP_S)
    assert not rig.show.bar_line.waits
    assert rig.show.state.quantise == quantise  # whatever preset plays


def test_it_is_made_ahead_by_as_much_as_it_takes_to_be_seen() -> None:
    rig = Rig("bar", 3.1, ahead_s=0.18)
    rig.say("/tpos/cue", 1)
    assert rig.until_changed() == pytest.approx(4.0 - 0.18, abs=1.5 * STEP_S)


@pytest.mark.parametrize(
    ("quantise", "line_s"), [("beat", 3.5), ("bar", 4.0), ("4 bars", 8.0), ("8 bars", 16.0), ("16 bars", 32.0)]
)
def test_whoever_draws_is_told_of_the_line_and_of_the_look_before_it(quantise: str, line_s: float) -> None:
    rig = Rig(quantise, 3.1, ahead_s=0.18)
    before = rig.show.state
    rig.say("/tpos/cue", 1)
    rig.until_changed()
    made = rig.show.bar_line.made
    assert made is not None
    assert (made.before, made.after) == (before, rig.show.state)
    assert made.line_s == pytest.approx(line_s, abs=1e-6)


def test_what_would_be_seen_too_late_for_a_line_waits_for_the_next() -> None:
    rig = Rig("bar", 3.95, ahead_s=0.18)
    rig.say("/tpos/cue", 1)
    assert rig.until_changed() == pytest.approx(6.0 - 0.18, abs=1.5 * STEP_S)


def test_faders_and_the_stage_never_wait() -> None:
    rig = Rig("16 bars", 3.1)
    for address, value in (("/tpos/motion", 0.9), ("/tpos/effects/hue", 0.4), ("/tpos/blackout", True)):
        before = rig.show.state
        rig.say(address, value)
        assert rig.show.state is not before


def test_the_last_of_those_that_set_the_same_lands_and_steps_add_up() -> None:
    rig = Rig("bar", 3.1)
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/cue", 2)
    rig.until_changed()
    assert rig.show.state.cue == 1
    rig.say("/tpos/cue/back")
    rig.say("/tpos/cue/back")
    rig.until_changed()
    assert rig.show.state.cue == -1


def test_what_waits_for_a_drop_is_made_with_it_tempo_or_none() -> None:
    for bpm in (BPM, 0.0):
        rig = Rig("next drop", 3.1)
        rig.bpm = bpm
        rig.say("/tpos/cue", 1)
        rig.now_s += 600
        assert rig.show.current().cue == -1
        assert rig.show.bar_line.said == "a change waits: next drop, or the same asked for again"
        rig.drops += 1
        assert rig.show.current().cue == 0
        assert rig.show.bar_line.said == ""
        rig.say("/tpos/cue", 2)  # the drop that is playing is not the next one
        assert rig.show.current().cue == 0


def test_where_no_drop_comes_the_same_press_again_or_now_makes_the_change() -> None:
    rig = Rig("next drop", 3.1)
    rig.say("/tpos/cue/go", True)
    rig.say("/tpos/prompt", "rain")
    rig.now_s += 0.2
    rig.say("/tpos/cue/go", True)  # still the same press, of a surface that repeats itself
    assert rig.show.current().cue == -1
    rig.now_s += 0.4
    rig.say("/tpos/cue/go", True)
    assert (rig.show.current().cue, rig.show.state.prompts[0].text) == (0, "rain")
    rig.say("/tpos/cue/go", True)
    assert rig.show.state.cue == 0
    rig.say("/tpos/quantise", "now")
    assert rig.show.current().cue == 1


def test_who_thinks_better_of_it_asks_for_nothing_again() -> None:
    """A, B and A once more: B was given up, and so A is not asked for twice."""
    rig = Rig("next drop", 3.1)
    for text in ("rain", "snow", "rain"):
        rig.say("/tpos/prompt", text)
        rig.now_s += 2.0
    assert rig.show.current().prompts[0].text == presets.parse(LOOK, "look").look.prompts[0]
    rig.drops += 1
    assert rig.show.current().prompts[0].text == "rain"


def test_nothing_waits_where_there_is_no_tempo_or_no_longer_one_or_it_is_to_be_now() -> None:
    rig = Rig("bar", 3.1)
    rig.bpm = 0.0
    rig.say("/tpos/cue", 1)
    assert rig.show.state.cue == 0
    rig.bpm = BPM
    rig.say("/tpos/cue", 2)
    assert rig.show.state.cue == 0
    rig.bpm = 0.0
    assert rig.show.current().cue == 1
    assert rig.show.bar_line.made is not None
    assert rig.show.bar_line.made.line_s == 0.0  # long past: it is seen at once
    rig.bpm = BPM
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", "now")
    assert rig.show.current().cue == 0


@pytest.mark.parametrize(
    ("before", "after", "line_s"),
    [("next drop", "bar", 4.0), ("next drop", "beat", 3.5), ("16 bars", "beat", 3.5), ("bar", "4 bars", 8.0)],
)
def test_where_the_line_was_changed_all_waits_for_the_newest(before: str, after: str, line_s: float) -> None:
    rig = Rig(before, 3.1)
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", after)
    rig.say("/tpos/effects/mirror", "left")
    assert rig.show.bar_line.waits == after
    assert rig.until_changed() == pytest.approx(line_s, abs=1.5 * STEP_S)
    assert (rig.show.state.cue, rig.show.state.effects.mirror) == (0, "left")


def test_what_is_to_wait_for_a_drop_now_brings_along_what_waited_for_the_bar() -> None:
    rig = Rig("bar", 3.1)
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", "next drop")
    rig.say("/tpos/prompt", "rain")
    rig.now_s += 60
    assert rig.show.current().cue == -1
    rig.drops += 1
    assert (rig.show.current().cue, rig.show.state.prompts[0].text) == (0, "rain")


def test_what_waited_for_a_drop_and_is_asked_again_for_the_bar_is_made_once_and_there() -> None:
    rig = Rig("next drop", 3.1)
    rig.say("/tpos/cue/go", True)
    rig.say("/tpos/quantise", "bar")
    rig.now_s += 0.5
    rig.say("/tpos/cue/go", True)
    assert rig.until_changed() == pytest.approx(4.0, abs=1.5 * STEP_S)
    assert rig.show.state.cue == 0
    assert not rig.show.bar_line.waits


def test_without_a_line_what_is_asked_last_still_comes_after_what_waited_for_a_drop() -> None:
    rig = Rig("next drop", 3.1)
    rig.say("/tpos/cue", 1)
    rig.say("/tpos/quantise", "bar")
    rig.bpm = 0.0
    rig.say("/tpos/cue/name", "cue 2")
    assert rig.show.current().cue == 1
    rig.drops += 1
    assert rig.show.current().cue == 1
