"""Users' effects in ISF on their way into the state: presets, cues, OSC, edits of their files, options."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.app.options import LookOptions
from engine.control import isf_files, presets
from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.hot_reload import PresetWatcher
from engine.control.show import Show, apply
from engine.core.isf import IsfLayer
from engine.core.isf_size import Size
from engine.core.messages import ShowState
from engine.recording.session import state_from_json, to_log
from tpos_models.errors import InputError, PresetError

INPUTS: list[dict[str, Any]] = [
    {"NAME": "amount", "TYPE": "float", "DEFAULT": 0.3, "MIN": 0.0, "MAX": 2.0},
    {"NAME": "mode", "TYPE": "long", "DEFAULT": 4, "VALUES": [1, 4, 9], "LABELS": ["one", "four", "nine"]},
    {"NAME": "on", "TYPE": "bool"},
    {"NAME": "place", "TYPE": "point2D", "DEFAULT": [0.5, 0.5], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0]},
    {"NAME": "ink", "TYPE": "color", "DEFAULT": [1.0, 0.0, 0.0, 1.0]},
    {"NAME": "go", "TYPE": "event"},
    {"NAME": "inputImage", "TYPE": "image"},
]
PRESET = """
schema = 1
prompts = ["a beach"]

[[isf]]
file = "my rings.fs"
mix = 0.8
inputs = { amount = 1.5, mode = "nine", on = true, place = [0.1, 0.9], ink = [0.0, 1.0, 0.0] }

[[cue]]
isf = { my_rings = { amount = 0.5, mix = 0.2 } }

