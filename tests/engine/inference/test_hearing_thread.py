"""Hearing in a live show: on the built-in encoder, and on ones that fail and hang."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from engine.audio import SAMPLE_RATE
from engine.core.clock import VirtualClock, WallClock
from engine.core.messages import SILENCE, AudioFeatures, Rule, SoundWindow
from engine.core.own_thread import RESTART_S
from engine.inference.hearing import HeardSound, Listener
from engine.inference.hearing_thread import Hearing
from tpos_models.contracts import AudioEmbedding, Model
from tpos_models.network import run_in_torch
from tpos_models.pocket.model import load
from tpos_models.pocket.synth.sounds import synthesise

pytestmark = pytest.mark.realtime

RAIN = synthesise("rain", 12.0, 7)
PATIENCE_S = 20.0


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "nothing came of it"
        time.sleep(0.005)


@dataclass
class Rain:
    """Rain that has been falling for `end_s`, until it is set further."""

    end_s: float = 9.0

    def latest(self) -> AudioFeatures:
        return replace(SILENCE, time_s=self.end_s)

    def window(self, seconds: float) -> SoundWindow:
        end = round(self.end_s * SAMPLE_RATE)
        return SoundWindow(RAIN[max(0, end - round(seconds * SAMPLE_RATE)) : end], end, self.end_s)


class Net:
    """Something to be encoded with, and to be let go."""


SOUND = HeardSound(AudioEmbedding(torch.ones(2, 3), torch.ones(1), np.full(5, 0.2, np.float32), -12.0, 9.0))


@dataclass
class Ears:
    """Hear the same every time they are asked; fail with what is in `trouble`, hang while `held`."""

    encoder: Any = field(default_factory=Net)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    heard: HeardSound | None = None
    trouble: list[Exception] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)
    free: threading.Event = field(default_factory=threading.Event)
    inside: int = 0

    def __post_init__(self) -> None:
        self.free.set()

    def listen(self, source: object, rules: tuple[Rule, ...]) -> bool:
        self.asked_s.append(self.clock.now())
        self.inside += 1
        self.free.wait()
        self.inside -= 1
        if self.trouble:
            raise self.trouble.pop()
        self.heard = replace(SOUND, rules=rules)
        return True


def hearing(ears: Any, clock: Any = None, source: Any = None, apart: bool = True) -> Hearing:
    clock = clock or WallClock()
    return Hearing(ears, source or Rain(), clock, threading.Lock(), apart=apart)


def weight(heard: HeardSound | None) -> float:
    """How much of what the ears hear still steers, 0..1."""
    return 0.0 if heard is None else float(heard.terms()[0].weight / SOUND.terms()[0].weight)


@pytest.fixture(scope="module")
def model() -> Model:
    return load(run_in_torch, "torch")


def test_a_thread_hears_what_the_encoder_hears_and_inference_does_not_encode(model, monkeypatch):
    heard_by: set[str] = set()
    hear = model.audio.hear

    def noted(*given: Any) -> AudioEmbedding:
        heard_by.add(threading.current_thread().name)
        return hear(*given)

    rain, rules = Rain(), (Rule("rain", "a flood", 1.0),)
    alone = Listener(load(run_in_torch, "torch"))
    want = alone.hear(rain.window(alone.window_s), rules)
    monkeypatch.setattr(model.audio, "hear", noted)
    with hearing(Listener(model), source=rain) as thread:
        first = thread.newest(())
        assert first is not None, "no frame comes before the first sound is heard"
        until(lambda: (thread.newest(rules) or first).rules == rules)
        got = thread.newest(rules)
        assert got is not None
        assert torch.equal(got.embedding.tokens, want.embedding.tokens)
        assert got.phrases == want.phrases
        assert got.phrases[0].phrase == "rain"
        assert [term.weight for term in got.terms()] == [term.weight for term in want.terms()]
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(got.shows, want.shows, strict=True))
        rain.end_s = 9.3
        until(lambda: (thread.newest(rules) or got).embedding.time_s > got.embedding.time_s)
    assert heard_by == {"hearing"}
    assert "hearing" not in [thread.name for thread in threading.enumerate()]


def test_what_is_handed_over_is_taken_before_each_use():
    """On a GPU its tensors are ready, for the stream that reads them, only then; also while it fades."""
    taken = list[int]()
    thread = hearing(Ears(), clock := VirtualClock())
    thread._box.put(replace(SOUND, take=lambda: taken.append(1)))
    assert thread.newest(()) is not None
    thread._asked_s = clock.now()
    clock.sleep(3.0)
    assert 0 < weight(thread.newest(())) < 1
    assert len(taken) == 2


def test_a_show_that_is_over_or_deaf_does_not_wait_for_its_first_sound():
    begun_s = time.monotonic()
    with Hearing(Ears(), Rain(), WallClock(), threading.Lock(), apart=True, over=lambda: True):
        pass
    with hearing(Ears(trouble=[RuntimeError("no")] * 99)):
        pass
    assert time.monotonic() - begun_s < 1.0


def test_a_failing_encoder_is_said_once_and_tried_again_after_growing_pauses(caplog):
    clock = VirtualClock()
    ears = Ears(clock=clock)
    with hearing(ears, clock, apart=False) as live:
        assert weight(live.newest(())) == 1.0
        ears.asked_s.clear()
        ears.trouble = [RuntimeError("no memory")] * 7
        troubles = set()
        while ears.trouble:
            live.newest(())
            troubles.add(live.trouble)
            clock.sleep(0.01)
        clock.sleep(RESTART_S[-1])
        assert weight(live.newest(())) == 1.0
        assert live.trouble == ""
    assert troubles == {"hearing stopped: no memory"}
    assert np.diff(ears.asked_s) == pytest.approx(np.array([*RESTART_S, RESTART_S[-1], RESTART_S[-1]]), abs=0.011)
    assert [record.message for record in caplog.records] == ["hearing failed"]


@pytest.mark.parametrize("hangs", [False, True])
def test_what_was_heard_last_stays_two_seconds_and_is_gone_after_four(hangs):
    clock = VirtualClock()
    ears = Ears(clock=clock)
    with hearing(ears, clock) as live:
        until(lambda: weight(live.newest(())) == 1.0)
        ears.trouble = [] if hangs else [RuntimeError("no memory")] * 1000
        if hangs:
            ears.free.clear()
        until(lambda: ears.inside == 1 if hangs else bool(live.trouble))
        weights = []
        for _ in range(9):
            weights.append(weight(live.newest(())))
            clock.sleep(0.5)
            time.sleep(0.05)  # in which it is tried again, where its pause is over
        assert weights == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0], abs=1e-6)
        assert live.newest(()) is None
        assert live.trouble == ("hearing hangs: no answer in 1.2 s" if hangs else "hearing stopped: no memory")
        ears.trouble.clear()
        ears.free.set()
        clock.sleep(RESTART_S[-1])
        until(lambda: weight(live.newest(())) == 1.0)
        assert live.trouble == ""


def test_a_slow_answer_within_inference_counts_in_full():
    clock = VirtualClock()

    class Slow(Ears):
        def listen(self, source: object, rules: tuple[Rule, ...]) -> bool:
            clock.sleep(5.0)
            return super().listen(source, rules)

    with hearing(Slow(), clock, apart=False) as live:
        assert [weight(live.newest(())) for _ in range(3)] == [1.0] * 3


def test_no_thread_enters_an_encoder_in_which_another_hangs():
    ears, encoding = Ears(), threading.Lock()
    old = Hearing(ears, Rain(), WallClock(), encoding, apart=True)
    new = Hearing(ears, Rain(), WallClock(), encoding, apart=True)
    with old:
        until(lambda: ears.heard is not None)
        ears.free.clear()
        until(lambda: ears.inside == 1)
    asked = len(ears.asked_s)
    with new:
        time.sleep(0.2)
        assert (ears.inside, len(ears.asked_s)) == (1, asked)
        ears.free.set()
        until(lambda: new.newest(()) is not None)
    assert ears.inside == 0


def test_a_closed_one_lets_go_of_its_encoder():
    ears = Ears()
    encoder = weakref.ref(ears.encoder)
    with hearing(ears) as live:
        until(partial(live.newest, ()))
    del ears, live
    gc.collect()
    assert encoder() is None


def test_it_ends_by_itself_when_its_turn_is_over():
    over = threading.Event()
    live = Hearing(Ears(), Rain(), WallClock(), threading.Lock(), apart=True, over=over.is_set)
    with live:
        over.set()
        until(lambda: "hearing" not in [thread.name for thread in threading.enumerate()])
