"""What operators may do to the show, as pure functions of its state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.control import presets
from engine.control.arguments import CommandError
from engine.control.isf_files import with_inputs
from engine.control.parameters import from_control, value_of, with_loras, with_values
from engine.control.preset_keys import MAX_PROMPTS
from engine.control.presets import Preset
from engine.core.beat_grid import Span
from engine.core.isf import Input, InputKind, Values
from engine.core.isf_header import MIX
from engine.core.messages import Prompt, ShowState
from engine.core.parameters import Kind, Parameter, Value

TAP_GAP_S = (0.2, 2.0)
"""Taps closer or further apart than this begin to count anew."""
TAPS = 8
ISF = "/tpos/isf/"
SAFE = "safe"
"""The preset that the operator flees to; a user's own of this name takes its place, a plain look where none is."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What commands may choose from: the running preset, all that can be switched to by name, and the set list.

    `left` is the show as it was before the safe look.
    """

    current: Preset | None = None
    library: Mapping[str, Preset] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    left: ShowState | None = None

    @property
    def own(self) -> tuple[Preset, ...]:
        """The running preset and those of the set list, wherever their files lie."""
        return (*filter(None, [self.current]), *(self.library[name] for name in self.order))


@dataclass(frozen=True, slots=True)
class Given:
    """A command's arguments, the N of its address (0 where it has none), when it came (show's clock), its address."""

    args: tuple[Any, ...]
    n: int = 0
    time_s: float = 0.0
    address: str = ""


Change = Callable[[ShowState, Looks, Given], ShowState]


def put(parameter: Parameter) -> Change:
    """Set a parameter; a switch without a value toggles."""

    def change(state: ShowState, looks: Looks, given: Given) -> ShowState:
        value = from_control(parameter, given.args[0])
        if parameter.kind is Kind.SWITCH and value is None:
            value = not value_of(state, parameter.name)
        return with_values(state, {parameter.name: value})

    return change


def set_tempo(parameter: Parameter) -> Change:
    """Set the tempo, or 0 to let the music decide; what was tapped no longer counts."""

    def change(state: ShowState, looks: Looks, given: Given) -> ShowState:
        return replace(put(parameter)(state, looks, given), taps_s=())

    return change


def tap(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """A beat was tapped; the second in a row takes the tempo over from a fixed one.

    The first in a row keeps the tempo that was tapped before, in BPM, and says only where the beat is.
    """
    if given.args and not given.args[0]:
        return state
    gap_s = given.time_s - state.taps_s[-1] if state.taps_s else 0.0
    chain = state.taps_s if TAP_GAP_S[0] < gap_s < TAP_GAP_S[1] else ()
    taps_s = (*chain, given.time_s)[-TAPS:]
    return replace(state, taps_s=taps_s, tempo_bpm=0.0 if chain else state.tempo_bpm or tapped_bpm(state.taps_s))


def tapped_bpm(taps_s: tuple[float, ...]) -> float:
    """The tempo that taps make, 0 for less than two."""
    return 60 * (len(taps_s) - 1) / (taps_s[-1] - taps_s[0]) if len(taps_s) > 1 else 0.0


def blackout(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Go black, or come back, in the time given."""
    on, fade = not state.blackout if given.args[0] is None else given.args[0], Span.of(given.args[1])
    return replace(state, blackout=on, blackout_fade_s=fade.seconds, blackout_fade_bars=fade.bars)