[[cue]]
motion = 0.1
"""


def write(folder: Path, inputs: list[dict] = INPUTS, name: str = "my rings", note: str = "") -> Path:
    path = folder / f"{name}.fs"
    path.write_text(f"/*{json.dumps({'INPUTS': inputs})}*/\nvoid main() {{ gl_FragColor = vec4(1.0); }} // {note}\n")
    return path


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own presets lie there, with nothing in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    presets.user_directory().mkdir(parents=True)
    return presets.user_directory()


@pytest.fixture
def preset(user_folder: Path) -> presets.Preset:
    write(user_folder)
    (user_folder / "rings.toml").write_text(PRESET)
    return presets.load("rings")


def values(state: ShowState) -> dict[str, tuple[float, ...]]:
    (layer,) = state.isf
    return {one.name: layer.value(one) for one in layer.file.header.values.values()} | {"mix": (layer.mix,)}


def send(state: ShowState, address: str, *args: object) -> ShowState:
    return apply(state, parse(address, args)[0])


SET = {
    "amount": (1.5,),
    "mode": (9.0,),
    "on": (1.0,),
    "place": (0.1, 0.9),
    "ink": (0.0, 1.0, 0.0, 1.0),
    "go": (0.0,),
    "mix": (0.8,),
}


def test_a_preset_brings_its_effects_with_their_values(preset):
    state = presets.to_state(preset)
    assert state.isf[0].file.name == "my_rings"
    assert values(state) == SET
    assert presets.to_state(presets.load("default"), state).isf == ()


def test_a_cue_changes_what_it_names_and_the_next_takes_it_back(preset):
    state = presets.to_cue(presets.to_state(preset), preset, 0)
    assert values(state) == SET | {"amount": (0.5,), "mix": (0.2,)}
    state = send(state, "/tpos/isf/my_rings/place", 0.7, 0.7)
    assert values(presets.to_cue(state, preset, 1)) == SET | {"place": (0.7, 0.7)}


@pytest.mark.parametrize(
    ("address", "args", "name", "value"),
    [
        ("amount", (0.7,), "amount", (0.7,)),
        ("amount", (9.0,), "amount", (2.0,)),
        ("mode", (1,), "mode", (1.0,)),
        ("mode", (6.0,), "mode", (4.0,)),
        ("on", (False,), "on", (0.0,)),
        ("place", (0.2, 3.0), "place", (0.2, 1.0)),
        ("ink", (0.1, 0.2, 0.3), "ink", (0.1, 0.2, 0.3, 1.0)),
        ("ink", (0.1, 0.2, 0.3, 0.4), "ink", (0.1, 0.2, 0.3, 0.4)),
        ("mix", (0.25,), "mix", (0.25,)),
        ("go", (), "go", (1.0,)),
        ("go", (1.0,), "go", (1.0,)),
        ("go", (0.0,), "go", (0.0,)),
    ],
)
def test_osc_sets_an_input(preset, address, args, name, value):
    state = presets.to_state(preset)
    changed = send(state, f"/tpos/isf/my_rings/{address}", *args)
    assert values(changed) == SET | {name: value}
    assert changed.revision == state.revision + (changed != state)


@pytest.mark.parametrize(
    ("address", "args", "words"),
    [
        ("/tpos/isf/rings/amount", (1.0,), "no effect in ISF is called 'rings'; accepted: my_rings"),
        ("/tpos/isf/my_rings/amont", (1.0,), "has no input 'amont'; accepted: mix, amount, mode"),
        ("/tpos/isf/my_rings/inputImage", (1.0,), "has no input"),
        ("/tpos/isf/my_rings/amount", (), "0 arguments; accepted: number 0..2"),
        ("/tpos/isf/my_rings/amount", ("loud",), "text"),
        ("/tpos/isf/my_rings", (1.0,), "unknown address"),
    ],
)
def test_osc_for_what_is_not_there_is_answered_in_a_line(preset, address, args, words):
    with pytest.raises(CommandError) as error:
        send(presets.to_state(preset), address, *args)
    assert words in str(error.value)


def test_an_event_that_was_over_before_a_redraw_happened(preset):
    show = Show(preset)
    for value in (1.0, 0.0, 1.0, 0.0):
        show.queue.put(show.check(parse("/tpos/isf/my_rings/go", (value,))[0]))
    assert values(show.current())["go"] == (2.0,)


def test_a_fader_low_on_an_event_fires_nothing_and_is_no_event(preset):
    """An event that waits is one of few; what sets a value is never refused."""
    show = Show(preset)
    low = show.check(parse("/tpos/isf/my_rings/go", (0.3,))[0])
    assert not low.event
    assert show.check(parse("/tpos/isf/my_rings/go", (0.5,))[0]).event
    show.queue.put(low)
    assert values(show.current())["go"] == (0.0,)


def test_only_names_that_some_preset_has_are_let_into_the_queue(preset):
    """The queue never refuses what sets a value, because the number of addresses is finite."""
    show = Show(presets.load("default"), {preset.name: preset})
    show.check(parse("/tpos/isf/my_rings/amount", (1.0,))[0])
    with pytest.raises(CommandError):
        show.check(parse("/tpos/isf/random123/amount", (1.0,))[0])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("my rings.fs", "rings.fs", "rings.fs: no such file"),
        ("amount = 1.5", "amount = 2.5", "isf 1, inputs.amount = 2.5; accepted: number 0..2"),
        ("amount = 1.5", "amout = 1.5", "did you mean amount? accepted: amount, mode"),
        ('"nine"', '"ten"', "inputs.mode = 'ten'; accepted: one | four | nine"),
        ('"nine"', "5", "inputs.mode = 5; accepted: one | four | nine"),
        ("[0.1, 0.9]", "[0.1, 0.9, 0.2]", "inputs.place = (0.1, 0.9, 0.2); accepted: x and y, each number 0..1"),
        ("on = true", "on = 0.5", "inputs.on = 0.5; accepted: true or false"),
        ("mix = 0.8", "mix = 1.8", "isf 1, mix = 1.8; accepted: a number 0..1"),
        ("{ my_rings =", "{ rings =", "cue 1, isf.rings; accepted: those of the preset, my_rings"),
        ("amount = 0.5, mix", "amount = 7, mix", "cue 1, isf.my_rings, inputs.amount = 7"),
        ("[[cue]]\nisf", '[[isf]]\nfile = "my rings.fs"\n[[cue]]\nisf', "two effects are called 'my_rings'"),
    ],
)
def test_a_preset_that_is_wrong_about_an_effect_is_refused_in_a_line(user_folder, preset, old, new, words):
    assert old in PRESET
    path = user_folder / "rings.toml"
    path.write_text(PRESET.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        presets.read(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


class Watched:
    """A show whose files are watched, one look at a time."""

    def __init__(self, preset: presets.Preset) -> None:
        self.show = Show(preset, {preset.name: preset})
        self.troubles: list[str] = []
        show = self.show
        self.watcher = PresetWatcher(show.edit, self.troubles.append, [preset], lambda: show.isf, show.reload)
        self._time_ns = 10**18

    def saved(self, path: Path) -> ShowState:
        """After an edit of a file has been seen twice."""
        self._time_ns += 10**9
        os.utime(path, ns=(self._time_ns, self._time_ns))
        self.watcher.poll()
        self.watcher.poll()
        return self.show.state


def test_an_edited_effect_is_taken_in_and_keeps_what_was_set(user_folder, preset):
    watched = Watched(preset)
    before = send(send(watched.show.state, "/tpos/isf/my_rings/amount", 0.9), "/tpos/isf/my_rings/ink", 0, 0, 1)
    watched.show.put({"isf": before.isf})
    narrower = [{**one, "MAX": 1.0} if one["NAME"] == "amount" else one for one in INPUTS[:3]]
    state = watched.saved(write(user_folder, narrower))
    assert values(state) == {"amount": (0.9,), "mode": (9.0,), "on": (1.0,), "mix": (0.8,)}
    assert watched.show.looks.library["rings"].isf[0].file == state.isf[0].file
    assert values(watched.saved(write(user_folder)))["ink"] == (1.0, 0.0, 0.0, 1.0), "forgotten with its input"
    assert state.isf[0].file.digest != before.isf[0].file.digest
    assert watched.troubles == []


def test_an_effect_mended_under_the_safe_look_is_there_on_the_way_back(user_folder, preset):
    watched = Watched(preset)
    watched.show.command("/tpos/safe", (True,))
    assert watched.show.current().isf == ()
    watched.saved(write(user_folder, INPUTS[:2]))
    watched.show.command("/tpos/safe", (False,))
    mended = watched.show.looks.library["rings"].isf[0].file
    assert [layer.file for layer in watched.show.current().isf] == [mended]
    assert mended.digest != preset.isf[0].file.digest


def test_a_broken_edit_is_said_once_and_the_last_good_one_goes_on(user_folder, preset):
    watched = Watched(preset)
    good = watched.show.state
    path = user_folder / "my rings.fs"
    path.write_text("/*{ INPUTS }*/")
    assert watched.saved(path) == good
    watched.watcher.poll()
    (trouble,) = watched.troubles
    assert trouble.startswith(f"{path}, line 1: not valid JSON")
    assert watched.saved(write(user_folder, note="good again")).isf != good.isf


def test_a_vertex_shader_beside_it_is_watched_too(user_folder, preset):
    (user_folder / "my rings.vs").write_text("void main() { isf_vertShaderInit(); }")
    watched = Watched(presets.read(user_folder / "rings.toml"))
    (user_folder / "my rings.vs").write_text("void main() { isf_vertShaderInit(); gl_Position.x = 0.0; }")
    assert "gl_Position.x" in watched.saved(user_folder / "my rings.vs").isf[0].file.vertex


def test_an_edited_preset_moves_only_the_inputs_that_changed_in_it(user_folder, preset):
    watched = Watched(preset)
    watched.show.put({"isf": send(watched.show.state, "/tpos/isf/my_rings/place", 0.3, 0.3).isf})
    path = user_folder / "rings.toml"
    path.write_text(PRESET.replace("amount = 1.5", "amount = 1.1"))
    assert values(watched.saved(path)) == SET | {"amount": (1.1,), "place": (0.3, 0.3)}


def test_the_command_line_puts_effects_in_place_of_the_preset_s(tmp_path, user_folder, preset):
    own = write(tmp_path, name="own")
    show, _ = LookOptions(preset="rings", isf=[str(own)]).build_show()
    assert [layer.file.name for layer in show.state.isf] == ["own"]
    assert show.isf >= {show.state.isf[0].file}
    with pytest.raises(PresetError, match="two effects are called 'own'"):
        LookOptions(isf=[str(own), str(own)]).build_show()


def test_the_log_keeps_which_effect_and_its_values_and_not_its_text(preset):
    state = presets.to_state(preset)
    line = json.dumps(to_log(state, 0.0))
    assert "gl_FragColor" not in line
    assert len(line) < 8000
    back = state_from_json(json.loads(line))
    assert back.isf[0].values == state.isf[0].values
    assert back.isf[0].file == state.isf[0].file.bare


def test_files_that_differ_in_anything_have_another_digest(tmp_path):
    first = isf_files.read(write(tmp_path))
    assert isf_files.read(write(tmp_path)) == first
    digests = {first.digest, isf_files.read(write(tmp_path, note="edited")).digest}
    (tmp_path / "my rings.vs").write_text("void main() { isf_vertShaderInit(); }")
    digests.add(isf_files.read(write(tmp_path)).digest)
    assert len(digests) == 3


def test_another_version_without_an_input_forgets_its_value(tmp_path):
    layer = IsfLayer(isf_files.read(write(tmp_path))).with_value("amount", (1.7,)).with_value("on", (1.0,))
    assert layer.of(isf_files.read(write(tmp_path, INPUTS[1:]))).values == (("on", (1.0,)),)


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("$WIDTH", 640),
        ("floor($WIDTH/3.0)", 213),
        ("max(4, $HEIGHT - 1000) * 2", 8),
        ("256", 256),
        ("$WIDTH*$zoom", 320),
        ("-5", 1),
        ("$WIDTH/0", 1),
        ("1e9", 4096),
        ("round(sqrt($HEIGHT))", 19),
    ],
)
def test_sizes_of_buffers(text, pixels):
    Size(text).check({"WIDTH", "HEIGHT", "zoom"})
    assert Size(text).pixels({"WIDTH": 640.0, "HEIGHT": 360.0, "zoom": 0.5}) == pixels
