"""Presets: the shipped looks, the schema's verdicts, and edits to real files while they run."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control import presets
from engine.control.addresses import parse
from engine.control.hot_reload import PresetWatcher
from engine.control.show import Show
from engine.core.course import Follow
from engine.core.messages import Prompt, Rule, ShowState
from tpos_models.errors import MissingFileError, PresetError

SCENES = [
    "beach_fire_waves",
    "park_rain_birds",
    "park_thunder_birds",
    "landscape_thunder",
    "garden_fire",
    "garden_water",
    "render_garden_fire",
    "fountain",
    "deep_sea",
    "forest_firewood",
    "volcano",
    "tunnel",
    "ink",
    "neon",
    "galaxy",
    "laser",
    "mandala",
    "crystal",
    "retrowave",
    "default",
]
GOOD = 'schema = 1\nprompts = ["a beach"]\n'


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own preset folder, empty, so that the tests do not read a real one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "tpos" / "presets"
    folder.mkdir(parents=True)
    return folder


def test_the_scenes_of_the_paper_and_club_looks_are_shipped() -> None:
    assert set(SCENES) <= set(presets.available())


@pytest.mark.parametrize("name", SCENES)
def test_a_shipped_preset_is_a_complete_look(name: str) -> None:
    preset = presets.load(name)
    assert preset.description
    assert preset.look.rules
    assert 2 <= len(preset.cues) <= 4
    assert all(cue.name for cue in preset.cues)
    show = Show(preset)
    assert (show.state.preset, show.state.cue) == (name, -1)
    for number in range(1, len(preset.cues) + 1):
        assert show.apply(parse("/tpos/cue", [number])[0]) == []
        assert show.state.cue == number - 1


@pytest.mark.parametrize("name", SCENES)
def test_a_dumped_preset_reads_back_as_the_same_look(name: str) -> None:
    preset = presets.load(name)
    assert presets.parse(presets.dump(preset), name).look == preset.look


def test_the_default_hears_nature_and_the_club() -> None:
    rules = presets.to_state(presets.load("default")).rules
    heard = {rule.hear for rule in rules}
    assert {"rain", "thunder", "fire", "waves", "dance music", "a kick drum", "a bass line", "a voice singing"} <= heard
    assert {rule.follow for rule in rules if rule.follow} >= {Follow.BREAKDOWN, Follow.BUILD, Follow.DROP}


def test_defaults_are_those_of_the_show_state() -> None:
    state = presets.to_state(presets.parse(GOOD, "x"))
    expected = ShowState(preset="x", prompts=(Prompt("a beach"),), fade_s=2.0)
    assert state == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("prompts = [", ["not valid TOML"]),
        ("\udcff", ["not valid TOML"]),
        ('prompts = ["x"]', ["schema is missing", "1"]),
        ("schema = 2\nprompts = ['x']", ["schema = 2", "accepted: 1"]),
        ("schema = 1", ["prompts is missing"]),
        (GOOD + "motoin = 1", ["motoin is not a known key", "did you mean motion?", "amount"]),
        (GOOD + "motion = 1.5", ["motion = 1.5", "a number 0..1"]),
        (GOOD + "motion = nan", ["motion = nan", "a number 0..1"]),
        (GOOD + "motion = 'fast'", ["motion = 'fast'", "a number 0..1"]),
        (GOOD + "guidance = 'strong'", ["guidance = 'strong'", "'blend'", "'semantic'", "'reference'"]),
        (GOOD + "seed = -1", ["seed = -1", "a whole number 0..2147483647"]),
        (GOOD + "flash_limiter = 0", ["flash_limiter = 0", "true or false"]),
        (GOOD + "[shader]\nzom = 1", ["shader.zom is not a known key", "did you mean zoom?"]),
        (GOOD + "shader = 3", ["shader = 3", "a table with the keys zoom"]),
        (GOOD + "[[rule]]\nhear = 'rain'", ["rule 1, show is missing", "text"]),
        (GOOD + "[[rule]]\nhear = 'a'\nshow = 'b'\n[[rule]]\nhear = 'a'\nshow = 2", ["rule 2, show = 2", "text"]),
        (GOOD + "[[rule]]\nshow = 'b'", ["rule 1 has not one of hear and follow"]),
        (GOOD + "[[cue]]\n[[cue.rule]]\nhear = 'a'\nfollow = 'bass'\nshow = 'b'", ["cue 1: rule 1", "not both"]),
        (GOOD + "[[rule]]\nfollow = 'treble'\nshow = 'b'", ["rule 1, follow = 'treble'", "accepted", "'bass'"]),
        (GOOD + "[[cue]]\n[[cue]]\n[cue.shader]\nwarp = 9", ["cue 2, shader.warp = 9", "a number 0..1"]),
        (GOOD + "[[cue]]\nweights = [1, 2]", ["cue 1, weights 2 = 2", "0..1"]),
        (GOOD + "[[cue]]\nweights = [1, 0]", ["cue 1, weights has 2 entries", "accepted: 1"]),
        (GOOD + "[[cue]]\nweights = [1]\nprompts = ['y']", ["cue 1, weights beside prompts"]),
        ("schema = 1\nprompts = []", ["prompts = []", "a list of 1..16"]),
        ("schema = 1\nprompts = [{ text = 'x', weihgt = 1 }]", ["prompts 1, weihgt", "did you mean weight?"]),
        ("schema = 1\nprompts = [3]", ["prompts 1 = 3", "text"]),
        ("schema = 1\nprompts = " + str(["x"] * 17), ["a list of 1..16"]),
    ],
)
def test_a_broken_preset_names_file_key_and_what_is_accepted(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(PresetError) as error:
        presets.load(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_rule_hears_a_phrase_or_follows_the_music() -> None:
    look = presets.parse(GOOD + "[[rule]]\nhear = 'rain'\nshow = 'a'\n[[rule]]\nfollow = 'bass'\nshow = 'b'", "mine")
    assert presets.to_state(look).rules == (Rule("rain", "a"), Rule("", "b", follow=Follow.BASS))
    assert presets.parse(presets.dump(look), "mine").look == look.look


def test_a_rule_that_hears_a_section_follows_the_track_and_no_phrase() -> None:
    names = {"breakdown": Follow.BREAKDOWN, "build-up": Follow.BUILD, "drop": Follow.DROP}
    lines = "".join(f"[[rule]]\nhear = '{name}'\nshow = 'a'\namount = 0.5\n" for name in [*names, "a drop of water"])
    *sections, phrase = presets.to_state(presets.parse(GOOD + lines, "mine")).rules
    assert sections == [Rule("", "a", 0.5, follow) for follow in names.values()]
    assert phrase == Rule("a drop of water", "a", 0.5)


def test_names_paths_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="did you mean volcano"):
        presets.load("vulcano")
    with pytest.raises(MissingFileError, match=r"nothing\.toml"):
        presets.load(tmp_path / "nothing.toml")
    with pytest.raises(MissingFileError):
        presets.load("../../x")
    with pytest.raises(PresetError, match="cannot be read"):
        presets.load(tmp_path)
    (tmp_path / "huge.toml").write_text("#" * 1_000_001)
    with pytest.raises(PresetError, match="larger than"):
        presets.load(tmp_path / "huge.toml")


def test_a_users_preset_replaces_a_shipped_one_and_a_broken_one_is_told(user_folder: Path) -> None:
    (user_folder / "volcano.toml").write_text(GOOD)
    (user_folder / "broken.toml").write_text("schema = 7")
    found, troubles = presets.library()
    assert presets.to_state(found["volcano"]).prompts == (Prompt("a beach"),)
    assert "broken" not in found
    assert len(troubles) == 1
    assert "broken.toml" in troubles[0]


class Watched:
    """A show with its watcher, polled by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.troubles: list[str] = []
        preset = presets.load(path)
        self.show = Show(preset)
        self.watcher = PresetWatcher(self.show.edit, self.troubles.append, [preset])

    def polled(self, times: int = 2) -> ShowState:
        for _ in range(times):
            self.watcher.poll()
        return self.show.state


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return Watched(path)


