"""The mapping of every output while the show plays: read again where its file changes, moved by hand, saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Table
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from engine.control.addresses import MAPPING
from engine.control.hot_reload import FileWatcher
from engine.core import console
from engine.core.hud_info import MappingView
from engine.core.preview import Preview
from engine.outputs.venue import points
from engine.outputs.venue.hand import Hand
from engine.outputs.venue.venue import Venue, find, read, save
from engine.render.mapping.mapping import PLAIN, Curve, Mapped, Mapping, Place
from engine.render.picture import Size
from engine.render.window import ShowWindow
from tpos_models.errors import InputError, StorageError

HOWTO = "drag its points, or 1..4 or Tab choose one, arrows move it (Shift: coarse), T pattern, S saves, Esc ends"
PREVIEW = "mapping"
"""The name of the output that shows, small, the one that is set up."""


def _told(line: str, trouble: bool) -> None:
    console.notify(f"tpos: {line}" if trouble else line)


class Mapper(FileWatcher):
    """What `--venue` asks for, "" for no mapping at all; a venue that is not there yet begins empty.

    One output at a time is set up, by what OSC and the page say, by its window's keys and by its mouse. Lines go to
    `tell`, with whether they are trouble, from its own thread or the main one's. The venue is replaced whole: by the
    thread that watches its files, and by the main thread, which does all else. Any thread may `view`. Raises
    InputError.
    """

    def __init__(self, name: str = "") -> None:
        self.tell: Callable[[str, bool], object] = _told
        self.venue: Venue | None = None
        self.preview = Preview()
        """What the output that is set up shows, small."""
        self.sizes: Table[str, Size] = {}
        """Width and height in pixels of every output that can be mapped now."""
        self._hand: Hand | None = None
        self._grip: tuple[int, float, float] | None = None
        """The point that the mouse has, and how far from the pointer it is."""
        self._shown: tuple[Mapped | None, Hand, Mapped] | None = None
        if name:
            path = find(name)
            self.venue = read(path) if path.exists() else Venue(path)
        self._kept = self._mappings
        """As the file has them."""
        self._does: dict[str, Callable[..., None]] = {
            MAPPING: self._begin,
            f"{MAPPING}/choose": self._choose,
            f"{MAPPING}/nudge": self._nudge,
            f"{MAPPING}/mesh": self._bend,
            f"{MAPPING}/pattern": self._pattern,
            f"{MAPPING}/reset": self._reset,
            f"{MAPPING}/save": self._save,
        }
        super().__init__("tpos-venue")

    def start(self) -> Self:
        """Watch its files, if there are any to be watched."""
        if self.venue is None:
            return self
        if not self.venue.path.exists():
            self.tell(f"venue {self.venue.name} is new: {self.venue.path}; G in a window begins", False)
        return super().start()

    def mapped(self, name: str) -> Mapped | None:
        """The mapping of an output at this moment, the same object until it changes; None where it has none."""
        hand = self._hand
        if name == PREVIEW and hand:
            name = hand.name
        kept = self.venue.outputs.get(name) if self.venue else None
        if hand is None or hand.name != name:
            return kept
        if self._shown is None or self._shown[:2] != (kept, hand):
            self._shown = kept, hand, hand.over(kept or Mapped())
        return self._shown[2]

    @property
    def size(self) -> Size | None:
        """Of the output that is set up; None where none is."""
        return self.sizes.get(self._hand.name) if self._hand else None

    @property
    def view(self) -> MappingView | None:
        """What is to be seen from afar; None where there is no venue."""
        venue, hand = self.venue, self._hand
        if venue is None:
            return None
        outputs = tuple((name, *size) for name, size in self.sizes.items())
        seen = MappingView(venue.name, outputs, self._mappings != self._kept)
        if hand is None:
            return seen
        mapping = self._mappings.get(hand.name, PLAIN)
        at = tuple((float(x), float(y)) for x, y in points.places(mapping))
        seen = replace(seen, output=hand.name, point=hand.point + 1, pattern=hand.pattern, points=at)
        mesh = mapping.mesh
        return replace(seen, columns=mesh.columns, rows=mesh.rows, curve=str(mesh.curve)) if mesh else seen

    def carry_out(self, address: str, *given: Any) -> None:
        """What is said to an address of the table; what cannot be is told in a line."""
        try:
            _, _, number = address.rpartition("/point/")
            (partial(self._put, int(number) - 1) if "/point/" in address else self._does[address])(*given)
        except (InputError, StorageError) as error:
            self.tell(str(error), True)

    def reach(self, window: ShowWindow, name: str) -> None:
        """Have the keys and the mouse of an output's window set it up."""
        window.grab, window.drag = partial(self.press, name), partial(self.drag, name)

    def press(self, name: str, key: str, shift: bool) -> bool:
        """A key pressed in the window of an output; whether it was meant for the mapping.

        `key` is pyglet's name of it.
        """
        hand = self._hand
        if hand is None or hand.name != name:
            if key == "G":
                self.carry_out(MAPPING, name)
                if self._hand:
                    self.carry_out(f"{MAPPING}/pattern", True)
                    self.tell(f"mapping {name}: {HOWTO}", False)
            return key == "G"
        said = hand.said(key, shift, len(points.places(self._mapping)))
        if said:
            self.carry_out(said[0], *said[1])
        return said is not None

    def drag(self, name: str, place: Place, pressed: bool | None) -> bool:
        """The mouse in that window at a place of it, as `Drag`; whether it was meant for the mapping."""
        hand = self._hand
        if hand is None or hand.name != name:
            return False
        if pressed is not False:
            self._grip = None
        if pressed and (point := points.near(self._mapping, place, self.sizes[name], hand.point)) is not None:
            x, y = points.places(self._mapping)[point] - place
            self._grip = point, float(x), float(y)
            self.carry_out(f"{MAPPING}/choose", point + 1)
        elif self._grip:
            point, x, y = self._grip
            self.carry_out(f"{MAPPING}/point/{point + 1}", place[0] + x, place[1] + y)
        return True

    def follow(self, sizes: Table[str, Size]) -> None:
        """Take in which outputs there are; one that is gone is set up no more."""
        self.sizes = sizes
        if self._hand and self._hand.name not in sizes:
            self._hand = None

    @property
    def _mappings(self) -> dict[str, Mapping]:
        return self.venue.mappings if self.venue else {}

    @property
    def _at(self) -> Hand:
        """The hand. Raises InputError where there is none."""
        if self._hand is None:
            raise InputError(f"no output is being mapped; accepted: {MAPPING} NAME first")
        return self._hand

    @property
    def _mapping(self) -> Mapping:
        return self._mappings.get(self._at.name, PLAIN)

    def _replace(self, mapping: Mapping) -> None:
        if self.venue and mapping != self._mapping:
            self.venue = self.venue.moved(self._at.name, mapping)

    def _begin(self, name: str) -> None:
        if not name:
            self._hand = None
            return
        if self.venue is None:
            raise InputError("no venue to map for; accepted: --venue NAME at the start")
        if name not in self.sizes:
            accepted = ", ".join(self.sizes) or "none here"
            raise InputError(f"output {name!r:.60} cannot be mapped; accepted: {accepted}")
        self._hand = Hand(name)

    def _choose(self, number: int) -> None:
        self._hand = replace(self._at, point=self._known(number - 1))

    def _put(self, point: int, x: float, y: float) -> None:
        mapping = self._mapping
        moved = points.put(mapping, self._known(point), (x, y))
        if moved is mapping:
            self.tell(f"point {point + 1} of {self._at.name} stays; accepted: corners that bulge everywhere", False)
        self._replace(moved)

    def _nudge(self, right: float, down: float) -> None:
        hand = self._at
        point, (width, height) = self._known(hand.point), self.sizes[hand.name]
        x, y = points.places(self._mapping)[point]
        self._put(hand.point, float(x) + right / width, float(y) + down / height)

    def _bend(self, columns: int, rows: int, curve: str) -> None:
        self._replace(points.meshed(self._mapping, columns, rows, Curve(curve)))
        if self._at.point >= len(points.places(self._mapping)):
            self._choose(1)

    def _pattern(self, on: bool | None) -> None:
        self._hand = replace(self._at, pattern=not self._at.pattern if on is None else on)

    def _reset(self, pressed: bool) -> None:
        if pressed:
            self._replace(points.reset(self._mapping, self._at.point))

    def _save(self, pressed: bool) -> None:
        if self.venue is None:
            raise InputError("no venue to save; accepted: --venue NAME at the start")
        if pressed:
            save(self.venue)
            self._kept = self._mappings
            self.tell(f"venue {self.venue.name} saved: {self.venue.path}", False)

    def _known(self, point: int) -> int:
        """Raises InputError for a point that there is not."""
        count = len(points.places(self._mapping))
        if point >= count:
            raise InputError(f"point {point + 1} of {self._at.name} is none; accepted: 1..{count}")
        return point

    def _files(self) -> Iterable[Path]:
        return self.venue.files if self.venue else ()

    def _take(self, path: Path) -> None:
        assert self.venue is not None
        try:
            now = read(self.venue.path)
        except InputError as error:
            self.tell(f"{error}; the running mapping stays", True)
            return
        if path != self.venue.path:  # a mask alone: what was moved since the venue was saved stays
            self.venue = self.venue.masked({name: one.mask for name, one in now.outputs.items()})
        elif (mappings := now.mappings) != self._kept:  # and it was not saved here
            self.venue, self._kept = now, mappings
