"""While a show plays, what a cache lacks is not built, and what was loaded is not looked through for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.app.builder import Engine, OscOptions
from engine.audio.sources import SynthSource
from engine.control.show import Show
from engine.core.clock import WallClock
from engine.inference import loading
from engine.inference.fallback import Backend
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import lock, open_chain, open_on
from engine.inference.plan import eager_plan
from tpos_models.errors import RunError
from tpos_models.precision import Precision

ONNX = Backend("onnx")


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A show plays, and the cache is empty."""
    monkeypatch.setenv("TPOS_CACHE", str(tmp_path))
    lock(lambda: True)
    yield tmp_path
    lock(bool)


def test_an_empty_cache_is_not_filled_in_mid_show(locked: Path):
    with pytest.raises(RunError, match=r"in mid-show; tpos doctor --show PRESETS does so beforehand"):
        open_on(ONNX, "pocket", precision=Precision.FP32)
    assert not [*locked.rglob("*.onnx")]


def test_a_show_goes_on_with_what_needs_no_building(locked: Path):
    said: list[str] = []
    chain = open_chain("pocket", notify=said.append, precision=Precision.FP32)
    assert chain.model.spec.name == "pocket"
    assert chain.backend.runner == "torch"
    assert len(said) == 1
    assert "in mid-show" in said[0]


def test_engines_are_not_built_in_mid_show(locked: Path):
    with pytest.raises(RunError, match="denoiser would have to be built in mid-show"):
        loading._building("denoiser")


@contextmanager
def playing() -> Iterator[None]:
    """A show that has drawn its first frame."""
    clock = WallClock()

    def opened() -> FramePipeline:
        model = open_on(Backend("torch"), "pocket", precision=Precision.FP32)
        loading._unlocked("the first frame's network")
        return FramePipeline(model, clock, eager_plan(model))

    with Engine(Show(), SynthSource(clock), opened, clock, osc=OscOptions(port=0)) as one:
        deadline_s = clock.now() + 60.0
        while not one.frames.count and clock.now() < deadline_s:
            clock.sleep(0.02)
        assert one.frames.count
        yield


def test_the_lock_is_on_from_a_show_s_first_frame_to_its_end():
    with playing(), pytest.raises(RunError, match="mid-show"):
        loading._unlocked("this")
    loading._unlocked("this")


def test_what_was_loaded_is_not_looked_through_for_garbage():
    """Through all of it Python takes a tenth of a second and more, in which nothing is drawn."""
    with playing():
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    gc.unfreeze()
