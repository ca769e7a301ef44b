"""One controller: its map, where its knobs stand, what its lights show, and what it is taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mido
from msgspec import UNSET, UnsetType, structs

from engine.control.addresses import EVENT, parse
from engine.control.arguments import CommandError
from engine.control.midi.knobs import Knob, concerns, is_endless, may_be_endless, nearest_encoder, turned
from engine.control.midi.maps import Control, MidiMap, Takeover
from engine.control.midi.song_clock import SongClock
from engine.control.midi.targets import Target
from engine.control.queue import Command
from engine.core.messages import ShowState
from engine.core.parameters import Kind, Value

FINE_WITHIN_S = 0.5
"""A knob that was just learned and sends its lower seven bits within this is a fine one."""
ENDLESS_WITHIN = 6
"""So many messages of a knob that was just learned are waited for where they may be an encoder's."""


@dataclass(slots=True)
class Lesson:
    """What was learned last, when, and the values that it has said since. Owned by the MIDI thread."""

    control: Control
    since_s: float
    values: list[int]


class Device:
    """What one port's messages say, and what is said back. Owned by the MIDI thread."""

    def __init__(self, midi_map: MidiMap) -> None:
        self.clock = SongClock()
        self.map = midi_map
        self._lesson: Lesson | None = None
        self._knobs = [Knob() for _ in midi_map.targets]
        self._moved: set[int] = set()
        self._shown: dict[int, int] = {}

    def use(self, midi_map: MidiMap) -> None:
        """Go by another map, or by an edited one; the knobs and lights of controls that it leaves as they are stay."""
        before, self.map = self.map, midi_map
        if midi_map.file == before.file:
            return
        known = {control: n for n, control in enumerate(before.file.controls)}
        stay = [known.pop(control, None) for control in midi_map.file.controls]
        self._lesson = None
        self._knobs = [Knob() if old is None else self._knobs[old] for old in stay]
        self._moved = {n for n, old in enumerate(stay) if old in self._moved}
        self._shown = {n: self._shown[old] for n, old in enumerate(stay) if old in self._shown}

    def commands(self, message: mido.Message, state: ShowState, time_s: float) -> list[Command]:
        """What a message says to the show, nothing where it is no control's."""
        if self._tells_what_it_is(message, state, time_s):
            return []
        found = (n for n, one in enumerate(self.map.file.controls) if concerns(one, message))
        return [command for n in found if (command := self._command(n, message, state, time_s))]

    def counts(self, message: mido.Message) -> bool:
        """Whether each such message counts, of buttons, encoders, fine knobs, events; all while a knob is learned."""
        if self._lesson is not None:
            return True
        return any(
            one.is_button or one.fine or one.encoder is not UNSET or target.row.applies == EVENT
            for one, target in zip(self.map.file.controls, self.map.targets, strict=True)
            if concerns(one, message)
        )

    def settle(self, state: ShowState) -> None:
        """What was said is done: so stand the parameters of the knobs that were moved."""
        for n in self._moved:
            self._settle(n, state)
        self._moved.clear()

    def lights(self, state: ShowState) -> Iterator[mido.Message]:
        """What the device is to show anew."""
        for n, control in enumerate(self.map.file.controls):
            self._knobs[n].stands(self._found(n, state))  # whose hand it was that moved it
            light = self._light(n, state)
            if light is not None and self._shown.get(n) != light:
                self._shown[n] = light
                yield from _shows(control, light)

    def learn(
        self, target: Target, message: mido.Message, state: ShowState, time_s: float, value: Value | UnsetType = UNSET
    ) -> Control | None:
        """Map what this message moves to a target, or to saying `value` to it; None where it moves nothing.

        The hand is on the knob: its target follows it from where it is. Raises CommandError, PresetError.
        """
        control = _taught(target, message, state, value)
        if control is not None:
            values = [message.value] if message.type == "control_change" and not control.is_button else []
            self._lead(control, state)
            self._lesson = Lesson(control, time_s, values)
            if message.type == "control_change":
                self._knobs[-1].place = message.value / 127
        return control

    def _lead(self, control: Control, state: ShowState) -> None:
        """Learn a control whose knob leads from where its parameter is, and is not told that."""
        self.use(self.map.learned(control))
        self._knobs[-1].said = self.map.targets[-1].place(state)
        self._settle(len(self._knobs) - 1, state)

    def _settle(self, n: int, state: ShowState) -> None:
        """What a knob said is done: where its parameter is now it put it, and it shows that by itself."""
        place = self.map.targets[n].place(state)
        self._knobs[n].settle(place)
        if self._follows_by_itself(n) and place is not None:
            self._shown[n] = self._light(n, state) or 0

    def _found(self, n: int, state: ShowState) -> float | None:
        """Where the parameter of a knob is; what the bar kept back of what the knob said may have landed since."""
        knob, target = self._knobs[n], self.map.targets[n]
        place = target.place(state)
        if knob.said is not None and place != knob.stood and target.is_at(knob.said, state):
            self._settle(n, state)
        return place

    def _tells_what_it_is(self, message: mido.Message, state: ShowState, time_s: float) -> bool:
        """Whether a message of the knob learned last says nothing but that it is a fine one, or what may be endless."""
        if (lesson := self._lesson) is None or message.type != "control_change":
            return False
        if lesson.values and concerns(lesson.control, message):
            return self._may_be_endless(lesson, message.value)
        its = message.control == lesson.control.lower_cc and message.channel + 1 == lesson.control.channel
        if lesson.control.fine or not its:
            return False
        self._lesson = None
        if time_s - lesson.since_s > FINE_WITHIN_S or any(concerns(one, message) for one in self.map.file.controls):
            return False
        self._lead(structs.replace(lesson.control, fine=True), state)
        return True

    def _may_be_endless(self, lesson: Lesson, value: int) -> bool:
        """Whether that is still to be seen; what is known of an encoder grows with each turn."""
        known = lesson.control.encoder
        if known is UNSET or value not in lesson.values:
            lesson.values.append(value)
        if known is not UNSET or is_endless(lesson.values):
            if (encoder := nearest_encoder(lesson.values)) is not known:
                lesson.control = structs.replace(lesson.control, encoder=encoder)
                self.use(self.map.learned(lesson.control))
                self._lesson = lesson
            return False
        undecided = len(lesson.values) < ENDLESS_WITHIN and may_be_endless(lesson.values)
        if not undecided:
            self._lesson = None
        return undecided

    def _command(self, n: int, message: mido.Message, state: ShowState, time_s: float) -> Command | None:
        control, target, knob = self.map.file.controls[n], self.map.targets[n], self._knobs[n]
        is_knob = message.type == "control_change" and control.encoder is UNSET
        if control.is_button or (is_knob and target.is_event(state)):
            return self._pressed(n, message, state, time_s)
        now = knob.stands(self._found(n, state))
        if control.encoder is not UNSET:
            by = control.step * turned(control.encoder, message.value)
            place = None if now is None else min(1.0, max(0.0, now + by))
        else:
            takeover = Takeover.JUMP if target.is_button(state) else self.map.takeover(control)
            place = knob.take(takeover, knob.read(control, message), now)
        if place is None:
            return None
        knob.said, knob.stood = place, None
        self._moved.add(n)
        return target.at(place, state, time_s)

    def _pressed(self, n: int, message: mido.Message, state: ShowState, time_s: float) -> Command | None:
        control, target = self.map.file.controls[n], self.map.targets[n]
        if message.type == "program_change":
            strength, number = 127, message.program
        else:
            strength, number = (message.value if message.type == "control_change" else message.velocity), None
        is_cc = message.type == "control_change"
        if message.type == "note_off" or not (self._knobs[n].press(strength) if is_cc else strength):
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


def _taught(target: Target, message: mido.Message, state: ShowState, value: Value | UnsetType) -> Control | None:
    """A control of what a message moves; text is said as it is now, where no other value is given."""
    if value is UNSET and target.argument.kind is Kind.TEXT and not target.argument.choices:
        value = target.text(state)
        if value is None:
            raise CommandError(target.address, "is told text", "with a value of the button's own")
    is_button = target.is_button(state) or value is not UNSET
    what: dict[str, Callable[[], dict[str, object]]] = {
        "control_change": lambda: {"cc": message.control, "button": is_button},
        "note_on": lambda: {"note": message.note} if message.velocity else {},
        "program_change": lambda: {"program": message.program},
        "pitchwheel": lambda: {} if is_button else {"bend": True},
    }
    place = what.get(message.type, dict)()
    said = {} if value is UNSET else {"value": value}
    return Control(target=target.name, channel=message.channel + 1, **said, **place) if place else None  # type: ignore[arg-type]
