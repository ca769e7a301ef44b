"""What the next backend is built with is imported while the show plays: seconds that it would stand still for later."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from engine.core.own_thread import OwnThread

SETTLED_S = 10.0
"""Of a show, before anything is imported beside it."""
LOOK_S = 0.5
SHARE_S = 0.0005
"""So soon an import gives way to a redraw: of Python's own 5 ms a redraw would wait for many."""


class Preload(OwnThread):
    """Imports `modules` once `playing` says that a show does, and has for SETTLED_S."""

    def __init__(self, modules: Sequence[str], playing: Callable[[], bool]) -> None:
        self._modules, self._playing = modules, playing
        self.over = False
        """Whether that is done, and a show has settled."""
        super().__init__("tpos-preload")

    def _run(self) -> None:
        while not self._playing():
            if self._stop.wait(LOOK_S):
                return
        if self._stop.wait(SETTLED_S):
            return
        with _giving_way(), suppress(ImportError):  # whoever steps down will say so
            for name in self._modules:
                importlib.import_module(name)
        self.over = True


@contextmanager
def _giving_way() -> Iterator[None]:
    """Share Python with redraws, and have nobody look for circles among what comes, now or later."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SHARE_S)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(usual_s)
