"""What a show no longer needs goes with its last reference: nobody looks for circles of objects while it plays."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator

import pytest
import torch
from small_networks import failing

from engine.app.builder import Engine, OscOptions
from engine.app.options import LookOptions
from engine.audio.sources import SynthSource
from engine.core.clock import WallClock
from engine.inference import worker
from engine.inference.fallback import Backend, FallbackChain, backends_on
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.loading import open_on, runners
from engine.inference.plan import choose_plan
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.precision import Precision

TINY = "random:tiny-turbo"
BEST = [(name, backends_on(runners(name), registry.resizable(name))[0]) for name in ("pocket", TINY)]


class Weights:
    """What holds weights and came while something was opened: torch's modules and onnxruntime's sessions."""

    def __init__(self) -> None:
        self._before = {id(one) for one in _holders()}
        self._came: list[weakref.ref[object]] = []

    def note(self) -> None:
        """All that came since then is to go."""
        self._came = [weakref.ref(one) for one in _holders() if id(one) not in self._before]
        assert self._came

    @property
    def left(self) -> list[object]:
        """Of what came, what is still there."""
        return [one for reference in self._came if (one := reference()) is not None]


def _holders() -> list[object]:
    return [one for one in gc.get_objects() if _holds_weights(one)]


def _holds_weights(one: object) -> bool:
    kind = type(one)
    if issubclass(kind, torch.nn.Module):
        return bool(one._parameters)  # type: ignore[attr-defined]
    return kind.__name__ == "InferenceSession"


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python finds no circles, be it asked to or not; and no log keeps an error, with the functions it came through."""
    gc.collect()
    monkeypatch.setattr(worker, "log", logging.Logger("nobody reads it"))
    with monkeypatch.context() as patched:
        asked: list[str] = []
        patched.setattr(gc, "collect", lambda generation=2: 0)
        patched.setattr(gc, "unfreeze", lambda: asked.append("to look through all that is loaded"))
        gc.disable()
        yield
        gc.enable()
        assert asked == []
    gc.unfreeze()
    gc.collect()


@pytest.mark.parametrize(("name", "backend"), BEST)
def test_a_model_goes_with_its_last_reference(name: str, backend: Backend, nobody_looks: None):
    open_on(backend, name, None, precision=Precision.AUTO)  # what a library keeps for good, it has from now on
    weights = Weights()
    model = open_on(backend, name, None, precision=Precision.AUTO)
    weights.note()
    tokens = model.text.encode(["rain on a lake"]).tokens
    assert torch.isfinite(tokens).all()
    del model
    assert weights.left == []


def test_the_model_that_fails_a_show_is_gone_when_the_next_one_draws(nobody_looks: None):
    lines: list[str] = []

    def open_backend(backend: Backend) -> Model:
        if backend.most_steps > 1:
            model = open_on(backend, TINY, (128, 128), failing(8, torch.OutOfMemoryError("no memory")))
            weights.note()
            return model
        assert weights.left == [], "two of them at once"
        return open_on(backend, TINY, (128, 128))

    open_on(Backend("torch"), TINY, (128, 128))
    weights, clock = Weights(), WallClock()
    chain = FallbackChain(backends_on(("torch",), True), open_backend, lines.append)

    def open_pipeline() -> FramePipeline:
        return FramePipeline(chain.model, clock, choose_plan(chain.model))

    show, _ = LookOptions(model=TINY, settings={"guidance": "blend", "steps": 4}).build_show()
    plain = OscOptions(port=0)
    with Engine(show, SynthSource(clock), open_pipeline, clock, osc=plain, step_down=chain.step_down) as engine:
        assert engine.frames.wait_newer(engine.frames.count, 120)
        while not lines:
            assert engine.frames.wait_newer(engine.frames.count, 120)
        assert engine.frames.wait_newer(engine.frames.count, 120)
    assert lines == ["torch: out of memory; going on with torch at 1 step a frame"]
