"""One controller: its map, where its knobs stand, what its lights show, and what it is taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mido
from msgspec import UNSET, structs

from engine.control.addresses import parse
from engine.control.arguments import CommandError
from engine.control.midi.knobs import Knob, concerns, turned
from engine.control.midi.maps import Control, MidiMap, Takeover
from engine.control.midi.song_clock import SongClock
from engine.control.midi.targets import Target
from engine.control.queue import Command
from engine.core.messages import ShowState
from engine.core.parameters import Kind

FINE_WITHIN_S = 0.5
"""A knob that was just learned and sends its lower seven bits within this is a fine one."""
PRESSED = 64


class Device:
    """What one port's messages say, and what is said back. Owned by the MIDI thread."""

    def __init__(self, midi_map: MidiMap) -> None:
        self.clock = SongClock()
        self._learned: tuple[Control, float] | None = None
        self.use(midi_map)

    def use(self, midi_map: MidiMap) -> None:
        """Go by another map, or by an edited one; knobs must be met again."""
        self.map = midi_map
        self._knobs = [Knob() for _ in midi_map.targets]
        self._moved: set[int] = set()
        self._shown: dict[int, int] = {}

    def commands(self, message: mido.Message, state: ShowState, time_s: float) -> list[Command]:
        """What a message says to the show, nothing where it is no control's."""
        if self._is_fine_after_all(message, time_s):
            return []
        found = (n for n, one in enumerate(self.map.file.controls) if concerns(one, message))
        return [command for n in found if (command := self._command(n, message, state, time_s))]

    def settle(self, state: ShowState) -> None:
        """What was said is done: so stand the parameters of the knobs that were moved."""
        for n in self._moved:
            place = self.map.targets[n].place(state)
            self._knobs[n].settle(place)
            if self._follows_by_itself(n) and place is not None:
                self._shown[n] = self._light(n, state) or 0
        self._moved.clear()

    def lights(self, state: ShowState) -> Iterator[mido.Message]:
        """What the device is to show anew."""
        for n, control in enumerate(self.map.file.controls):
            light = self._light(n, state)
            if light is not None and self._shown.get(n) != light:
                self._shown[n] = light
                yield from _shows(control, light)

    def learn(self, target: Target, message: mido.Message, state: ShowState, time_s: float) -> Control | None:
        """Map what this message moves to a target; None where it moves nothing. Raises CommandError, PresetError.

        The hand is on the knob: its target follows it from where it is.
        """
        control = _taught(target, message, state)
        if control is not None:
            self._learned = control, time_s
            self.use(self.map.learned(control))
            self._knobs[-1].said = self._knobs[-1].stood = target.place(state)
        return control

    def _is_fine_after_all(self, message: mido.Message, time_s: float) -> bool:
        if self._learned is None or message.type != "control_change":
            return False
        control, since_s = self._learned
        if control.fine or message.control != control.lower_cc:
            return False
        self._learned = None
        if time_s - since_s > FINE_WITHIN_S or any(concerns(one, message) for one in self.map.file.controls):
            return False
        self.use(self.map.learned(structs.replace(control, fine=True)))
        return True

    def _command(self, n: int, message: mido.Message, state: ShowState, time_s: float) -> Command | None:
        control, target, knob = self.map.file.controls[n], self.map.targets[n], self._knobs[n]
        if control.is_button:
            return self._pressed(control, target, message, state, time_s)
        now = knob.stands(target.place(state))
        if control.encoder is not UNSET:
            by = control.step * turned(control.encoder, message.value)
            place = None if now is None else min(1.0, max(0.0, now + by))
        else:
            switches = target.argument.kind is Kind.SWITCH  # which has no way to be met on
            takeover = Takeover.JUMP if switches else self.map.takeover(control)
            place = knob.take(takeover, knob.read(control, message), now)
        if place is None:
            return None
        knob.said, knob.stood = place, None
        self._moved.add(n)
        return target.at(place, time_s)

    def _pressed(
        self, control: Control, target: Target, message: mido.Message, state: ShowState, time_s: float
    ) -> Command | None:
        if message.type == "program_change":
            strength, number = 127, message.program
        else:
            strength, number = (message.value if message.type == "control_change" else message.velocity), None
        if message.type == "note_off" or (strength < PRESSED if message.type == "control_change" else not strength):
            return None
        if control.value is not UNSET:
            return target.say(control.value, time_s)
        if number is not None and control.program == "any":
            return parse(target.address, [number], time_s)[0]
        return target.press(strength / 127, state, time_s)

    def _follows_by_itself(self, n: int) -> bool:
        control = self.map.file.controls[n]
        return not control.is_button and control.encoder is UNSET

    def _light(self, n: int, state: ShowState) -> int | None:
        """What a control is to show, 0..127, or 0..16383 where it is fine; None: nothing."""
        control, target = self.map.file.controls[n], self.map.targets[n]
        if not control.feedback or control.program is not UNSET:
            return None
        if control.is_button:
            lit = target.is_said(control.value, state)
            return None if lit is None else control.on if lit else control.off
        place = target.place(state)
        return None if place is None else round(place * (16383 if control.fine or control.bend is True else 127))


def _shows(control: Control, light: int) -> Iterator[mido.Message]:
    told = control.light_channel or control.channel or 1
    channel = told - 1
    if control.note is not UNSET:
        yield mido.Message("note_on", channel=channel, note=control.note, velocity=light)
    elif control.bend is True:
        yield mido.Message("pitchwheel", channel=channel, pitch=light - 8192)
    elif control.fine:
        yield mido.Message("control_change", channel=channel, control=control.cc, value=light >> 7)
        yield mido.Message("control_change", channel=channel, control=control.lower_cc, value=light & 127)
    else:
        yield mido.Message("control_change", channel=channel, control=control.cc, value=light)


def _taught(target: Target, message: mido.Message, state: ShowState) -> Control | None:
    """A control of what a message moves; text is said as it is now."""
    what: dict[str, Callable[[], dict[str, object]]] = {
        "control_change": lambda: {"cc": message.control, "button": target.argument.kind is Kind.SWITCH},
        "note_on": lambda: {"note": message.note} if message.velocity else {},
        "program_change": lambda: {"program": message.program},
        "pitchwheel": lambda: {"bend": True},
    }
    place = what.get(message.type, dict)()
    if not place:
        return None
    if target.argument.kind is Kind.TEXT and not target.argument.choices:
        said = target.text(state)
        if said is None:
            raise CommandError(target.address, "is told text", "a button with a value in the map's file")
        place |= {"value": said} | ({"button": True} if "cc" in place else {})
    if "bend" in place and target.argument.kind is Kind.SWITCH:
        return None
    return Control(target=target.name, channel=message.channel + 1, **place)  # type: ignore[arg-type]