def test_a_good_edit_goes_live_once_the_file_rests(watched: Watched) -> None:
    watched.path.write_text("")
    assert watched.polled(1).prompts == (Prompt("a beach"),)
    watched.path.write_text(GOOD.replace("beach", "volcano"))
    assert watched.polled(1).prompts == (Prompt("a beach"),)
    assert watched.polled(1).prompts == (Prompt("a volcano"),)
    assert watched.troubles == []


def test_a_broken_edit_is_told_once_and_the_old_look_stays(watched: Watched) -> None:
    watched.path.write_text(GOOD + "motoin = 1")
    assert watched.polled(6).prompts == (Prompt("a beach"),)
    assert len(watched.troubles) == 1
    assert "did you mean motion?" in watched.troubles[0]
    watched.path.write_text(GOOD + "motion = 1.0\n")
    assert watched.polled().motion == 1.0


def test_a_file_that_vanishes_is_waited_for(watched: Watched) -> None:
    watched.path.unlink()
    assert watched.polled(4).prompts == (Prompt("a beach"),)
    other = watched.path.with_suffix(".new")
    other.write_text(GOOD.replace("beach", "desert"))
    other.replace(watched.path)
    assert watched.polled().prompts == (Prompt("a desert"),)
    assert watched.troubles == []


