"""The mapping of every output while the show plays: read again where its file changes, moved by keys, saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

from engine.control.hot_reload import FileWatcher
from engine.core import console
from engine.outputs.venue.hand import ARROWS, Hand
from engine.outputs.venue.venue import Venue, find, read, save
from engine.render.mapping.mapping import PLAIN, Mapped
from engine.render.picture import Size
from tpos_models.errors import InputError, StorageError

HOWTO = "1..4 or Tab choose a point, arrows move it (Shift: coarse), T pattern, S saves, Esc ends"


def _told(line: str, trouble: bool) -> None:
    console.notify(f"tpos: {line}" if trouble else line)


class Mapper(FileWatcher):
    """What `--venue` asks for, "" for no mapping at all; a venue that is not there yet begins empty.

    Lines go to `tell`, with whether they are trouble, from its own thread or the main one's. The venue is replaced
    whole: by the thread that watches its files, and by the main thread, which has the keys. Raises InputError.
    """

    def __init__(self, name: str = "") -> None:
        self.tell: Callable[[str, bool], object] = _told
        self.venue: Venue | None = None
        self._hand: Hand | None = None
        self._shown: tuple[Mapped | None, Hand, Mapped] | None = None
        if name:
            path = find(name)
            self.venue = read(path) if path.exists() else Venue(path)
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
        kept = self.venue.outputs.get(name) if self.venue else None
        hand = self._hand
        if hand is None or hand.name != name:
            return kept
        if self._shown is None or self._shown[:2] != (kept, hand):
            self._shown = kept, hand, hand.over(kept)
        return self._shown[2]

    def press(self, name: str, key: str, shift: bool, size: Size) -> bool:
        """A key pressed in the window of an output of `size`; whether it was meant for the mapping.

        `key` is pyglet's name of it.
        """
        hand, venue = self._hand, self.venue
        if hand is None or hand.name != name or venue is None:
            return key == "G" and self._begin(name)
        mapping = venue.outputs[name].mapping if name in venue.outputs else PLAIN
        if key in ("G", "ESCAPE"):
            self._hand = None
        elif key in ("_1", "_2", "_3", "_4"):
            self._hand = replace(hand, point=int(key[1]) - 1)
        elif key == "TAB":
            self._hand = hand.nexts(mapping, -1 if shift else 1)
        elif key == "T":
            self._hand = replace(hand, pattern=not hand.pattern)
        elif key in ARROWS:
            self.venue = venue.moved(name, hand.moved(mapping, key, shift, size))
        elif key == "S":
            self._save(venue)
        else:
            return False
        return True

    def _begin(self, name: str) -> bool:
        if self.venue is None:
            self.tell("no venue to map for; accepted: --venue NAME at the start", True)
        else:
            self._hand = Hand(name)
            self.tell(f"mapping {name}: {HOWTO}", False)
        return True

    def _save(self, venue: Venue) -> None:
        try:
            save(venue)
        except StorageError as error:
            self.tell(str(error), True)
        else:
            self.tell(f"venue {venue.name} saved: {venue.path}", False)

    def _files(self) -> Iterable[Path]:
        return self.venue.files if self.venue else ()

    def _take(self, path: Path) -> None:
        assert self.venue is not None
        try:
            self.venue = read(self.venue.path)
        except InputError as error:
            self.tell(f"{error}; the running mapping stays", True)
