"""A show, and a device whose messages it is told, without a wire between."""

from __future__ import annotations

import mido

from engine.control import presets
from engine.control.midi import maps
from engine.control.midi.device import Device
from engine.control.show import Show
from engine.core.messages import ShowState

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