def test_a_new_preset_in_the_users_folder_can_be_switched_to(watched: Watched, user_folder: Path) -> None:
    watched.polled()
    (user_folder / "fresh.toml").write_text(GOOD)
    watched.polled(3)
    assert "fresh" in watched.show.looks.library


def test_the_watching_thread_sees_an_edit(watched: Watched) -> None:
    with watched.watcher:
        watched.path.write_text(GOOD.replace("beach", "galaxy"))
        deadline = time.monotonic() + 20
        while watched.show.state.prompts == (Prompt("a beach"),) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert watched.show.state.prompts == (Prompt("a galaxy"),)
    watched.watcher.close()


CUES = """
schema = 1
prompts = ["a beach"]
[[cue]]
name = "rise"
motion = 0.5
[[cue]]
name = "night"
motion = 0.9
prompts = ["night"]
[[cue]]
motion = 0.1
"""
INTRO = '[[cue]]\nname = "intro"\nmotion = 0.2\n'


@pytest.mark.parametrize("cue", [1, 2, 3])
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('[[cue]]\nname = "rise"', f'{INTRO}[[cue]]\nname = "rise"'),
        lambda text: text + INTRO,
        lambda text: text.replace("motion = 0.5\n[[cue]]", f"motion = 0.5\n{INTRO}[[cue]]").replace("beach", "desert"),
    ],
)
def test_the_running_cue_stays_on_where_others_come_beside_it(edit: Callable[[str], str], cue: int) -> None:
    show = Show(presets.parse(CUES, "look"))
    show.apply(parse("/tpos/cue", [cue])[0])
    motion, name = show.state.motion, show.stack.cues[cue - 1]
    show.edit(presets.parse(edit(CUES), "look"))
    assert show.state.motion == motion
    assert show.stack.cues[show.state.cue] == name or name == "cue 3"


def test_a_process_that_takes_over_keeps_the_tapped_tempo_and_not_the_moments() -> None:
    show, after = (Show(presets.parse(CUES, "look")) for _ in range(2))
    for tap_s in (10.0, 10.4, 10.8):
        show.apply(parse("/tpos/tempo/tap", [], tap_s)[0])
    after.restore(show.state)
    assert (after.state.tempo_bpm, after.state.taps_s) == (pytest.approx(150.0), ())


def test_a_running_cue_that_is_edited_and_moved_is_known_by_its_name() -> None:
    show = Show(presets.parse(CUES, "look"))
    show.apply(parse("/tpos/cue", [2])[0])
    show.edit(presets.parse(CUES.replace("[[cue]]", f"{INTRO}[[cue]]", 1).replace("0.9", "0.8"), "look"))
    assert (show.state.cue, show.state.motion, show.state.prompts) == (2, 0.8, (Prompt("night"),))


def test_what_is_mended_under_the_safe_look_is_there_on_the_way_back() -> None:
    calm = presets.parse('schema = 1\nprompts = ["calm"]\nmotion = 0.125', "safe")
    look = presets.parse(GOOD + "motion = 0.2", "look")
    show = Show(look, {"safe": calm})
    show.apply(parse("/tpos/shader/glow", [0.875])[0])
    show.apply(parse("/tpos/safe", [True])[0])
    show.edit(presets.parse(GOOD + "motion = 0.9", "look"))
    assert (show.state.preset, show.state.motion) == ("safe", 0.125)
    after = Show(look, show.looks.library)
    after.restore(show.state, show.looks.left)  # as after a process that died
    for one in (show, after):
        one.apply(parse("/tpos/safe", [False])[0])
        state = one.state
        assert (state.preset, state.motion, state.shader.glow, state.safe) == ("look", 0.9, 0.875, False)
