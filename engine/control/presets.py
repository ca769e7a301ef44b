"""Presets: complete looks in TOML, checked against one schema, and how they become show state.

A preset is found by name in the user's folder, then among the shipped ones; or by an explicit path. A cue is a partial
look laid over its preset: it sets what it names, takes back what the cue before it named, and leaves everything else,
the operator's own changes included, as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import UNSET

from engine.control import isf_files
from engine.control.parameters import PARAMETERS, value_of, with_loras, with_values
from engine.control.preset_keys import CueKeys, Look, LookKeys, RuleLine, Rules, Times
from engine.control.schema import decode_toml, near, read_bounded
from engine.core.beat_grid import Quantise
from engine.core.course import OF_STEMS, SECTIONS
from engine.core.isf import InputKind, IsfFile, IsfLayer, Values
from engine.core.isf_header import MIX
from engine.core.messages import Prompt, Rule, ShowState
from engine.core.stems import Stem
from tpos_models.errors import MissingFileError, PresetError

MAX_FILE_BYTES = 1_000_000
_LORA, _ISF = "lora.", "isf."
_LOOK = ("preset", "prompts", "rules", "stems", "loras", "isf", "cue")
"""What of a state belongs to the look beside parameters."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named look; `path` is where it came from, to be watched for edits, `isf` its effects as they were read."""

    name: str
    look: LookKeys
    path: Path | None = None
    isf: tuple[IsfLayer, ...] = ()

    @property
    def description(self) -> str:
        """One line for lists."""
        return self.look.description

    @property
    def cues(self) -> tuple[CueKeys, ...]:
        """Its cues in order; OSC and keys count them from 1, `ShowState.cue` from 0."""
        return cast("Any", self.look).cues


def user_directory() -> Path:
    """Where a user's own presets live: `tpos/presets` in the configuration folder."""
    config = os.environ.get("XDG_CONFIG_HOME") or (os.environ.get("APPDATA") if os.name == "nt" else None)
    return (Path(config) if config else Path.home() / ".config") / "tpos" / "presets"