def safe(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Cut to the safe look, or back to where the show was."""
    on = not state.safe if given.args[0] is None else given.args[0]
    if on == state.safe:
        return state
    if not on:
        return presets.back(state, looks.left) if looks.left else replace(state, safe=False)
    calm, plain = looks.library.get(SAFE), ShowState(loras=state.loras)
    there = presets.to_state(calm, state) if calm else presets.back(state, plain)
    return replace(there, safe=True, fade_s=0.0, fade_bars=0.0)


def prompt(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Replace all prompts."""
    fade = Span.of(given.args[1])
    return replace(state, prompts=parse_prompts(given.args[0]), fade_s=fade.seconds, fade_bars=fade.bars)


def prompt_text(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """The text of prompt N."""
    return _with_prompt(state, given.n, text=given.args[0])


def prompt_weight(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """The weight of prompt N."""
    return _with_prompt(state, given.n, weight=given.args[0])


def lora(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """The strength of LoRA N, counted as they were loaded."""
    if given.n > len(state.loras):
        loaded = ", ".join(f"{n} {one.name}" for n, one in enumerate(state.loras, 1))
        raise CommandError(
            f"/tpos/lora/{given.n}/strength", f"there is no LoRA {given.n}", loaded or "none: --lora FILE loads one"
        )
    return with_loras(state, {state.loras[given.n - 1].name: given.args[0]})


def isf_input(state: ShowState, address: str) -> tuple[Input, Values] | None:
    """The input of a user's effect that an address names, `mix` too, and its value; None of one that is not on."""
    name, _, one = address.removeprefix(ISF).partition("/")
    for layer in (layer for layer in state.isf if address.startswith(ISF) and layer.file.name == name):
        if one == MIX:
            return Input(MIX, InputKind.FLOAT, (1.0,), (0.0,), (1.0,)), (layer.mix,)
        if known := layer.file.header.values.get(one):
            return known, layer.value(known)
    return None


def happens(value: Value) -> bool:
    """Whether that fires an event of a user's effect; 0, a pad's release, does not."""
    return value is None or float(value) >= 0.5


def isf(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """An input of a user's effect, or `mix`; an event without a value happens once."""
    name, _, one = given.address.removeprefix(ISF).partition("/")
    layers = {layer.file.name: layer for layer in state.isf}
    if name not in layers:
        accepted = ", ".join(layers) or "none: --isf FILE or a preset with [[isf]] brings one"
        raise CommandError(given.address, f"no effect in ISF is called {name!r:.60}", accepted)
    known, first = layers[name].file.header.values, given.args[0]
    if one == MIX:
        return with_inputs(state, {f"{name}.{MIX}": (min(max(1.0 if first is None else first, 0.0), 1.0),)})
    if one not in known:
        raise CommandError(given.address, f"{name} has no input {one!r:.60}", ", ".join([MIX, *known]))
    if known[one].kind is InputKind.EVENT:
        count = layers[name].value(known[one])[0]
        return with_inputs(state, {f"{name}.{one}": (count + happens(first),)})
    if first is None:
        raise CommandError(given.address, "0 arguments", known[one].accepted)
    return with_inputs(state, {f"{name}.{one}": known[one].take(given.args[: known[one].kind.numbers])})


def _with_prompt(state: ShowState, n: int, **change: Any) -> ShowState:
    prompts = [*state.prompts, *[Prompt("")] * (n - len(state.prompts))]
    prompts[n - 1] = replace(prompts[n - 1], **change)
    return replace(state, prompts=tuple(prompts), fade_s=0.0, fade_bars=0.0)


def preset(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Switch to a preset by its name, in any case."""
    name = _found(given.args[0], looks.library)
    if name is None:
        what, _, accepted = presets.unknown_preset(given.args[0], dict(looks.library)).partition("accepted: ")
        raise CommandError("/tpos/preset", what.rstrip("; "), accepted)
    return presets.to_state(looks.library[name], state)


def _found(asked: str, names: Iterable[str]) -> str | None:
    """One of the names, in any case where it is not there as it is."""
    known = {name.casefold(): name for name in reversed([*names])}
    return asked if asked in known.values() else known.get(asked.casefold())


def place(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Go to a place of the set list, counted from 1."""
    return _play(state, looks, given.args[0] - 1, "/tpos/set")


def step_set(by: int) -> Change:
    """Go some presets on or back in the set list, as far as there are any."""

    def change(state: ShowState, looks: Looks, given: Given) -> ShowState:
        wanted = min(max(state.place + by, 0), max(0, len(looks.order) - 1))
        return state if wanted == state.place or not given.args[0] else _play(state, looks, wanted, given.address)

    return change


def _play(state: ShowState, looks: Looks, wanted: int, address: str) -> ShowState:
    if wanted >= len(looks.order):
        accepted = f"1..{len(looks.order)}" if looks.order else "with --set FILE or FOLDER"
        raise CommandError(address, f"there is no preset {wanted + 1} of a set list", accepted)
    return replace(presets.to_state(looks.library[looks.order[wanted]], state), place=wanted)


def cue_named(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Go to a cue by its name, in any case."""
    names = cue_names(looks.current)
    name = _found(given.args[0], names)
    if name is None:
        raise CommandError("/tpos/cue/name", f"no cue is called {given.args[0]!r:.60}", ", ".join(names) or "none")
    return _go_to(state, looks, names.index(name))


def cue_names(preset: Preset | None) -> tuple[str, ...]:
    """What a preset's cues are called, `cue 2` where one has no name."""
    return tuple(cue.name or f"cue {number}" for number, cue in enumerate(preset.cues if preset else (), 1))


def cue(state: ShowState, looks: Looks, given: Given) -> ShowState:
    """Go to a cue, counted from 1; 0 is the preset itself."""
    cues = looks.current.cues if looks.current else ()
    if given.args[0] > len(cues):
        raise CommandError("/tpos/cue", f"there is no cue {given.args[0]}", f"0..{len(cues)}, 0 is the preset itself")
    return _go_to(state, looks, given.args[0] - 1)


def step_cue(by: int) -> Change:
    """Go some cues on or back, as far as there are any."""

    def change(state: ShowState, looks: Looks, given: Given) -> ShowState:
        last = len(looks.current.cues) - 1 if looks.current else -1
        wanted = min(max(state.cue + by, -1), last)
        return state if wanted == state.cue or not given.args[0] else _go_to(state, looks, wanted)

    return change


def _go_to(state: ShowState, looks: Looks, wanted: int) -> ShowState:
    return presets.to_cue(state, looks.current, wanted) if looks.current else state


_WEIGHT = re.compile(r":\s*(0|1|0?\.\d+|1\.0+|0\.0+)\s*$")


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """`a beach:0.7 | fire` as prompts; a part without a weight has 1, parts beyond the sixteenth are left out."""
    parts = [p for p in text.split("|") if p.strip()][:MAX_PROMPTS] or [""]
    return tuple(_one_prompt(p) for p in parts)


def _one_prompt(part: str) -> Prompt:
    weight = _WEIGHT.search(part)
    return Prompt(part[: weight.start()].strip(), float(weight[1])) if weight else Prompt(part.strip())
