"""The one owner of the show state: commands in, a new state out, and what is an event rather than state.

A change is a pure function of the state (`changes`); a snapshot asked for, a preset switched to and a command that
failed come back as `Effect`s for the live loop to carry out.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from engine.control import presets
from engine.control.addresses import MAPPING, find, parse
from engine.control.arguments import CommandError
from engine.control.bar_line import FOLLOWING, BarLine, Made
from engine.control.changes import ISF, Given, Looks, cue_names, happens, isf_input, tapped_bpm
from engine.control.cue_stack import FollowOn, Stack
from engine.control.isf_files import reloaded
from engine.control.midi.targets import FORGET, LEARN, STEPS, Target
from engine.control.parameters import with_values
from engine.control.presets import Preset
from engine.control.queue import Command, CommandQueue
from engine.core.beat_grid import BeatGrid, ClockSource, Quantise
from engine.core.isf import InputKind, IsfFile
from engine.core.messages import ShowState
from engine.core.parameters import Value


class EffectKind(Enum):
    """What is to be done once."""

    SNAPSHOT = auto()
    PRESET = auto()
    PROBLEM = auto()
    OUTPUT = auto()
    LEARN = auto()
    FORGET = auto()
    SAVE_MAP = auto()
    MAP = auto()


BURST = "/tpos/snapshot/burst"
_PRESSED = {"/tpos/snapshot": EffectKind.SNAPSHOT, "/tpos/midi/save": EffectKind.SAVE_MAP}
_TAUGHT = {LEARN: EffectKind.LEARN, FORGET: EffectKind.FORGET}


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do once; `text` is the preset's or the output's name, what is to be learned or forgotten, how many
    snapshots, the problem, or what is said to a mapping: an address, `given` its arguments.

    `value` is what a button is to say; `on` whether an output is to be, None toggles.
    """

    kind: EffectKind
    text: str = ""
    value: str = ""
    on: bool | None = None
    given: tuple[Value, ...] = ()


def apply(state: ShowState, command: Command, looks: Looks | None = None) -> ShowState:
    """The state after a command; `revision` grows by one if anything changed.

    Raises CommandError for an unknown address, preset or cue.
    """
    row, n = find(command.address)
    args = row.command(command.address, command.args).args
    changed = (
        row.change(state, looks or Looks(), Given(args, n, command.time_s, command.address)) if row.change else state
    )
    return state if changed == state else replace(changed, revision=state.revision + 1)


