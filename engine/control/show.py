"""The show: one table of what an operator can say, and the one owner of the state it changes.

OSC, keys and the README's table all speak through `ADDRESSES`. A change is a pure function of the state; what is
an event rather than state (snapshot, tap, recording asked for) comes back as `Effect`s for the live loop to carry out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from engine.control import presets
from engine.control.presets import MAX_FADE_S, MAX_PROMPTS, MAX_SEED, Preset
from engine.control.queue import Argument, Command, CommandError, Value
from engine.control.schema import near
from engine.core.messages import Prompt, ShaderAmounts, ShowState

GAIN_RANGE_DB = 24.0
"""`/tpos/audio/gain` 0..1 is -24..+24 dB; 0.5 leaves the level alone."""
SLOWEST_BPM = 30.0


@dataclass(frozen=True, slots=True)
class Looks:
    """What commands may choose from: the running preset and all that can be switched to by name."""

    current: Preset | None = None
    library: Mapping[str, Preset] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do once: `name` is snapshot, tap, tempo, record, preset or problem.

    `value` is the BPM for tempo and 1 or 0 for record; `text` the preset's name or the problem, whose sender is to be
    told `error`; `time_s` is when the command arrived, on the show's clock.
    """

    name: str
    value: float = 0.0
    text: str = ""
    time_s: float = 0.0
    error: CommandError | None = None


Change = Callable[[ShowState, Looks, int, tuple[Any, ...]], ShowState]


@dataclass(frozen=True, slots=True)
class Address:
    """One row of the table: `path` with N for a number 1..16, `applies` names the part of the state it changes."""

    path: str
    arguments: tuple[Argument, ...]
    doc: str
    applies: str
    change: Change | None = None

    def command(self, address: str, args: tuple[Value, ...], time_s: float = 0.0) -> Command:
        """A command for this row, with defaults for the arguments left out."""
        args += tuple(a.fallback for a in self.arguments[len(args) :])
        return Command(address, args, time_s, event=self.applies == "event" or None in args)


def _set(name: str) -> Change:
    return lambda state, looks, n, args: replace(state, **{name: args[0]})


def _toggle(name: str) -> Change:
    return lambda state, looks, n, args: replace(state, **{name: _flipped(args[0], getattr(state, name))})


def _flipped(wanted: Any, now: Any) -> Any:
    return not now if wanted is None else wanted


def _shader(name: str) -> Change:
    return lambda state, looks, n, args: replace(state, shader=replace(state.shader, **{name: args[0]}))


