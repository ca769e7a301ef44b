"""Controllers and clocks over MIDI: one thread that owns them all, and says to the show what OSC would say."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import mido

from engine.control.arguments import CommandError
from engine.control.hot_reload import Signature, signature
from engine.control.midi import maps
from engine.control.midi.device import Device
from engine.control.midi.maps import Control, MidiMap
from engine.control.midi.ports import AUTO, Driver, Ports, short
from engine.control.midi.song_clock import MESSAGES
from engine.control.midi.targets import STEPS, Target
from engine.control.midi.view import Mapped, MidiView
from engine.control.parameters import PARAMETERS
from engine.control.queue import FLOOD_S
from engine.control.show import Show
from engine.core.beat_grid import ClockSource
from engine.core.clock import Clock
from engine.core.messages import ShowState
from engine.core.own_thread import OwnThread
from tpos_models.errors import InputError, TposError

LOOK_S = 1.0
"""How often ports and maps are looked for."""
TURN_S = 0.02
"""How often lights and clocks are seen to."""
POLL_S = 0.002
"""How often it is looked whether something came, where a port is open."""
AT_ONCE_S, MANY = 0.001, 2
"""What is there so soon, or soon after more than so many, is part of a flood."""

CONTROL_CHANGE = 0xB0
Arrived = tuple[str, Sequence[int], float]
"""A port's name, the bytes of a message that came there, and when."""


