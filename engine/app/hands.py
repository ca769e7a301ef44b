"""The hands of a live show beside keys and OSC, as the command line asks for them: MIDI, Ableton Link."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from engine.app.notices import Notices
from engine.app.options import OFF, HandsOptions
from engine.control.midi.view import MidiView
from engine.control.show import Effect, EffectKind, Show
from engine.core.clock import Clock
from tpos_models.errors import InputError

if TYPE_CHECKING:
    from engine.control.link import LinkClock
    from engine.control.midi.hands import MidiHands


class Hands:
    """What is asked for, open from `__init__` and running between `__enter__` and `__exit__`. Owned by the main thread.

    Raises MissingPart, DeviceError, InputError, and what a map's file raises.
    """

    def __init__(self, options: HandsOptions, show: Show, clock: Clock, notices: Notices) -> None:
        self._notices, self._running = notices, ExitStack()
        self._midi: MidiHands | None = None
        self._opened: list[MidiHands | LinkClock] = []
        if options.midi != OFF:
            from engine.control.midi.hands import MidiHands
            from engine.control.midi.ports import open_driver

            self._midi = MidiHands(show, clock, open_driver(), options.midi, options.midi_map, notices.post)
            self._opened.append(self._midi)
        elif options.midi_map:
            raise InputError(f"--midi-map {options.midi_map}: with --midi auto, or a port's name, it would be accepted")
        if options.link:
            from engine.control.link import LinkClock

            self._opened.append(LinkClock(show, clock, lambda line: notices.post(line, False)))

    def __enter__(self) -> Hands:
        for hand in self._opened:
            self._running.enter_context(hand)
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    @property
    def midi(self) -> MidiView | None:
        """What is to be seen of controllers; None where nobody listens to any."""
        return self._midi.view if self._midi else None

    def carry_out(self, effect: Effect) -> None:
        """Teach a controller, let it forget, or keep what it was taught."""
        if self._midi is None:
            self._notices.trouble("no MIDI is listened to; accepted: --midi auto, or a part of a port's name")
        elif effect.kind is EffectKind.LEARN:
            self._midi.learn(effect.text, effect.value)
        elif effect.kind is EffectKind.FORGET:
            self._midi.forget(effect.text, effect.value)
        else:
            self._midi.save()
