"""A show, and a device whose messages it is told, without a wire between or with one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import mido

from engine.control import presets
from engine.control.midi import maps
from engine.control.midi.device import Device
from engine.control.midi.hands import MidiHands
from engine.control.midi.ports import open_driver
from engine.control.show import Show
from engine.core.clock import WallClock
from engine.core.messages import ShowState

PATIENCE_S = 20.0
NAME = "nanoKONTROL2"
"""The device of a wire, for which there is a shipped map."""

LOOK = """
schema = 1
prompts = ["a beach", { text = "fire", weight = 0.5 }]
[[cue]]
prompts = ["waves"]
[[cue]]
amount = 0.25
"""


class Stage:
    """A show, and a device whose messages it is told."""

    def __init__(self, text: str, **state: object) -> None:
        self.show = Show(presets.parse(LOOK, "look"), {"other": presets.parse('schema = 1\nprompts = ["x"]', "other")})
        self.show.put(state)
        self.device = Device(maps.parse(f"schema = 1\n{text}", "own"))
        self.now_s = 5.0

    def send(self, kind: str, **message: int) -> ShowState:
        self.show.queue.put(*self.device.commands(mido.Message(kind, **message), self.show.state, self.now_s))
        state = self.show.current()
        self.device.settle(state)
        return state

    def turn(self, *values: int, cc: int = 7) -> list[float]:
        """The motion after each position of a knob."""
        return [self.send("control_change", control=cc, value=value).motion for value in values]

    def lights(self) -> list[list[int]]:
        return [message.bytes() for message in self.device.lights(self.show.state)]


def turn(cc: int, value: int) -> mido.Message:
    """A knob on channel 1 that comes to 0..127."""
    return mido.Message("control_change", control=cc, value=value)


def wait_for(met: Callable[[], Any], limit_s: float = PATIENCE_S) -> float:
    """Seconds until `met` says so, which it must within the limit."""
    began_s = time.monotonic()
    while not met():
        assert time.monotonic() < began_s + limit_s, "nothing came"
        time.sleep(0.001)
    return time.monotonic() - began_s


class WireStage:
    """A show whose hands are on one kind of wire."""

    def __init__(self, controller: Callable[..., Any], stack: ExitStack) -> None:
        self.controller, self._stack = controller, stack
        self.show = Show(presets.load("default"), presets.library()[0])
        self.told: list[tuple[str, bool]] = []

    def plug(self, number: int = 20) -> Any:
        device = self.controller(NAME, number)
        self._stack.callback(device.unplug)
        return device

    def hands(self, wanted: str = NAME, midi_map: str = "") -> MidiHands:
        def tell(line: str, trouble: bool) -> None:
            self.told.append((line, trouble))

        hands = MidiHands(self.show, WallClock(), open_driver(), wanted, midi_map, tell)
        return self._stack.enter_context(hands)

    def lines(self) -> list[str]:
        return [line for line, _ in self.told]