class MidiHands(OwnThread):
    """The MIDI thread, between `start` and `close`; also a context manager.

    `wanted` names ports by a part of their name, "auto" takes all; each goes by the map that `midi_map` names, or by
    the one for its device. `told` gets lines for the operator, and whether they are of trouble. Raises what
    `maps.load` raises.
    """

    def __init__(
        self,
        show: Show,
        clock: Clock,
        driver: Driver,
        wanted: str = AUTO,
        midi_map: str = "",
        told: Callable[[str, bool], object] = lambda line, trouble: None,
    ) -> None:
        self._show, self._clock, self._told = show, clock, told
        given = [maps.load(midi_map)] if midi_map else []
        self._asked = next((one.name for one in given), "")
        self._maps = {one.name: one for one in given}
        """The newest of each name, also of devices that went."""
        self._named: dict[str, str] = {}
        """The name of the map that each port went by, by its short name."""
        self._ports = Ports(driver, wanted)
        self._devices: dict[str, Device] = {}
        self._learning: Target | None = None
        self._value = ""
        self._asks: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
        self._seen: tuple[object, ...] = ()
        self.view = MidiView()
        """What there is to see, replaced whole when it changes."""
        self._signatures: dict[Path, Signature] = {}
        self._due_s = self._tended_s = 0.0
        self._many = False
        super().__init__("tpos-midi")

    @property
    def ports(self) -> list[str]:
        """Names of the ports that are open."""
        return [short(name) for name in self._ports.open]

    def learn(self, target: str, value: str = "") -> None:
        """The next knob or button that is moved moves `target`, or says `value` to it.

        "next", "back" go through all of them, "" ends it.
        """
        self._asks.put(("learn", target, value))

    def forget(self, target: str, value: str = "") -> None:
        """Nothing moves `target` any more, or says `value` to it; what is being learned is over."""
        self._asks.put(("forget", target, value))

    def save(self) -> None:
        """Write the maps that something was learned into or forgotten of into the user's folder."""
        self._asks.put(("save", "", ""))

    def start(self) -> Self:
        """Begin to listen; ports that are there are open when it returns."""
        self._look()
        return super().start()

    def close(self) -> None:
        """Stop listening, and close the ports; may be called twice."""
        super().close()
        self._ports.close()
        self._show.keep_time(ClockSource.MIDI, None)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._thread.turn()
            now_s = self._clock.now()
            if now_s >= self._due_s:
                self._due_s = now_s + LOOK_S
                self._look()
            self._turn(self._gather())

    def _gather(self) -> list[Arrived]:
        """What came, once something has, or nothing for a while."""
        since_s = time.monotonic()
        while not (arrived := self._taken()):
            if time.monotonic() - since_s > TURN_S or self._stop.wait(POLL_S if self._ports.open else TURN_S):
                return []
        if time.monotonic() - since_s < (FLOOD_S if self._many else AT_ONCE_S):
            self._show.queue.let_flood(self._stop)
            arrived += self._taken()
        self._many = len(arrived) > MANY
        return arrived

    def _taken(self) -> list[Arrived]:
        taken, now_s = self._ports.take(), self._clock.now()
        return [(name, said, now_s - ago_s) for name, (said, ago_s) in taken]

    def _look(self) -> None:
        came, lines = self._ports.look()
        for name in came:
            self._devices[name] = Device(self._map_for(short(name)))
        for name in [name for name in self._devices if name not in self._ports.open]:
            del self._devices[name]
        for line in lines:
            self._told(line, not line.endswith(("is back", "is listened to")))
        self._reload()

    def _reload(self) -> None:
        """Take in maps whose files changed; a broken one is said, and what was known of it stays."""
        for path in [one.path for one in self._maps.values() if one.path]:
            seen = signature(path)
            known = self._signatures.setdefault(path, seen)
            if seen is None or seen == known:
                continue
            self._signatures[path] = seen
            try:
                self._go_by(maps.read(path))
            except InputError as error:
                self._told(f"{error}; the map stays as it was", True)

    def _map_for(self, port: str) -> MidiMap:
        """The newest map of a port: the one that it went by before, unless a file that is another has come for it."""
        found = self._maps[self._asked] if self._asked else maps.for_port(port)
        name = found.name if found.path else self._named.get(port, found.name)
        known = self._maps.get(name, found)
        if not (self._asked or known.unsaved or found.path in (None, known.path)):
            known = found
        self._named[port] = known.name
        self._go_by(known)
        return known

    def _go_by(self, newest: MidiMap) -> None:
        """From now on every device with a map of that name goes by this one."""
        self._maps[newest.name] = newest
        for device in self._devices.values():
            if device.map.name == newest.name:
                device.use(newest)

    def _turn(self, arrived: list[Arrived]) -> None:
        """What came, to the show; what became of it, to the devices."""
        while not self._asks.empty():
            self._answer(*self._asks.get_nowait())
        state = self._show.current()
        for name, said, time_s in arrived if self._learning else self._ends(arrived):
            if (device := self._devices.get(name)) and (message := _read(said)):
                self._take(device, message, time_s)
        state = self._show.current() if arrived else state
        for device in self._devices.values():
            device.settle(state)
        if (now_s := self._clock.now()) >= self._tended_s:
            self._tended_s = now_s + TURN_S
            self._tend(state, now_s)

    def _ends(self, arrived: list[Arrived]) -> list[Arrived]:
        """What came, but of a knob that says only where it stands, no more than the first and the last."""
        if len(arrived) < 3:
            return arrived
        counts: dict[tuple[str, int, int], bool] = {}
        first: dict[tuple[object, ...], int] = {}
        last: dict[tuple[object, ...], int] = {}
        for n, (name, said, _) in enumerate(arrived):
            key: tuple[object, ...] = (n,)
            if len(said) == 3 and said[0] & 0xF0 == CONTROL_CHANGE:
                knob = (name, said[0], said[1])
                if knob not in counts:
                    counts[knob] = self._counts(name, said)
                key = key if counts[knob] else knob
            first.setdefault(key, n)
            last[key] = n
        return [arrived[n] for n in sorted({*first.values(), *last.values()})]

    def _counts(self, name: str, said: Sequence[int]) -> bool:
        """Whether each such message of its device counts."""
        device, message = self._devices.get(name), _read(said)
        return device is None or message is None or device.counts(message)

    def _tend(self, state: ShowState, now_s: float) -> None:
        """See to lights and clocks, which need no hurry."""
        for name, device in self._devices.items():
            if port := self._ports.open.get(name):
                port.tell(device.lights(state))
        grids = (device.clock.grid(now_s) for device in self._devices.values())
        self._show.keep_time(ClockSource.MIDI, next(filter(None, grids), None))
        self._show_view()

    def _take(self, device: Device, message: mido.Message, time_s: float) -> None:
        if message.type in MESSAGES:
            device.clock.take(message, time_s)
            return
        state = self._show.state
        try:
            if (target := self._learning) and (control := self._learn(device, target, message, time_s)):
                self._told(f"{target.name}: {control}; W saves the map {device.map.name}", False)
                self._learning = None
            else:
                self._show.queue.put(*device.commands(message, state, time_s))
        except (CommandError, InputError) as error:
            self._told(str(error), True)
        if device.map is not self._maps[device.map.name]:
            self._go_by(device.map)

    def _learn(self, device: Device, target: Target, message: mido.Message, time_s: float) -> Control | None:
        return device.learn(target, message, self._show.state, time_s, target.read(self._value))

    def _answer(self, ask: str, target: str, value: str) -> None:
        try:
            match ask:
                case "learn":
                    self._learning, self._value = self._wanted(target), value
                    words = f"{self._learning.name}: move a knob, press a button" if self._learning else ""
                    self._told(f"MIDI learn: {words or 'nothing is learned'}", False)
                case "forget":
                    self._learning, address = None, Target.of(target).address
                    for one in list(self._maps.values()):
                        self._go_by(one.without(address, value))
                case "save":
                    self._save([one for one in self._maps.values() if one.unsaved])
        except (CommandError, TposError) as error:
            self._told(str(error), True)

    def _save(self, unsaved: list[MidiMap]) -> None:
        for one in unsaved:
            self._go_by(saved := maps.save(one))
            if saved.path:
                self._signatures[saved.path] = signature(saved.path)
            self._told(f"saved {saved.path}", False)
        if not unsaved:
            self._told("MIDI: nothing was learned or forgotten that is not saved", False)

    def _show_view(self) -> None:
        """Let others see what there is, where it is not what they saw."""
        known = tuple(device.map for device in self._devices.values())
        unsaved = any(one.unsaved for one in self._maps.values())
        if (seen := (self.ports, self._learning, self._value, known, unsaved)) == self._seen:
            return
        self._seen = seen
        mapped = [
            Mapped(target.address, str(control), one.name, control.said)
            for one in dict.fromkeys(known)
            for control, target in zip(one.file.controls, one.targets, strict=True)
        ]
        learning, value = (self._learning.address, self._value) if self._learning else ("", "")
        self.view = MidiView(tuple(self.ports), learning, value, tuple(mapped), unsaved)

    def _wanted(self, target: str) -> Target | None:
        if target not in STEPS:
            return Target.of(target) if target else None
        names = list(PARAMETERS)
        now = names.index(self._learning.name) if self._learning and self._learning.name in names else None
        step = 1 if target == STEPS[0] else -1
        return Target.of(names[(now + step) % len(names) if now is not None else min(step - 1, 0)])


def _read(said: Sequence[int]) -> mido.Message | None:
    """The message that these bytes are, None where they are none."""
    try:
        return mido.Message.from_bytes(said)
    except ValueError:
        return None
