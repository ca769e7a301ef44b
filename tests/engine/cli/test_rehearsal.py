"""`tpos doctor --show` on presets that would not play as they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.rehearsal import rehearse
from engine.cli import main

FLAT = """/*{ "INPUTS": [{"NAME": "level", "TYPE": "float", "DEFAULT": 0.2}] }*/
void main() { gl_FragColor = vec4(vec3(%s), 1.0); }
"""


def preset(folder: Path, name: str, prompt: str = "a lake", more: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'schema = 1\nprompts = ["{prompt}"]\n{more}')
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What is found in a folder of presets, a set list and names: state and words by part."""
    folder = tmp_path_factory.mktemp("show")
    for name, value in (("good", "level"), ("bad", "wrong")):
        (folder / f"{name}.fs").write_text(FLAT % value)
        preset(folder, f"effect {name}", more=f'[[isf]]\nfile = "{name}.fs"\n')
    preset(folder, "words", more='[[cue]]\nprompts = ["a blorptix at dawn"]\n')
    preset(folder, "lora", more="[lora]\nglow = 0.5\n")
    (folder / "evening.set").write_text('schema = 1\npresets = ["default", "safe"]\n')
    names = [str(folder), str(folder / "evening.set"), "nosuch"]
    return {one.part: (one.state.value, one.words) for one in rehearse(names, root=folder / "films", hours=1e6)}


def test_all_that_plays_is_named_by_its_presets(found):
    assert found["model pocket"][0] == "ok"
    assert found["preset effect good"] == ("ok", "0 cues, 1 effects of its own")
    assert {found[f"preset {name}"][0] for name in ("default", "safe")} == {"ok"}, "those of a set list"


def test_an_effect_that_the_driver_refuses_is_named_with_its_line(found):
    state, words = found["preset effect bad"]
    assert state == "wrong"
    assert "bad.fs, line 2" in words
    assert "wrong" in words


def test_words_of_cues_and_loras_that_are_not_loaded_are_named(found):
    assert found["preset words"] == ("missing", 'pocket does not draw "blorptix"')
    assert found["preset lora"][0] == "missing"
    assert "glow: not loaded" in found["preset lora"][1]


def test_a_preset_that_is_none_is_wrong(found):
    assert found["preset nosuch"][0] == "wrong"


def test_too_little_room_is_wrong_and_the_probe_is_gone(found):
    state, words = found["recordings"]
    assert state == "wrong"
    assert "1e+06 are needed" in words
    folder = Path(words.partition(":")[0])
    assert not [*folder.iterdir()]


def test_show_and_presets_come_together(capsys: pytest.CaptureFixture[str]):
    for words in (["doctor", "--show"], ["doctor", "default"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert "--show and presets come together" in capsys.readouterr().err