def _prompt(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return replace(state, prompts=parse_prompts(args[0]), fade_s=args[1])


def _prompt_text(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return _with_prompt(state, n, text=args[0])


def _prompt_weight(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return _with_prompt(state, n, weight=args[0])


def _with_prompt(state: ShowState, n: int, **change: Any) -> ShowState:
    prompts = [*state.prompts, *[Prompt("")] * (n - len(state.prompts))]
    prompts[n - 1] = replace(prompts[n - 1], **change)
    return replace(state, prompts=tuple(prompts), fade_s=0.0)


def _preset(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    if args[0] not in looks.library:
        what, _, accepted = presets.unknown_preset(args[0], dict(looks.library)).partition("accepted: ")
        raise CommandError("/tpos/preset", what.rstrip("; "), accepted)
    return presets.to_state(looks.library[args[0]], state)


def _cue(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    cues = looks.current.cues if looks.current else ()
    if args[0] > len(cues):
        raise CommandError("/tpos/cue", f"there is no cue {args[0]}", f"0..{len(cues)}, 0 is the preset itself")
    return _go_to(state, looks, args[0] - 1)


def _step(by: int) -> Change:
    def change(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
        last = len(looks.current.cues) - 1 if looks.current else -1
        cue = min(max(state.cue + by, -1), last)
        return state if cue == state.cue or not args[0] else _go_to(state, looks, cue)

    return change


def _go_to(state: ShowState, looks: Looks, cue: int) -> ShowState:
    return presets.to_cue(state, looks.current, cue) if looks.current else state


def _gain(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return replace(state, audio_gain_db=round((args[0] - 0.5) * 2 * GAIN_RANGE_DB, 3))


def _bpm(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return replace(state, tempo_bpm=args[0] if args[0] >= SLOWEST_BPM else 0.0)


def _blackout(state: ShowState, looks: Looks, n: int, args: tuple[Any, ...]) -> ShowState:
    return replace(state, blackout=_flipped(args[0], state.blackout), blackout_fade_s=args[1])


_TEXT = Argument("text", "s")
_FADE = Argument("fade_s", "f", high=MAX_FADE_S, optional=True, fallback=0.0)
_UNIT = Argument("value", "f")
_SWITCH = Argument("on", "b", optional=True)
_PRESS = Argument("pressed", "b", optional=True, fallback=True)
_BPM = Argument("bpm", "f", high=300)
_CUE = Argument("cue", "i", high=99)

ADDRESSES: tuple[Address, ...] = (
    Address(
        "/tpos/prompt",
        (_TEXT, _FADE),
        "Replace all prompts, crossfading over `fade_s` seconds. Several at once: `a beach:0.7 | fire:0.3`.",
        "prompts",
        _prompt,
    ),
    Address("/tpos/prompt/N/text", (_TEXT,), "Text of prompt N, 1..16; empty takes it out.", "prompts", _prompt_text),
    Address("/tpos/prompt/N/weight", (_UNIT,), "Weight of prompt N, 1..16.", "prompts", _prompt_weight),
    Address("/tpos/preset", (Argument("name", "s"),), "Switch to a preset, by name, never by path.", "look", _preset),
    Address("/tpos/cue/go", (_PRESS,), "Next cue.", "event", _step(1)),
    Address("/tpos/cue/back", (_PRESS,), "Previous cue.", "event", _step(-1)),
    Address("/tpos/cue", (_CUE,), "Cue by number from 1; 0 is the preset itself.", "cue", _cue),
    Address("/tpos/audio/gain", (_UNIT,), "Input trim: 0 is -24 dB, 0.5 is 0 dB, 1 is +24 dB.", "audio_gain_db", _gain),
    Address("/tpos/audio/amount", (_UNIT,), "How much the sound steers the picture.", "amount", _set("amount")),
    Address("/tpos/motion", (_UNIT,), "How much the picture moves by itself; 0 is a still.", "motion", _set("motion")),
    Address("/tpos/seed", (Argument("seed", "i", high=MAX_SEED),), "Another composition.", "seed", _set("seed")),
    Address("/tpos/tempo/tap", (_PRESS,), "Tap the beat.", "event", None),
    Address("/tpos/tempo/bpm", (_BPM,), "Set the tempo; below 30 the music decides.", "tempo_bpm", _bpm),
    Address("/tpos/freeze", (_SWITCH,), "Hold the picture; no argument toggles.", "freeze", _toggle("freeze")),
    Address("/tpos/blackout", (_SWITCH, _FADE), "Black, faded in and out; no argument toggles.", "blackout", _blackout),
    Address("/tpos/record", (_SWITCH,), "Record; no argument toggles.", "recording", _toggle("recording")),
    Address("/tpos/snapshot", (_PRESS,), "Save the picture on screen.", "event", None),
    *(
        Address(f"/tpos/shader/{name}", (_UNIT,), f"Reactive layer: {name.replace('_', ' ')}.", "shader", _shader(name))
        for name in ShaderAmounts.__dataclass_fields__
    ),
)

_EXACT: dict[str, tuple[Address, int]] = {
    row.path.replace("/N/", f"/{n}/"): (row, n if "/N/" in row.path else 0)
    for row in ADDRESSES
    for n in range(1, MAX_PROMPTS + 1)
}


def parse(address: str, values: Iterable[object] = (), time_s: float = 0.0) -> tuple[Command, str]:
    """A command from what was received, and a line saying what was clamped, if anything.

    Numbers and booleans are coerced into each other, and clamped. Raises CommandError for an unknown address, a wrong
    count or a wrong type.
    """
    row, _ = find(address)
    given = list(values)
    needed = sum(not a.optional for a in row.arguments)
    if not needed <= len(given) <= len(row.arguments):
        raise CommandError(address, f"{len(given)} arguments", signature(row) or "none")
    args: list[Value] = []
    clamped = ""
    for argument, value in zip(row.arguments, given, strict=False):
        try:
            args.append(argument.take(value))
        except ValueError as error:
            raise CommandError(address, str(error), signature(row)) from error
        if argument.clamps(value):
            clamped = f"{argument.name} clamped to {args[-1]:g}"
    if address == "/tpos/prompt" and str(args[0]).count("|") >= MAX_PROMPTS:
        clamped = f"prompts after the {MAX_PROMPTS}th left out"
    return row.command(address, tuple(args), time_s), clamped


def find(address: str) -> tuple[Address, int]:
    """The table's row for an address, and its N (0 where it has none). Raises CommandError with near spellings."""
    if address not in _EXACT:
        raise CommandError(address[:100], "unknown address", _near_addresses(address[:100]))
    return _EXACT[address]


@lru_cache(256)  # a patch that floods a wrong address must not cost the show its processor
def _near_addresses(address: str) -> str:
    paths = [row.path for row in ADDRESSES]
    guesses = near(re.sub(r"(?<=/)\d+(?=/|$)", "N", address), paths)
    return f"{', '.join(guesses or paths[:3])}; N is 1..{MAX_PROMPTS}"


def signature(row: Address) -> str:
    """The arguments of an address in words."""
    return ", ".join(f"{a.name} ({a.accepted})" + (" or nothing" if a.optional else "") for a in row.arguments)


def apply(state: ShowState, command: Command, looks: Looks | None = None) -> ShowState:
    """The state after a command; `revision` grows by one if anything changed.

    Raises CommandError for an unknown address, preset or cue.
    """
    row, n = find(command.address)
    args = row.command(command.address, command.args).args
    changed = row.change(state, looks or Looks(), n, args) if row.change else state
    return state if changed == state else replace(changed, revision=state.revision + 1)


_WEIGHT = re.compile(r":\s*(0|1|0?\.\d+|1\.0+|0\.0+)\s*$")


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """`a beach:0.7 | fire` as prompts; a part without a weight has 1, parts beyond the sixteenth are left out."""
    parts = [p for p in text.split("|") if p.strip()][:MAX_PROMPTS] or [""]
    return tuple(_one_prompt(p) for p in parts)


def _one_prompt(part: str) -> Prompt:
    weight = _WEIGHT.search(part)
    return Prompt(part[: weight.start()].strip(), float(weight[1])) if weight else Prompt(part.strip())


class Show:
    """Owner of the show state: replaces it whole, under a lock, so that any thread may apply and any may read."""

    def __init__(
        self, preset: Preset | None = None, library: Mapping[str, Preset] | None = None, base: ShowState | None = None
    ) -> None:
        self._lock = threading.Lock()
        named = {preset.name: preset} if preset else {}
        self._looks = Looks(preset, {**(library or {}), **named})
        start = base or ShowState()
        self._state = presets.to_state(preset, start) if preset else start

    @property
    def state(self) -> ShowState:
        """The newest state."""
        return self._state

    @property
    def looks(self) -> Looks:
        """The running preset and the library."""
        return self._looks

    def apply(self, command: Command) -> list[Effect]:
        """Carry out one command; what cannot be done comes back as a `problem`, the state as it was."""
        with self._lock:
            before = self._state
            try:
                self._state = apply(before, command, self._looks)
            except CommandError as error:
                return [Effect("problem", text=str(error), time_s=command.time_s, error=error)]
            if self._state.preset != before.preset:
                self._looks = replace(self._looks, current=self._looks.library[self._state.preset])
            return _effects(command, before, self._state)

    def set(self, **changes: Any) -> None:
        """Replace fields of the state: for the command line's overrides, and a recording that ended by itself."""
        with self._lock:
            self._state = replace(self._state, **changes, revision=self._state.revision + 1)

    def check(self, command: Command) -> None:
        """Raise CommandError for a preset that does not exist; cues wait, as a switch may be on its way before them."""
        if command.address == "/tpos/preset":
            apply(self._state, command, self._looks)

    def edit(self, preset: Preset) -> None:
        """Take in a preset whose file changed: into the library, and live if it is the running one.

        Live, only the keys whose value changed in the file are replaced; what the operator moved otherwise stays.
        """
        with self._lock:
            running = self._looks.current
            library = {**self._looks.library, preset.name: preset}
            if running is None or running.name != preset.name:
                self._looks = replace(self._looks, library=library)
                return
            self._looks = Looks(preset, library)
            changed = presets.edited(self._state, running, preset)
            if changed != self._state:
                self._state = replace(changed, revision=self._state.revision + 1)


def _effects(command: Command, before: ShowState, after: ShowState) -> list[Effect]:
    effects = []
    event = command.address.rsplit("/", 1)[1]
    if event in ("snapshot", "tap") and command.args != (False,):
        effects.append(Effect(event, time_s=command.time_s))
    if after.tempo_bpm != before.tempo_bpm:
        effects.append(Effect("tempo", after.tempo_bpm, time_s=command.time_s))
    if after.recording != before.recording:
        effects.append(Effect("record", float(after.recording), time_s=command.time_s))
    if after.preset != before.preset:
        effects.append(Effect("preset", text=after.preset, time_s=command.time_s))
    return effects
