"""Hot reload: files that changed, such as presets and their effects, read again once they have stopped changing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.control import isf_files
from engine.control.presets import Preset, available, read
from engine.core.isf import IsfFile
from engine.core.own_thread import OwnThread
from tpos_models.errors import InputError

PERIOD_S = 0.5

Signature = tuple[int, int] | None
"""Modification time in ns and size in bytes; None while the file is not there."""


class FileWatcher(OwnThread):
    """Looks after `_files` from a thread of its own; one that changed is `_take`n.

    A file must look the same at two polls in a row before it is read, since editors write in two steps; one that
    vanishes is waited for. Also a context manager.
    """

    def __init__(self, name: str) -> None:
        self._read = self._pending = self._look()
        super().__init__(name)

    def poll(self) -> None:
        """Look once; what changed since the last read, and no more since the last poll, is read and handed on."""
        seen = self._look()
        for path, signature in seen.items():
            settled = signature is not None and signature == self._pending.get(path)
            if settled and signature != self._read.get(path):
                self._read[path] = signature
                self._take(path)
        self._pending = seen

    def _look(self) -> dict[Path, Signature]:
        return {path: signature(path) for path in self._files()}

    def _run(self) -> None:
        while not self._thread.pause(PERIOD_S):
            self.poll()

    def _files(self) -> Iterable[Path]:
        raise NotImplementedError

    def _take(self, path: Path) -> None:
        raise NotImplementedError


class PresetWatcher(FileWatcher):
    """Watches every available preset, those of `own` that came from elsewhere, and effects.

    A good edit goes to `changed` (`Show.edit`), that of an effect which `isf` names to `reload` (`Show.isf`,
    `Show.reload`), a broken one to `trouble` as one line, once.
    """

    def __init__(
        self,
        changed: Callable[[Preset], object],
        trouble: Callable[[str], object],
        own: Iterable[Preset] = (),
        isf: Callable[[], Iterable[IsfFile]] = tuple,
        reload: Callable[[IsfFile], object] = id,
    ) -> None:
        self._changed, self._trouble, self._isf, self._reload = changed, trouble, isf, reload
        self._own = {one.name: one.path for one in own if one.path}
        super().__init__("tpos-presets")

    def _take(self, path: Path) -> None:
        try:
            if path in self._presets():
                self._changed(read(path))
            for name in {file.path for file in self._isf() if path in isf_files.parts(file)}:
                self._reload(isf_files.read(Path(name)))
        except InputError as error:
            self._trouble(f"{error}; the running look stays")

    def _presets(self) -> tuple[Path, ...]:
        return tuple({**available(), **self._own}.values())

    def _files(self) -> Iterable[Path]:
        return (*self._presets(), *(part for file in self._isf() for part in isf_files.parts(file)))


def signature(path: Path) -> Signature:
    """What a file looks like from outside."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
