"""How far a preset may go: the last value that is accepted, the first that is not, and the line that says so."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engine.control import presets
from engine.control.hot_reload import PresetWatcher
from engine.control.show import Show
from engine.core.messages import Prompt
from tpos_models.errors import PresetError

GOOD = 'schema = 1\nprompts = ["a beach"]\n'
RULE = "[[rule]]\nhear = 'rain'\nshow = 'rain'\n"


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own preset folder is empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("last", "beyond", "accepted"),
    [
        ("guidance_scale = 20.0", "guidance_scale = 20.5", "a number 0..20"),
        ("guidance_scale = 0.0", "guidance_scale = -0.5", "a number 0..20"),
        ("[[cue]]\nguidance_scale = 20.0", "[[cue]]\nguidance_scale = 21", "a number 0..20"),
        ("fade_s = 60.0", "fade_s = 61", "a number 0..60"),
        ("[[cue]]\nfade_s = 60", "[[cue]]\nfade_s = 60.5", "a number 0..60"),
        ("fade_s = 0", "fade_s = -1", "a number 0..60"),
        ("steps = 8", "steps = 9", "a whole number 1..8"),
        ("steps = 1", "steps = 0", "a whole number 1..8"),
        ("seed = 2147483647", "seed = 2147483648", "a whole number 0..2147483647"),
        (RULE * 32, RULE * 33, "a list of 0..32"),
        ("[[cue]]\n" * 99, "[[cue]]\n" * 100, "a list of 0..99"),
    ],
)
def test_the_last_value_is_accepted_and_the_next_is_not(last: str, beyond: str, accepted: str) -> None:
    presets.to_state(presets.parse(GOOD + last, "x"))
    with pytest.raises(PresetError) as error:
        presets.parse(GOOD + beyond, "x")
    assert accepted in str(error.value)


def test_a_text_of_64_000_characters_is_the_longest() -> None:
    longest = "x" * 64_000
    assert presets.parse(f"schema = 1\nprompts = ['{longest}']", "x").look.prompts == (longest,)
    with pytest.raises(PresetError, match=r"64000|64,000"):
        presets.parse(f"schema = 1\nprompts = ['{longest}x']", "x")


def test_no_more_of_a_file_is_read_than_a_preset_may_have(tmp_path: Path) -> None:
    """A hole of a terabyte stands for a file of any size: what is not a preset must not fill the memory."""
    endless = tmp_path / "endless.toml"
    endless.touch()
    os.truncate(endless, 2**40)
    with pytest.raises(PresetError, match="larger than 1000000 bytes"):
        presets.read(endless)


HOSTILE = {
    "nested": "x = " + "[" * 100_000 + "]" * 100_000,
    "long number": "motion = " + "9" * 4301,
    "long key": "k" * 400_000 + " = 1",
    "not text": "\udcff\udcfe",
}


@pytest.mark.parametrize("broken", HOSTILE.values(), ids=HOSTILE)
def test_what_breaks_a_parser_is_one_short_line(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes((GOOD + broken).encode(errors="surrogateescape"))
    with pytest.raises(PresetError) as refused:
        presets.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes among its files")
def test_a_pipe_is_no_preset_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    with pytest.raises(PresetError, match="accepted: a preset file"):
        presets.read(pipe)


def test_an_edit_that_keeps_the_files_size_is_seen_by_its_time(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    preset = presets.load(path)
    show = Show(preset)
    watcher = PresetWatcher(show.edit, pytest.fail, [preset])
    path.write_text(GOOD.replace("beach", "coast"))
    assert path.stat().st_size == len(GOOD)
    os.utime(path, (1_000_000_000, 1_000_000_001))
    watcher.poll()
    watcher.poll()
    assert show.state.prompts == (Prompt("a coast"),)


def test_a_file_that_was_only_touched_is_read_again_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    preset = presets.load(path)
    show = Show(preset)
    watcher = PresetWatcher(show.edit, pytest.fail, [preset])
    before = show.state
    os.utime(path, (1_000_000_000, 1_000_000_000))
    watcher.poll()
    watcher.poll()
    assert show.state == before
