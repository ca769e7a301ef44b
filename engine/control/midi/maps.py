"""MIDI maps: what a controller's knobs and buttons say, in TOML beside presets, checked as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from engine.control.arguments import CommandError
from engine.control.midi.targets import Target
from engine.control.preset_keys import Text
from engine.control.presets import MAX_FILE_BYTES, user_directory
from engine.control.schema import decode_toml, near, read_bounded, write_toml
from tpos_models.errors import InputError, PresetError

MAX_CONTROLS = 1024
_FINE = 32
"""From the cc of the upper seven bits to that of the lower."""


class Takeover(StrEnum):
    """What a knob does that does not stand where its parameter does.

    JUMP: the parameter goes to it; PICKUP: nothing until they meet; SCALE: they near each other.
    """

    JUMP = "jump"
    PICKUP = "pickup"
    SCALE = "scale"


class Encoder(StrEnum):
    """How an endless encoder says by how much it was turned: +1 and -1 are 1 and 127, 1 and 65, 65 and 63."""

    TWOS_COMPLEMENT = "twos complement"
    SIGNED_BIT = "signed bit"
    BINARY_OFFSET = "binary offset"


Channel = Annotated[int, Meta(ge=1, le=16)]
Byte = Annotated[int, Meta(ge=0, le=127)]
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One knob or button: one of `cc`, `note`, `program`, `bend`, and its `target`, a parameter or an OSC address.

    A `button` is a cc that is pressed. A `fine` cc comes in two messages of 7 bits each, `cc` and `cc` + 32. `value` is
    what a button says; without one it presses or toggles, and any program says its number. `low` and `high` are the
    ends of a knob, in the target's own unit. `on` and `off` are the velocities that light a button and do not, told
    on `light_channel`.
    """

    target: Text
    cc: Byte | UnsetType = UNSET
    note: Byte | UnsetType = UNSET
    program: Byte | Literal["any"] | UnsetType = UNSET
    bend: Literal[True] | UnsetType = UNSET
    channel: Channel | UnsetType = UNSET
    button: bool = False
    fine: bool = False
    encoder: Encoder | UnsetType = UNSET
    step: Annotated[float, Meta(ge=0.0001, le=1)] = 0.01
    value: bool | Number | Text | UnsetType = UNSET
    low: Number | UnsetType = UNSET
    high: Number | UnsetType = UNSET
    takeover: Takeover | UnsetType = UNSET
    feedback: bool = True
    on: Byte = 127
    off: Byte = 0
    light_channel: Channel | UnsetType = UNSET

    @property
    def lower_cc(self) -> int | None:
        """The cc that the lower seven bits of a fine one come in; None for one that cannot be fine."""
        return None if self.cc is UNSET or self.cc >= _FINE else self.cc + _FINE

    @property
    def is_button(self) -> bool:
        """Whether it is pressed, not turned."""
        return self.button or self.note is not UNSET or self.program is not UNSET

    @property
    def said(self) -> str:
        """What a button says, as text; "" for nothing of its own."""
        return "" if self.value is UNSET else f"{self.value:g}" if isinstance(self.value, float) else str(self.value)

    def __str__(self) -> str:
        kind = next(name for name in ("cc", "note", "program", "bend") if getattr(self, name) is not UNSET)
        number = "" if kind == "bend" else f" {getattr(self, kind)}"
        channel = "" if self.channel is UNSET else f" on channel {self.channel}"
        return f"{kind}{number}{channel}"


class MapFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A map's file; it is for ports with `device` in their name."""

    schema: Literal[1]
    device: Text = ""
    description: Text = ""
    takeover: Takeover = Takeover.PICKUP
    controls: Annotated[tuple[Control, ...], Meta(max_length=MAX_CONTROLS)] = field(default=(), name="control")


@dataclass(frozen=True, slots=True)
class MidiMap:
    """A named map; `targets` are those of its controls, `path` is where it came from.

    It is `unsaved` where something was learned or forgotten since.
    """

    name: str
    file: MapFile
    targets: tuple[Target, ...] = ()
    path: Path | None = None
    unsaved: bool = False

    def takeover(self, control: Control) -> Takeover:
        """How a control takes its target over."""
        return self.file.takeover if control.takeover is UNSET else control.takeover

    def learned(self, control: Control) -> MidiMap:
        """With one more control, in place of those that what moves it moved."""
        rest = [one for one in self.file.controls if not _moves_with(one, control)]
        return self._with((*rest, control))

    def without(self, target: str, value: str = "") -> MidiMap:
        """Without the controls of a target, an address; where `value` is given, without those that say it alone."""
        pairs = zip(self.file.controls, self.targets, strict=True)
        rest = [one for one, its in pairs if its.address != target or (value and value != one.said)]
        return self if len(rest) == len(self.targets) else self._with(rest)

    def _with(self, controls: Iterable[Control]) -> MidiMap:
        file = msgspec.structs.replace(self.file, controls=tuple(controls))
        return replace(made(self.name, file, self.path), unsaved=True)


