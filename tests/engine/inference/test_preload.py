"""What is imported beside a show, and when; how long a redraw waits meanwhile is measured by `tpos soak`."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.inference import preload
from engine.inference.preload import Preload
from tpos_models.registry import built_with

NAME = "imported_beside_a_show"
SOURCE = "import gc, sys, threading\nfound = threading.current_thread().name, sys.getswitchinterval(), gc.isenabled()\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(preload, "SETTLED_S", 0.0)
    monkeypatch.setattr(preload, "LOOK_S", 0.01)
    yield NAME
    sys.modules.pop(NAME, None)
    gc.unfreeze()


def wait_for(met: Callable[[], object]) -> None:
    until_s = time.monotonic() + 20
    while not met():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def test_it_is_imported_once_the_show_plays_and_gives_way_meanwhile(module: str) -> None:
    playing, usual_s = threading.Event(), sys.getswitchinterval()
    with Preload([module], playing.is_set) as loading:
        time.sleep(0.1)
        assert module not in sys.modules
        assert not loading.over
        playing.set()
        wait_for(lambda: loading.over)
    thread, switch_s, looked_for_circles = sys.modules[module].found
    assert thread == "tpos-preload"
    assert switch_s < usual_s / 4
    assert not looked_for_circles
    assert (sys.getswitchinterval(), gc.isenabled()) == (usual_s, True)


def test_a_show_that_ends_before_has_imported_nothing(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload, "SETTLED_S", 60.0)
    with Preload([module], lambda: True):
        time.sleep(0.1)
    assert module not in sys.modules


BUILT = """
import importlib, sys
from engine.inference.fallback import Backend
from engine.inference.loading import open_on
from tpos_models.registry import built_with

for name in built_with("pocket"):
    importlib.import_module(name)
before = set(sys.modules)
open_on(Backend("torch"), "pocket")
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
"""The packages of which something is left to be imported when a model is opened in torch."""


def test_nothing_slow_is_left_to_be_imported_when_the_model_is_built() -> None:
    left = subprocess.run([sys.executable, "-c", BUILT], check=True, capture_output=True, text=True).stdout
    assert not {"diffusers", "transformers", "torch", "scipy", "sklearn", "numpy"} & {*left.split()}
    assert built_with("random:tiny-turbo") == ()
