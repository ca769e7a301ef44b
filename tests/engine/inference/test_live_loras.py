"""A LoRA's fader in the show: OSC over a loopback socket, one write of the weights between two frames, the frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import strict_gpu
import torch
from pythonosc.udp_client import SimpleUDPClient
from small_diffusers import CONV, LINEAR, TEXT, write_lora

from engine.app.options import LookOptions
from engine.control.osc import OscServer
from engine.core.clock import VirtualClock
from engine.core.messages import GuidanceTier, LoraStrength, Prompt, Rule, ShowState, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import captured, eager_plan
from tpos_models import registry
from tpos_models.contracts import Loras, Model
from tpos_models.network import Run
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.registry import Additions
from tpos_models.stable_diffusion import open_model

PATIENCE_S = 20.0
SEA = ShowState(
    prompts=(Prompt("the sea"),), motion=0.0, slew_s=0.0, rules=(Rule("rain", "rain on water"),), negative="fog"
)


@pytest.fixture(scope="module")
def style(tmp_path_factory) -> Path:
    return write_lora(tmp_path_factory.mktemp("lora") / "style.safetensors", LINEAR, CONV)


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    return write_lora(tmp_path_factory.mktemp("lora") / "words.safetensors", TEXT)


def load(*loras: str) -> Model:
    return registry.load("random:tiny-sd15", size_px=(64, 64), additions=Additions(loras, "pocket"))


def stage(model: Model, capture: Callable[[Run], Run] | None = None) -> FramePipeline:
    plan = eager_plan(model)
    return FramePipeline(model, VirtualClock(), captured(plan, capture) if capture else plan)


def at(**strengths: float) -> ShowState:
    return replace(SEA, loras=tuple(LoraStrength(*one) for one in strengths.items()))


def picture(pipeline: FramePipeline, state: ShowState) -> np.ndarray:
    return pipeline.frame(state).image


class Counted:
    """A model's LoRAs, and how often their weights were written."""

    def __init__(self, loras: Loras | None) -> None:
        assert loras is not None
        self._loras, self.names, self.words = loras, loras.names, loras.words
        self.asked = list[Mapping[str, float]]()

    def set(self, strengths: Mapping[str, float]) -> bool:
        self.asked.append(strengths)
        return self._loras.set(strengths)


def test_a_show_at_a_strength_is_a_show_that_was_loaded_at_it_and_at_zero_the_plain_one(style, words):
    faded, other, plain = stage(load(str(style), str(words))), load(f"{style}:0.6", f"{words}:1.5"), load()
    state = replace(SEA, guidance=GuidanceTier.REFERENCE, guidance_scale=3.0)
    before = picture(faded, replace(state, loras=at(style=0.0, words=0.0).loras))
    assert np.array_equal(before, picture(stage(plain), state))
    moved = picture(faded, replace(state, loras=at(style=0.6, words=1.5).loras))
    assert np.array_equal(moved, picture(stage(other), state))
    assert abs(moved.astype(int) - before).max() > 2
    assert np.array_equal(before, picture(faded, replace(state, loras=at(style=0.0, words=0.0).loras)))


@pytest.mark.parametrize("tier", [GuidanceTier.SEMANTIC, GuidanceTier.REFERENCE])
def test_the_text_encoders_part_reaches_prompts_rules_and_what_guidance_leaves(words, tier):
    """Everything that was encoded before: the sound is heard anew, as it is five times a second."""
    sound, state = (
        SoundWindow(synthesise("rain", 9.0, 1), 9 * 44_100, 9.0),
        replace(SEA, guidance=tier, guidance_scale=3.0),
    )
    faded, other = stage(load(f"{words}:0")), stage(load(f"{words}:1.5"))
    for pipeline in (faded, other):
        pipeline.hear(sound, state)
        pipeline.frame(state)
    moved = replace(state, loras=(LoraStrength("words", 1.5),))
    faded.frame(moved)
    faded.hear(sound, moved)
    for pipeline in (faded, other):
        assert (pipeline.frame(moved).heard[0].phrase, pipeline.frame(moved).revision) == ("rain", 0)
    assert np.array_equal(picture(faded, moved), picture(other, moved))