def _moves_with(one: Control, other: Control) -> bool:
    """Whether what moves `other` moves `one` too, on any channel or as any program."""
    alike = (one.cc, one.note, one.bend) == (other.cc, other.note, other.bend)
    program = one.program == other.program or (one.program == "any" and other.program is not UNSET)
    return alike and program and one.channel in (UNSET, other.channel)


def user_maps() -> Path:
    """Where a user's own maps live: `tpos/midi` in the configuration folder."""
    return user_directory().parent / "midi"


def available() -> dict[str, Path]:
    """Every map by name; a user's own replaces a shipped one of the same name."""
    shipped = Path(str(resources.files("presets"))) / "midi"
    found = {path.stem: path for folder in (shipped, user_maps()) for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def load(name_or_path: str) -> MidiMap:
    """A map by name, or by path when it ends in .toml or holds a slash. Raises PresetError, MissingFileError."""
    if name_or_path.endswith(".toml") or "/" in name_or_path or "\\" in name_or_path:
        return read(Path(name_or_path).expanduser())
    known = available()
    if name_or_path not in known:
        guesses = near(name_or_path, known)
        hint = f"did you mean {' or '.join(guesses)}? " if guesses else ""
        accepted = f"{', '.join(known)}; or the path of a .toml file"
        raise PresetError(f"no MIDI map is called {name_or_path!r:.60}; {hint}accepted: {accepted}")
    return read(known[name_or_path])


def read(path: Path) -> MidiMap:
    """The map in one file, named after it. Raises PresetError, MissingFileError."""
    return parse(read_bounded(path, MAX_FILE_BYTES, "MIDI map"), path.stem, str(path), path)


def parse(source: str | bytes, name: str, where: str = "MIDI map", path: Path | None = None) -> MidiMap:
    """A map from TOML text. Raises PresetError."""
    return made(name, decode_toml(source, MapFile, where), path, where)


def made(name: str, file: MapFile, path: Path | None = None, where: str = "MIDI map") -> MidiMap:
    """A map of what its file says. Raises PresetError for a target that is not there, or what it cannot be told."""
    targets = []
    for number, control in enumerate(file.controls, 1):
        place = f"{where}: control {number}"
        given = [one for one in ("cc", "note", "program", "bend") if getattr(control, one) is not UNSET]
        if len(given) != 1:
            raise PresetError(
                f"{place} has {' and '.join(given) or 'no message'}; accepted: one of cc, note, program, bend"
            )
        if control.fine and control.lower_cc is None:
            raise PresetError(f"{place} is fine; accepted: with a cc of 0..31, which cc + 32 goes with")
        if control.encoder is not UNSET and control.cc is UNSET:
            raise PresetError(f"{place}, encoder; accepted: with a cc")
        low, high = (None if end is UNSET else end for end in (control.low, control.high))
        try:
            target = Target.of(control.target).between(low, high)
            if control.value is not UNSET:
                target.say(control.value)
                if not control.is_button:
                    raise CommandError(
                        control.target, "a value of a knob", "of a note, a program or a cc with button = true"
                    )
            elif not control.is_button or control.program == "any":
                target.check_turned()
        except CommandError as error:
            raise PresetError(f"{place}, {error}") from error
        targets.append(target)
    return MidiMap(name, file, tuple(targets), path)


def for_port(port: str) -> MidiMap:
    """The map for a port by its name, an empty one of a free name where there is none. Broken ones are passed over."""
    found, known = [], available()
    for path in known.values():
        try:
            one = read(path)
        except InputError:
            continue
        if one.file.device and one.file.device.casefold() in port.casefold():
            found.append(one)
    if found:
        return max(found, key=lambda one: len(one.file.device))
    device = port.partition(":")[0].strip() or port
    name = "".join(c if c.isalnum() else "_" for c in device.casefold()).strip("_") or "midi"
    while name in known:
        name += "_own"
    return MidiMap(name, MapFile(schema=1, device=device))


def save(midi_map: MidiMap) -> MidiMap:
    """Write a map into the user's folder under its name; the map as it lies there. Raises StorageError."""
    path = user_maps() / f"{midi_map.name}.toml"
    write_toml(path, midi_map.file)
    return replace(midi_map, path=path, unsaved=False)
