"""Stems in presets, what their rules may ask for, and what the command line says of where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.options import LookOptions
from engine.control import presets
from engine.control.presets import parse, to_state
from engine.control.show import Show
from engine.core.course import Follow
from engine.core.messages import Rule, ShowState
from engine.core.stems import Stem, patched
from tpos_models.errors import InputError, PresetError

PLAIN = "schema = 1\nprompts = ['a beach']\n"
DRUMS = "[[stem]]\nname = 'drums'\nchannels = [1, 2]\n"
VOICE = "[[stem]]\nname = 'voice'\nchannels = [4]\n"
FIRE = "[[rule]]\nstem = 'drums'\nfollow = 'onset'\nshow = 'fire'\n"
SKY = "[[rule]]\nstem = 'voice'\nhear = 'voice'\nshow = 'a sky'\n"
LOOK = PLAIN + DRUMS + VOICE + FIRE + SKY
STEMS = (Stem("drums", (1, 2)), Stem("voice", (4,)))


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own preset folder holds one with a stem."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = presets.user_directory()
    folder.mkdir(parents=True)
    (folder / "choir.toml").write_text(PLAIN + DRUMS.replace("drums", "choir"))
    return folder


def test_a_rule_names_its_stem_and_one_that_names_none_hears_the_main_mix() -> None:
    state = to_state(parse(LOOK + "[[rule]]\nhear = 'rain'\nshow = 'rain'", "mine"))
    assert state.stems == STEMS
    assert state.rules == (
        Rule("", "fire", follow=Follow.ONSET, stem="drums"), Rule("voice", "a sky", stem="voice"), Rule("rain", "rain"),
    )  # fmt: skip
    assert to_state(parse(presets.dump(parse(LOOK, "mine")), "mine")) == to_state(parse(LOOK, "mine"))
    assert to_state(parse(PLAIN, "plain"), state).stems == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PLAIN + DRUMS + SKY, "rule 1, stem = 'voice'; accepted: drums"),
        (PLAIN + SKY, "rule 1, stem = 'voice'; accepted: none: the preset has no [[stem]]"),
        (LOOK + "[[cue]]\n[[cue.rule]]\nstem = 'bass'\nhear = 'a'\nshow = 'b'", "cue 1: rule 1, stem = 'bass'"),
        (PLAIN + DRUMS + DRUMS, "two stems are called 'drums'"),
        (PLAIN + DRUMS + FIRE.replace("onset", "beat"), "rule 1 follows a stem's beat; accepted: level, bass"),
        (PLAIN + DRUMS.replace("[1, 2]", "[]"), "stem 1, channels = []; accepted: a list of 1..64"),
        (PLAIN + DRUMS.replace("[1, 2]", "[0]"), "stem 1, channels 1 = 0; accepted: a whole number 1..64"),
        (PLAIN + "".join(DRUMS.replace("drums", name) for name in "abcde"), "accepted: a list of 0..4"),
        (LOOK + "[[cue]]\n[[cue.stem]]\nname = 'x'\nchannels = [1]", "cue 1, stem is not a known key"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(text: str, says: str) -> None:
    with pytest.raises(PresetError) as error:
        parse(text, "x", "x.toml")
    assert str(error.value).startswith("x.toml: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_patch_replaces_channels_by_name_and_keeps_the_order() -> None:
    moved = Stem("voice", (7, 8))
    assert patched(STEMS, (moved, Stem("choir", (1,)))) == (STEMS[0], moved)
    assert patched(STEMS, ()) == STEMS


def test_where_stems_lie_here_outlives_edits_and_other_presets(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text(LOOK)
    show, _ = LookOptions(preset=str(path), stem=["drums=5,6", "choir=7"]).build_show()
    there = (Stem("drums", (5, 6)), Stem("choir", (7,)))
    assert show.state.patch == there
    assert patched(show.state.stems, show.state.patch) == (there[0], STEMS[1])
    show.edit(parse(LOOK.replace("[4]", "[3]"), "two"))
    assert patched(show.state.stems, show.state.patch) == (there[0], Stem("voice", (3,)))
    show.command("/tpos/preset", ("choir",))
    assert patched(show.current().stems, show.state.patch) == there[1:]
    show.command("/tpos/preset", ("default",))
    assert show.current().stems == ()


def test_cues_keep_the_stems_and_may_change_their_rules() -> None:
    cue = "[[cue]]\n[[cue.rule]]\nstem = 'voice'\nhear = 'rain'\nshow = 'rain'"
    show = Show(parse(LOOK + cue, "mine"), base=ShowState())
    show.command("/tpos/cue", (1,))
    assert show.current().rules == (Rule("rain", "rain", stem="voice"),)
    assert show.state.stems == STEMS


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["voice=1"], "--stem voice: no preset has such a stem; accepted: choir"),
        (["choir=1", "choir=2"], "--stem choir: given more than once"),
        (["choir"], "--stem choir: NAME=CHANNELS would be accepted"),
        (["choir=one"], "--stem choir=one: channel numbers from 1"),
        (["choir=0"], "--stem choir=0: channel numbers from 1"),
    ],
)
def test_what_the_command_line_cannot_mean_is_said_in_a_line(given: list[str], says: str) -> None:
    with pytest.raises(InputError) as error:
        LookOptions(stem=given).build_show()
    assert says in str(error.value)