def test_rules_are_weighed_with_the_new_words_at_once(words):
    faded, other = stage(load(f"{words}:0")), stage(load(f"{words}:1.5"))
    for pipeline in (faded, other):
        pipeline.hear(SoundWindow(synthesise("rain", 9.0, 1), 9 * 44_100, 9.0), SEA)
        pipeline.frame(SEA)
    faded.frame(at(words=1.5))
    rule, wanted = (one._heard.terms()[1] for one in (faded, other))  # type: ignore[union-attr]
    assert rule.weight == wanted.weight > 0
    assert np.array_equal(rule.tokens, wanted.tokens)


def test_what_was_recorded_draws_with_the_new_weights_and_is_not_recorded_again(style, words):
    recorded = list[Run]()

    def capture(execute: Run) -> Run:
        return strict_gpu.capture(lambda *tensors: recorded.append(execute) or execute(*tensors))

    model = load(str(style), str(words))
    pipeline, plain = stage(model, capture), stage(load(str(style), str(words)))
    pipeline.prepare(at(style=0.0, words=0.0))
    begun = len(recorded)
    assert begun > 0
    for strengths in ({"style": 0.0, "words": 0.0}, {"style": 0.9, "words": 0.0}, {"style": -0.4, "words": 2.0}):
        got, want = (picture(one, at(**strengths)).astype(int) for one in (pipeline, plain))
        assert abs(got - want).max() <= 1
    assert len(recorded) == begun


def test_a_fader_moved_sixty_times_between_two_frames_writes_the_weights_once(style):
    model = load(str(style))
    counted = Counted(model.loras)
    written = list[int]()
    unet = model.loras.adapters["unet"]  # type: ignore[union-attr]
    show, _ = LookOptions("random:tiny-sd15", lora=[str(style)], prompt="the sea").build_show()
    pipeline = stage(replace(model, loras=counted))
    pipeline.frame(show.current())
    beside = torch.nn.ModuleDict({"unet": open_model("random:tiny-sd15").recipe.source.unet()})
    unet.attach(beside, lambda name, value: None, lambda: written.append(1))
    written.clear()
    for step in range(60):
        show.command("/tpos/lora/1/strength", (step / 60,))
    for _ in range(3):
        pipeline.frame(show.current())
    assert written == [1]
    assert counted.asked[-1] == {"style": pytest.approx(59 / 60, abs=1e-6)}


def test_no_two_frames_are_sampled_side_by_side_while_weights_may_move(style, monkeypatch):
    monkeypatch.setattr("engine.inference.frame_pipeline.frames_at_once", lambda beside_display: 2)
    both = replace(load(), runner="onnx"), replace(load(str(style)), runner="onnx")
    assert [stage(model).at_once(SEA) for model in both] == [2, 1]


@pytest.mark.realtime
def test_an_osc_fader_changes_the_frame_and_one_too_many_is_answered(style, words):
    show, troubles = LookOptions("random:tiny-sd15", lora=[f"{style}:0", f"{words}:0.5"], prompt="the sea").build_show()
    assert troubles == []
    pipeline, frames = stage(load(f"{style}:0", f"{words}:0.5")), list[np.ndarray]()
    still = {"motion": 0.0}
    show.put(still)
    server = OscServer(show.queue, port=0, check=show.check).start()
    client = SimpleUDPClient(*server.address)
    with closing(server), client:
        frames.append(picture(pipeline, show.current()))
        client.send_message("/tpos/lora/1/strength", 0.8)
        deadline = time.monotonic() + PATIENCE_S
        while show.current().loras[0].strength == 0.0:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        frames.append(picture(pipeline, show.current()))
        client.send_message("/tpos/lora/3/strength", 0.8)
        answers = list[tuple]()
        while not answers:
            assert time.monotonic() < deadline
            show.current()
            answers = [tuple(m.params) for m in client.get_messages(0.05) if m.address == "/tpos/error"]
    assert show.state.loras == (LoraStrength("style", 0.8), LoraStrength("words", 0.5))
    assert not np.array_equal(frames[0], frames[1])
    want = replace(show.state, loras=())
    assert np.array_equal(frames[1], picture(stage(load(f"{style}:0.8", f"{words}:0.5")), want))
    assert answers == [("/tpos/lora/3/strength", "there is no LoRA 3", "1 style, 2 words")]