def available() -> dict[str, Path]:
    """Every preset by name; a user's own replaces a shipped one of the same name."""
    shipped = Path(str(resources.files("presets")))
    found = {path.stem: path for folder in (shipped, user_directory()) for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def library() -> tuple[dict[str, Preset], list[str]]:
    """All presets that load, by name, and one line of trouble for each that does not."""
    presets, troubles = {}, []
    for name, path in available().items():
        try:
            presets[name] = read(path)
        except (PresetError, MissingFileError) as error:
            troubles.append(str(error))
    return presets, troubles


def load(name_or_path: str | Path) -> Preset:
    """A preset by name, or by path when it ends in .toml or holds a slash.

    Raises PresetError, MissingFileError.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read(Path(name_or_path).expanduser())
    known = available()
    if text not in known:
        raise PresetError(f"{unknown_preset(text, known)}; or the path of a .toml file")
    return read(known[text])


def unknown_preset(name: str, known: dict[str, Any]) -> str:
    """The line for a name that no preset has."""
    guesses = near(name, known)
    hint = f"did you mean {' or '.join(guesses)}? " if guesses else ""
    return f"no preset is called {name!r:.60}; {hint}accepted: {', '.join(known)}"


def read(path: Path) -> Preset:
    """The preset in one file, named after it. Raises PresetError, MissingFileError."""
    source = read_bounded(path, MAX_FILE_BYTES, "preset file")
    return replace(parse(source, path.stem, str(path), path.parent), path=path)


def parse(source: str | bytes, name: str, where: str = "preset", folder: Path = Path()) -> Preset:
    """A preset from TOML text, its effects' files from `folder` on. Raises PresetError, MissingFileError."""
    look = decode_toml(source, Look, where)
    stems = [stem.name for stem in look.stems]
    if twice := [name for name in stems if stems.count(name) > 1]:
        raise PresetError(f"{where}: two stems are called {twice[0]!r}; accepted: a name of its own for each")
    _check_rules(look.rules, stems, where)
    preset = Preset(name, look, isf=_layers(look, where, folder))
    for number, cue in enumerate(preset.cues, 1):
        _check_rules(() if cue.rules is UNSET else cue.rules, stems, f"{where}: cue {number}")
        if cue.weights is not UNSET:
            _check_weights(cue, cue.weights, len(look.prompts), f"{where}: cue {number}, weights")
        if unnamed := [name for name in _strengths(cue) if name not in look.lora]:
            accepted = ", ".join(look.lora) or "none: it has no [lora]"
            raise PresetError(f"{where}: cue {number}, lora.{unnamed[0]}; accepted: those the preset names, {accepted}")
        _cue_inputs(preset, cue, f"{where}: cue {number}, isf")
    return preset


def _layers(look: LookKeys, where: str, folder: Path) -> tuple[IsfLayer, ...]:
    """The effects a file names, with its values. Raises PresetError, MissingFileError."""
    layers = isf_files.layers((isf_files.read(folder / Path(line.file).expanduser()) for line in look.isf), where)
    made = []
    for number, (layer, line) in enumerate(zip(layers, look.isf, strict=True), 1):
        values = isf_files.taken(layer.file, line.inputs, f"{where}: isf {number}")
        made.append(replace(layer, mix=line.mix, values=tuple(sorted(values.items()))))
    return tuple(made)


def _cue_inputs(preset: Preset, cue: CueKeys, where: str = "") -> dict[str, Values]:
    """What a cue says of the inputs of its preset's effects, by isf.NAME.INPUT. Raises PresetError."""
    files = {layer.file.name: layer.file for layer in preset.isf}
    values: dict[str, Values] = {}
    for name, given in cue.isf.items():
        if name not in files:
            raise PresetError(
                f"{where}.{name}; accepted: those of the preset, {', '.join(files) or 'it has no [[isf]]'}"
            )
        own = isf_files.taken(files[name], given, f"{where}.{name}")
        values |= {f"{_ISF}{name}.{one}": value for one, value in own.items()}
    return values


def _check_rules(rules: Rules, stems: list[str], place: str) -> None:
    for number, rule in enumerate(rules, 1):
        if rule.stem is not UNSET and rule.stem not in stems:
            accepted = ", ".join(stems) or "none: the preset has no [[stem]]"
            raise PresetError(f"{place}: rule {number}, stem = {rule.stem!r:.60}; accepted: {accepted}")
        follow = rule.follow or SECTIONS.get(rule.hear or "")
        if rule.stem is not UNSET and follow and follow not in OF_STEMS:
            raise PresetError(f"{place}: rule {number} follows a stem's {follow}; accepted: {', '.join(OF_STEMS)}")
        if (rule.hear is UNSET) == (rule.follow is UNSET):
            raise PresetError(f"{place}: rule {number} has not one of hear and follow; accepted: either, not both")


def _check_weights(cue: CueKeys, weights: tuple[float, ...], prompts: int, place: str) -> None:
    if cue.prompts is not UNSET:
        raise PresetError(f"{place} beside prompts of its own; accepted: give each of those its weight instead")
    if len(weights) != prompts:
        raise PresetError(f"{place} has {len(weights)} entries; accepted: {prompts}, one for each prompt of the preset")


def dump(preset: Preset) -> str:
    """The preset as TOML with every key written out, so that later defaults cannot change it."""
    return msgspec.toml.encode(preset.look).decode()


def to_state(preset: Preset, base: ShowState | None = None) -> ShowState:
    """The whole look as show state.

    What belongs to the stage (gain, tempo, blackout, recording), and LoRAs that it does not name, stay as in `base`.
    """
    values = _values(preset, -1) | {"preset": preset.name, "cue": -1, "safe": False} | _fade(preset.look)
    return _with(base or ShowState(), values)


def back(state: ShowState, left: ShowState) -> ShowState:
    """The state with the look of another, at once; what belongs to the stage stays."""
    names = [name for name, parameter in PARAMETERS.items() if parameter.preset]
    look = {name: value_of(left, name) for name in (*names, *_LOOK)}
    return with_values(state, look | {"safe": False, "fade_s": 0.0, "fade_bars": 0.0})


def to_cue(state: ShowState, preset: Preset, cue: int) -> ShowState:
    """The state after going to `cue`, counted from 0; -1 is the preset without a cue."""
    named = _named(preset, preset.cues[cue]) if cue >= 0 else {}
    fade = _fade(preset.cues[cue] if cue >= 0 else preset.look)
    changes = _changes(_values(preset, state.cue), _values(preset, cue))
    if "weights" in named:
        named["prompts"] = _values(preset, cue)["prompts"]
    values = changes | {k: v for k, v in named.items() if k != "weights"}
    return _with(state, values | {"cue": cue} | fade)


def edited(state: ShowState, old: Preset, new: Preset) -> ShowState:
    """The state after the file changed from `old` to `new`: only keys whose value changed in the file are replaced."""
    cue = _found_again(state.cue, old, new)
    changes = _changes(_values(old, state.cue), _values(new, cue))
    return _with(state, changes | {"cue": cue} | ({"fade_s": 0.0, "fade_bars": 0.0} if changes else {}))


def _found_again(cue: int, old: Preset, new: Preset) -> int:
    """The number of a cue in an edited preset: of the same one, else of one of its name, else as it was."""
    if cue < 0 or (cue < len(new.cues) and new.cues[cue] == old.cues[cue]):
        return cue
    was = old.cues[cue]
    alike = [number for number, one in enumerate(new.cues) if one == was]
    named = [number for number, one in enumerate(new.cues) if was.name and one.name == was.name]
    return [*alike, *named, min(cue, len(new.cues) - 1)][0]


def not_loaded(preset: Preset, state: ShowState) -> str:
    """The line for LoRAs that a preset names and the show has not loaded, empty where there are none."""
    loaded = [lora.name for lora in state.loras]
    absent = ", ".join(name for name in preset.look.lora if name not in loaded)
    known = ", ".join(loaded) or "none"
    return absent and f"preset {preset.name}: lora {absent}: not loaded; loaded with --lora: {known}"


def _with(state: ShowState, values: dict[str, Any]) -> ShowState:
    """The state with values by the names of `_part`."""
    strengths = {name.removeprefix(_LORA): value for name, value in values.items() if name.startswith(_LORA)}
    inputs = {name.removeprefix(_ISF): value for name, value in values.items() if name.startswith(_ISF)}
    plain = {name: value for name, value in values.items() if not name.startswith((_LORA, _ISF))}
    if "isf" in plain:
        plain["isf"] = _kept(state.isf, plain["isf"])
    return isf_files.with_inputs(with_loras(with_values(state, plain), strengths), inputs)


def _kept(layers: Iterable[IsfLayer], files: Iterable[IsfFile]) -> tuple[IsfLayer, ...]:
    """A layer for each file, with what its effect was set to where it was on before."""
    known = {layer.file.name: layer for layer in layers}
    return tuple(known.get(file.name, IsfLayer(file)).of(file) for file in files)


def _values(preset: Preset, cue: int) -> dict[str, Any]:
    """The look with a cue laid over it, flat: `shader.zoom` and so on, as `ShowState` stores it."""
    values = _part(preset.look) | {"isf": tuple(layer.file for layer in preset.isf)}
    for layer in preset.isf:
        values[f"{_ISF}{layer.file.name}.{MIX}"] = (layer.mix,)
        settable = [one for one in layer.file.header.values.values() if one.kind is not InputKind.EVENT]
        values |= {f"{_ISF}{layer.file.name}.{one.name}": layer.value(one) for one in settable}
    if cue >= 0:
        over = _named(preset, preset.cues[cue])
        weights = over.pop("weights", None)
        values |= over
        if weights:
            values["prompts"] = tuple(map(Prompt, [p.text for p in values["prompts"]], weights))
    return values


def _named(preset: Preset, cue: CueKeys) -> dict[str, Any]:
    """What a cue says."""
    return _part(cue) | _cue_inputs(preset, cue)


def _part(part: LookKeys | CueKeys) -> dict[str, Any]:
    """What one table of the file says, by the names of `ShowState` and of the parameters; LoRAs as lora.NAME."""
    values = {name: _value_in(part, name) for name in PARAMETERS}
    values["weights"] = getattr(part, "weights", UNSET)
    if part.prompts is not UNSET:
        values["prompts"] = tuple(Prompt(p) if isinstance(p, str) else Prompt(p.text, p.weight) for p in part.prompts)
    if part.rules is not UNSET:
        values["rules"] = tuple(map(_rule, part.rules))
    if isinstance(part, LookKeys):
        values["stems"] = tuple(Stem(stem.name, stem.channels) for stem in part.stems)
    values |= {f"{_LORA}{name}": strength for name, strength in _strengths(part).items()}
    return {key: value for key, value in values.items() if value is not UNSET}


def _rule(line: RuleLine) -> Rule:
    follow = line.follow or SECTIONS.get(line.hear or "")
    heard, stem = "" if follow else line.hear or "", line.stem or ""
    return Rule(heard, line.show, line.amount, follow, stem, line.beatless, Quantise(line.quantise))


def _fade(times: Times) -> dict[str, float]:
    return {"fade_s": times.fade_s, "fade_bars": times.fade_bars}


def _strengths(part: LookKeys | CueKeys) -> Mapping[str, float]:
    return {} if part.lora is UNSET else part.lora


def _value_in(part: Any, name: str) -> Any:
    for key in name.split("."):
        part = getattr(part, key, UNSET)
    return part


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in after.items() if before.get(key) != value}