class Show:
    """Replaces the state whole, under a lock, so that any thread may command and any may read.

    Commands wait in `queue` until somebody asks for the state; `effects` are the main thread's to carry out.
    """

    def __init__(
        self,
        preset: Preset | None = None,
        library: Mapping[str, Preset] | None = None,
        base: ShowState | None = None,
        order: tuple[str, ...] = (),
    ) -> None:
        self.queue = CommandQueue()
        self.effects: deque[Effect] = deque(maxlen=256)
        self.bar_line = BarLine()
        self._follow_on = FollowOn()
        self._lock = threading.Lock()
        named = {preset.name: preset} if preset else {}
        self._looks = Looks(preset, {**(library or {}), **named}, order)
        start = replace(base or ShowState(), place=order.index(preset.name) if preset and preset.name in order else -1)
        self._state = presets.to_state(preset, start) if preset else start

    @property
    def state(self) -> ShowState:
        """The newest state, without the commands that wait."""
        return self._state

    @property
    def looks(self) -> Looks:
        """The running preset and the library."""
        return self._looks

    def current(self) -> ShowState:
        """The newest state, every waiting command applied first but for those that wait for a line of the music."""
        with self._lock:
            before, bar_line = self._state, self.bar_line
            moved = bar_line.moves_stack
            for command in bar_line.due(before.quantise):
                self.effects.extend(self._carry_out(command))
            if self._state is not before:
                bar_line.made = Made(before, self._state, bar_line.line_s)
            for command in self.queue.take_all():
                if not bar_line.holds(command, self._state.quantise):
                    self.effects.extend(self._carry_out(command))
            if not self._state.follow:
                bar_line.stay()
            over = not bar_line.follows and self._follow_on.due(
                self._state, self._looks.current, bar_line.coming, bar_line.moves_stack
            )
            on_line = over and (over.bars or moved)  # what was to move the stack on this line did not
            if over and (on_line or not bar_line.holds(FOLLOWING, self._state.quantise)):
                before = self._state
                self.effects.extend(self._carry_out(FOLLOWING))
                if on_line:
                    line_s = bar_line.coming().line_s(Quantise.BEAT) if over.bars else bar_line.line_s
                    bar_line.made = Made(before, self._state, line_s)
            return self._state

    @property
    def stack(self) -> Stack:
        """Where it stands in its cues and its set."""
        state, looks = self._state, self._looks
        cues, waits = cue_names(looks.current), str(self.bar_line.waits or "")
        return Stack(state.preset, state.cue, cues, self._follow_on.left_s, waits, state.place, looks.order)

    def command(self, address: str, args: tuple[object, ...] = (), time_s: float = 0.0) -> None:
        """What a key says; the same path as OSC."""
        self.queue.put(parse(address, args, time_s)[0])

    def apply(self, command: Command) -> list[Effect]:
        """Carry out one command at once; what cannot be done comes back as a problem, the state as it was."""
        with self._lock:
            return self._carry_out(command)

    def set(self, **changes: Any) -> None:
        """Replace fields of the state: for the command line's overrides, and a recording that ended by itself."""
        self.put(changes)

    def put(self, values: Mapping[str, Any]) -> None:
        """The same by parameter names."""
        with self._lock:
            self._state = replace(with_values(self._state, values), revision=self._state.revision + 1)

    def restore(self, state: ShowState, left: ShowState | None = None) -> None:
        """Go on where another process was, and had `left` for the safe look; what other clocks said they say anew."""
        with self._lock:
            current = self._looks.library.get(state.preset, self._looks.current)
            self._looks = replace(self._looks, current=current, left=left)
            bpm = state.tempo_bpm or tapped_bpm(state.taps_s)  # where the beat was is over
            self._state = replace(state, grids=(), taps_s=(), tempo_bpm=bpm, revision=self._state.revision + 1)

    def keep_time(self, source: ClockSource, grid: BeatGrid | None) -> None:
        """What another clock says now; None: it no longer does. What agrees with what it said before is no change."""
        with self._lock:
            others = tuple(one for one in self._state.grids if one.source is not source)
            known = next((one for one in self._state.grids if one.source is source), None)
            if known is not grid and not (known and grid and known.agrees(grid)):
                grids = (*others, grid) if grid else others
                self._state = replace(self._state, grids=grids, revision=self._state.revision + 1)

    def check(self, command: Command) -> Command:
        """The command as it is to be queued. Raises CommandError for a preset or a target that does not exist.

        Cues wait, as a switch may be on its way before them. An event of a user's effect counts, whatever comes after.
        """
        if command.address in _TAUGHT and not (command.address == LEARN and command.args[0] in ("", *STEPS)):
            target, value = map(str, command.args)
            Target.of(target).check_taught(value)
        if command.address == "/tpos/preset":
            apply(self._state, command, self._looks)
        if command.address.startswith(ISF) and not any(command.address.startswith(f"{ISF}{f.name}/") for f in self.isf):
            apply(self._state, command, self._looks)
        named = isf_input(self._state, command.address)
        is_press = named is not None and named[0].kind is InputKind.EVENT and happens(command.args[0])
        return replace(command, event=True) if is_press else command

    @property
    def isf(self) -> frozenset[IsfFile]:
        """Every effect in ISF that is on, or is of a preset that may be switched to."""
        running = [self._looks.current] if self._looks.current else []
        of_presets = [layer for preset in (*running, *self._looks.library.values()) for layer in preset.isf]
        return frozenset(layer.file for layer in (*self._state.isf, *of_presets))

    def reload(self, file: IsfFile) -> None:
        """Take in an effect whose file changed, wherever it is used; values that it still takes stay."""
        with self._lock:
            looks = self._looks
            library = {name: replace(one, isf=reloaded(one.isf, file)) for name, one in looks.library.items()}
            current = looks.current and replace(looks.current, isf=reloaded(looks.current.isf, file))
            left = looks.left and replace(looks.left, isf=reloaded(looks.left.isf, file))
            self._looks = replace(looks, current=current, library=library, left=left)
            layers = reloaded(self._state.isf, file)
            if layers != self._state.isf:
                self._state = replace(self._state, isf=layers, revision=self._state.revision + 1)

    def edit(self, preset: Preset) -> None:
        """Take in a preset whose file changed: into the library, and live if it is the running one.

        Live, only the keys whose value changed in the file are replaced; what the operator moved otherwise stays. So it
        is with the look that was left for the safe one.
        """
        with self._lock:
            running, left, known = self._looks.current, self._looks.left, self._looks.library.get(preset.name)
            if left and known and left.preset == preset.name:
                self._looks = replace(self._looks, left=presets.edited(left, known, preset))
            library = {**self._looks.library, preset.name: preset}
            if running is None or running.name != preset.name:
                self._looks = replace(self._looks, library=library)
                return
            self._looks = replace(self._looks, current=preset, library=library)
            changed = presets.edited(self._state, running, preset)
            if changed != self._state:
                self._state = replace(changed, revision=self._state.revision + 1)

    def _carry_out(self, command: Command) -> list[Effect]:
        before = self._state
        try:
            self._state = apply(before, command, self._looks)
        except CommandError as error:
            self.queue.fail(command, error)
            return [Effect(EffectKind.PROBLEM, str(error))]
        self._follow_on.carried_out(command, before, self._state, self.bar_line.coming())
        effects = []
        if self._state.preset != before.preset:
            self._looks = replace(self._looks, current=self._looks.library.get(self._state.preset))
            effects.append(Effect(EffectKind.PRESET, self._state.preset))
            if self._looks.current and (absent := presets.not_loaded(self._looks.current, self._state)):
                effects.append(Effect(EffectKind.PROBLEM, absent))
        if self._state.safe and not before.safe:
            self.bar_line.take_all()
            self._looks = replace(self._looks, left=before)
        if command.address in _TAUGHT:
            target, value = map(str, command.args)
            effects.append(Effect(_TAUGHT[command.address], target, value))
        if command.address == "/tpos/output":
            name, on = command.args
            effects.append(Effect(EffectKind.OUTPUT, str(name), on=None if on is None else bool(on)))
        if command.address.startswith(MAPPING):
            effects.append(Effect(EffectKind.MAP, command.address, given=command.args))
        if command.address in _PRESSED and command.args != (False,):
            effects.append(Effect(_PRESSED[command.address]))
        if command.address == BURST:
            effects.append(Effect(EffectKind.SNAPSHOT, str(command.args[0])))
        return effects
