"""Pictures of presets for the page: drawn in another process, once, and what cannot be drawn keeps nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.app.remote.thumbnails import ThumbnailMaker
from engine.control import presets
from engine.remote.thumbnails import Thumbnails

PATIENCE_S = 240.0
BROKEN = "/*{}*/ void main() { gl_FragColor = nonsense; }"


def test_presets_are_drawn_once_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("engine.app.remote.thumbnails.PRIORITY", 0)  # beside other tests it would wait for their end
    (tmp_path / "bad.fs").write_text(BROKEN)
    (tmp_path / "bad.toml").write_text('schema = 1\nprompts = ["a beach"]\n[[isf]]\nfile = "bad.fs"\n')
    bad = presets.read(tmp_path / "bad.toml")
    mandala, volcano = (presets.load(name) for name in ("mandala", "volcano"))
    wanted, told, kept = [bad, mandala], list[str](), Thumbnails()
    with ThumbnailMaker(lambda: wanted, told.append):
        _wait_for(lambda: told)
        assert told[0].startswith("presets have no pictures on the page: ")
        assert kept.missing(wanted) == [bad]
        first_ns = kept.path(mandala).stat().st_mtime_ns
        wanted.append(volcano)
        _wait_for(lambda: not kept.missing([volcano]))
    assert kept.path(mandala).stat().st_mtime_ns == first_ns
    seen = [np.asarray(Image.open(kept.path(one)).convert("RGB"), np.float32) for one in (mandala, volcano)]
    assert {one.shape for one in seen} == {(135, 240, 3)}
    assert all(one.std() > 20 for one in seen)
    assert abs(seen[0] - seen[1]).mean() > 20
    assert not [one for one in threading.enumerate() if one.name == "tpos-thumbnails"]


def _wait_for(met: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < until_s, "nothing came"
        time.sleep(0.05)
