"""Strengths of LoRAs as presets, cues, the command line, OSC and a session's log have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.app.options import LookOptions
from engine.control import presets
from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.show import EffectKind, Show
from engine.core.messages import LoraStrength, ShowState
from engine.recording.session import state_from_json, to_json, to_log
from tpos_models.errors import InputError, PresetError

HEAD = 'schema = 1\nprompts = ["a beach"]\n'
LOADED = ShowState(loras=(LoraStrength("style", 0.5), LoraStrength("ink")))
STORM = (
    HEAD
    + """[lora]
style = 0.8
mist = -1.5
[[cue]]
lora = { style = 0.1 }
[[cue]]
motion = 0.9
"""
)


def strengths(state: ShowState) -> dict[str, float]:
    return {lora.name: lora.strength for lora in state.loras}


def test_a_preset_sets_those_that_are_loaded_and_leaves_the_others():
    state = presets.to_state(presets.parse(STORM, "storm"), LOADED)
    assert strengths(state) == {"style": 0.8, "ink": 1.0}
    assert strengths(presets.to_state(presets.parse(HEAD, "plain"), LOADED)) == strengths(LOADED)


def test_a_cue_takes_back_what_the_one_before_it_named():
    preset = presets.parse(STORM, "storm")
    state = presets.to_state(preset, LOADED)
    first = presets.to_cue(state, preset, 0)
    assert strengths(first) == {"style": 0.1, "ink": 1.0}
    moved = replace(first, loras=(first.loras[0], LoraStrength("ink", 0.3)))
    assert strengths(presets.to_cue(moved, preset, 1)) == {"style": 0.8, "ink": 0.3}


def test_an_edit_changes_what_the_file_says_otherwise():
    old, new = presets.parse(STORM, "storm"), presets.parse(STORM.replace("mist = -1.5", "ink = 2.0"), "storm")
    moved = replace(LOADED, loras=(LoraStrength("style", 0.2), LoraStrength("ink", 0.2)))
    assert strengths(presets.edited(moved, old, new)) == {"style": 0.2, "ink": 2.0}
    assert presets.dump(presets.Preset("copy", presets.parse(presets.dump(new), "copy").look)) == presets.dump(new)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEAD + "lora = { style = 4.5 }\n", r"lora = .*; accepted: a table of at most 16 names, each a number -4\.\.4"),
        (HEAD + 'lora = { style = "much" }\n', r"lora = .*; accepted: a table of at most 16 names, each a number -4"),
        (HEAD + "lora = 1.0\n", r"lora = 1\.0; accepted: a table of at most 16 names, each a number -4\.\.4"),
        (STORM.replace("{ style =", "{ ink ="), "cue 1, lora.ink; accepted: those the preset names, style, mist"),
        (HEAD + "[[cue]]\nlora = { ink = 1.0 }\n", r"cue 1, lora.ink; .* none: it has no \[lora\]"),
    ],
)
def test_what_is_not_accepted_is_one_line(text, match):
    with pytest.raises(PresetError, match=match) as caught:
        presets.parse(text, "storm", "storm.toml")
    assert str(caught.value).startswith("storm.toml: ")
    assert "\n" not in str(caught.value)


def test_a_name_that_is_not_loaded_is_told_with_those_that_are():
    storm = presets.parse(STORM, "storm")
    line = "preset storm: lora mist: not loaded; loaded with --lora: style, ink"
    assert presets.not_loaded(storm, LOADED) == line
    assert presets.not_loaded(storm, ShowState()).endswith("lora style, mist: not loaded; loaded with --lora: none")
    show = Show(None, {"storm": storm}, LOADED)
    show.command("/tpos/preset", ("storm",))
    assert strengths(show.current())["style"] == 0.8
    assert (EffectKind.PROBLEM, line) in [(effect.kind, effect.text) for effect in show.effects]


def test_osc_counts_them_as_they_were_loaded_and_clamps():
    show = Show(base=LOADED)
    for address, value in (("/tpos/lora/2/strength", -0.25), ("/tpos/lora/1/strength", 9.0)):
        command, clamped = parse(address, (value,))
        show.queue.put(command)
        assert bool(clamped) is (value == 9.0)
    assert strengths(show.current()) == {"style": 4.0, "ink": -0.25}
    with pytest.raises(CommandError, match=r"unknown address; accepted: .*/tpos/lora/N/strength"):
        parse("/tpos/lora/17/strength", (1.0,))
    (effect,) = Show().apply(parse("/tpos/lora/1/strength", (1.0,))[0])
    assert effect.text == "/tpos/lora/1/strength: there is no LoRA 1; accepted: none: --lora FILE loads one"


def test_the_command_line_loads_them_and_says_how_strong_they_begin(tmp_path: Path):
    style, ink = (tmp_path / f"{name}.safetensors" for name in ("style", "ink"))
    for path in (style, ink):
        path.touch()
    (tmp_path / "storm.toml").write_text(STORM)

    def began(*lora: str) -> tuple[dict[str, float], list[str]]:
        show, troubles = LookOptions(
            "random:tiny-sd15", lora=list(lora), preset=str(tmp_path / "storm.toml")
        ).build_show()
        return strengths(show.state), [trouble for trouble in troubles if "lora" in trouble]

    absent = ["preset storm: lora mist: not loaded; loaded with --lora: style, ink"]
    assert began(str(style), f"{ink}:0.4") == ({"style": 0.8, "ink": 0.4}, absent)
    assert began(f"{style}:0.3", str(ink)) == ({"style": 0.3, "ink": 1.0}, absent)
    with pytest.raises(InputError, match="another is called style too"):
        began(str(style), str(style))


def test_a_session_keeps_them_with_the_state():
    line = msgspec.json.decode(to_json(to_log(LOADED, 1.0)))
    assert line["loras"] == [{"name": "style", "strength": 0.5}, {"name": "ink", "strength": 1.0}]
    assert state_from_json(line) == LOADED
    del line["loras"]
    assert state_from_json(line).loras == (), "of a session that knew none: each as strong as its file says"
