"""The sampling stage on the built-in model: prompts, sounds, rules, motion, and exact repeats."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.app.prompt_check import remarks
from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, GuidanceTier, Prompt, Rule, ShowState, SoundWindow
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.hearing import HEAR_EVERY_S
from engine.inference.plan import choose_plan
from engine.inference.similarity import same_frame
from export import onnx_runner, onnx_session
from tpos_models.contracts import Model
from tpos_models.diffusion.guidance import Tier
from tpos_models.pocket.model import load
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.precision import Precision

RATE = 44_100
BEACH = ShowState(prompts=(Prompt("a beach"),), motion=0.0, amount=1.0, slew_s=0.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return load(onnx_runner.runner(Precision.FP32), "onnx")


def hear(stage: FramePipeline, name: str, state: ShowState, seconds: float = 9.0) -> None:
    sound = synthesise(name, seconds, 11)
    step = round(HEAR_EVERY_S * RATE)
    for end in range(len(sound) - 3 * step, len(sound) + 1, step):
        stage.hear(SoundWindow(sound[:end], end, end / RATE), state)


def fresh(model: Model) -> tuple[FramePipeline, VirtualClock]:
    clock = VirtualClock()
    return FramePipeline(model, clock, choose_plan(model)), clock


@pytest.mark.parametrize("tier", Tier)
def test_amount_zero_is_the_plain_prompt_bit_for_bit(model, tier):
    state = replace(BEACH, guidance=GuidanceTier(tier))
    plain = fresh(model)[0].frame(state).image
    stage, _ = fresh(model)
    hear(stage, "thunder", state)
    assert np.array_equal(stage.frame(replace(state, amount=0.0)).image, plain)
    assert not np.array_equal(stage.frame(state).image, plain)


def test_a_frame_is_one_evaluation_of_the_seeds_noise_decoded(model):
    """At its noisiest timestep pocket's x_t is the noise itself, and what it predicts is the picture's latents."""
    drawn = fresh(model)[0].frame(replace(BEACH, guidance=GuidanceTier.BLEND, seed=4))
    noise = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(4))
    latents = model.denoiser(noise, torch.tensor([999]), model.text.encode(["a beach"]).tokens)
    picture = model.decoder(latents)[0].double().permute(1, 2, 0).numpy()
    assert np.abs(drawn.image[..., :3] - np.rint(255 * picture.clip(0, 1))).max() <= 1
    assert (drawn.image[..., 3] == 255).all()
    assert drawn.evaluations == 1


@pytest.mark.parametrize(("runner", "evaluations"), [("torch", 1), ("onnx", 2), ("cuda", 2)])
def test_auto_is_the_tier_that_the_hardware_affords(model, runner, evaluations):
    state = replace(BEACH, guidance=GuidanceTier.AUTO)
    stage, _ = fresh(replace(model, runner=runner))
    hear(stage, "thunder", state)
    assert stage.frame(state).evaluations == evaluations


def test_an_onset_pushes_the_picture(model):
    """By two fifths at its full strength."""
    stage, _ = fresh(model)
    hear(stage, "thunder", BEACH)
    plain, *pushed = (
        sum(float(term.weight) for term in stage._conditions(BEACH, replace(SILENCE, onset=onset), 0.0).sounds)
        for onset in (0.0, 0.5, 1.0)
    )
    assert plain > 0.1
    assert [one / plain for one in pushed] == pytest.approx([1.2, 1.4])


def test_same_seed_same_frames(model):
    def play() -> list[np.ndarray]:
        stage, clock = fresh(model)
        state = replace(BEACH, motion=0.7, seed=5)
        frames = []
        for _ in range(4):
            clock.sleep(0.1)
            frames.append(stage.frame(state, replace(SILENCE, level=0.5, onset=0.3)).image)
        return frames

    once, again = play(), play()
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], once[3])


def test_a_still_is_still(model):
    stage, clock = fresh(model)
    hear(stage, "rain", BEACH)
    first = stage.frame(BEACH).image
    clock.sleep(1.0)
    assert np.array_equal(stage.frame(BEACH).image, first)


@pytest.fixture
def stepping(model):
    """The same, taken for a model that gains by more steps."""
    return replace(model, spec=replace(model.spec, most_steps=None))


def test_only_what_would_be_the_last_frame_again_is_not_sampled(stepping):
    """A show with everything in it, frame by frame: what is skipped is what the frame before showed, bit for bit."""
    silence, rain = np.zeros(9 * RATE, np.float32), synthesise("rain", 9.0, 11)
    states: dict[int, dict[str, Any]] = {
        1: {}, 2: {}, 3: {"prompts": (Prompt("a city"),), "fade_s": 0.25}, 6: {}, 7: {"steps": 2}, 8: {},
        9: {"guidance": GuidanceTier.BLEND}, 10: {"guidance": GuidanceTier.REFERENCE}, 11: {"guidance_scale": 1.5},
        12: {"negative": "fog"}, 13: {}, 14: {"seed": 5}, 15: {}, 16: {"motion": 0.5}, 18: {"motion": 0.0}, 19: {},
        20: {"hear": rain}, 21: {}, 22: {"onset": 0.5}, 23: {"amount": 0.3}, 24: {"onset": 0.0}, 25: {},
        26: {"rules": (Rule("rain", "fire", 1.0),)}, 27: {}, 28: {"hear": silence}, 29: {},
    }  # fmt: skip
    (every, clock), (changed, other_clock) = fresh(stepping), fresh(stepping)
    state, features, shown = BEACH, SILENCE, np.zeros(0)
    skipped: list[int] = []
    for moment in range(1, 31):
        clock.sleep(0.1)
        other_clock.sleep(0.1)
        change = dict(states.get(moment, {}))
        features = replace(features, onset=change.pop("onset", features.onset), time_s=clock.now())
        sound = change.pop("hear", None)
        state = replace(state, **change)
        if sound is not None:
            end = moment * 100 * RATE
            for stage in (every, changed):
                stage.hear(SoundWindow(sound, end, clock.now()), state)
        elif "rules" in change:
            for stage in (every, changed):
                stage.hear(SoundWindow(rain, end, clock.now()), state)
        image = every.frame(state, features).image
        draw = changed.begin_changed(state, features)
        skipped += [moment] if draw is None else []
        shown = shown if draw is None else draw().image
        assert np.array_equal(shown, image), moment
    assert skipped == [2, 3, 8, 13, 15, 18, 19, 21, 25, 27, 29, 30]


def test_a_frame_fed_back_a_streamed_one_and_one_of_a_new_state_are_never_skipped(model):
    stage = fresh(model)[0]
    for state in (BEACH, replace(BEACH, revision=1), replace(BEACH, revision=1, feedback=0.5)):
        assert stage.begin_changed(state) is not None
    assert stage.begin_changed(replace(BEACH, revision=1, feedback=0.5)) is not None
    streamed = FramePipeline(model, VirtualClock(), choose_plan(model, stream_batch=True))
    assert all(streamed.begin_changed(replace(BEACH, steps=2)) is not None for _ in range(3))


def test_a_constant_sound_is_a_still_too(model):
    hop = 17 * 512  # a grid step of the encoder: what repeats with it is the same sound at every hop
    sound = np.tile(synthesise("rain", hop / RATE, 11), 50)
    stage, clock = fresh(model)
    frames = []
    for end in range(hop, sound.size + 1, hop):
        clock.sleep(hop / RATE)
        stage.hear(SoundWindow(sound[:end], end, end / RATE), BEACH)
        if end > sound.size - 3 * hop:
            frames.append(stage.frame(BEACH).image)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_the_quieter_the_sound_the_nearer_to_the_plain_prompt(model):
    plain = fresh(model)[0].frame(BEACH).image.astype(float)
    sound = synthesise("fire", 9.0, 3)
    distances = []
    for played, gain_db in enumerate((-30, -20, -10, 0)):
        stage, _ = fresh(model)
        stage.hear(SoundWindow(sound * 10 ** (gain_db / 20), 10_000_000 * played, 9.0), BEACH)  # a stream of its own
        distances.append(float(np.abs(stage.frame(BEACH).image - plain).mean()))
    assert distances == sorted(distances)
    assert distances[-1] > distances[0] + 1


@pytest.mark.parametrize("tier", [GuidanceTier.SEMANTIC, GuidanceTier.REFERENCE])
def test_a_frame_tells_where_its_sound_is_drawn(model, tier):
    """Where the mask says so, the sound has changed the picture more than elsewhere; the picture itself is the same."""
    state = replace(BEACH, guidance=tier, amount=0.4)
    plain = fresh(model)[0].frame(state).image.astype(float)
    stage, _ = fresh(model)
    hear(stage, "fire", state)
    unasked = stage.frame(state)
    asked = stage.frame(replace(state, mask=True))
    assert unasked.mask is None
    assert np.array_equal(unasked.image, asked.image)
    mask = asked.mask
    assert mask is not None
    assert (mask.dtype, mask.shape, mask.flags.writeable) == (np.float32, (32, 32), False)
    assert 0 <= mask.min() < 0.1
    assert 0.9 < mask.max() <= 1
    changed = np.abs(asked.image - plain).mean(-1).reshape(32, 8, 32, 8).mean((1, 3))
    assert changed[mask > 0.6].mean() > 2 * changed[mask < 0.2].mean()
    silent = stage.frame(replace(state, amount=0.0, mask=True)).mask
    assert silent is not None
    assert not silent.any()


def test_only_a_layer_that_is_local_and_who_listens_ask_where_the_sound_is_drawn(model):
    stage, _ = fresh(model)
    state = replace(BEACH, guidance=GuidanceTier.SEMANTIC)
    hear(stage, "fire", state)
    local = replace(state, shader=replace(state.shader, local=0.1))
    assert [stage.frame(asked).mask is None for asked in (state, local, replace(state, mask=True))] == [
        True, False, False,
    ]  # fmt: skip
    assert stage.frame(replace(local, guidance=GuidanceTier.BLEND)).mask is None, "the blend tier cannot tell"
    before = stage._request_before
    assert before is not None
    assert not same_frame(before, replace(before, mask=False))


def test_prompts_crossfade_over_seconds_and_switch_at_once_without(model):
    stage, clock = fresh(model)
    beach = stage.frame(BEACH).image
    city = replace(BEACH, prompts=(Prompt("a city"),))
    target = fresh(model)[0].frame(city).image
    fading = replace(city, fade_s=2.0)
    assert np.array_equal(stage.frame(fading).image, beach)
    clock.sleep(1.0)
    middle = stage.frame(fading).image
    assert not np.array_equal(middle, beach)
    assert not np.array_equal(middle, target)
    clock.sleep(1.5)
    assert np.array_equal(stage.frame(fading).image, target)
    assert np.array_equal(stage.frame(replace(BEACH, fade_s=0.0)).image, beach)


def test_a_rule_shows_what_it_says_when_its_sound_is_heard(model):
    state = replace(BEACH, rules=(Rule("rain", "fire everywhere", 1.0),))
    with_rule, without = fresh(model)[0], fresh(model)[0]
    hear(with_rule, "rain", state)
    hear(without, "rain", BEACH)
    ruled, plain = with_rule.frame(state).image.astype(float), without.frame(BEACH).image.astype(float)
    redder = (ruled - plain).mean((0, 1))
    assert redder[0] - redder[2] > 3


def test_frames_tell_what_shaped_them(model):
    stage, clock = fresh(model)
    clock.sleep(4.0)
    hear(stage, "rain", BEACH)
    frame = stage.frame(replace(BEACH, revision=7, seed=3), replace(SILENCE, time_s=8.5))
    assert (frame.revision, frame.seed, frame.prompt, frame.index) == (7, 3, "a beach", 1)
    assert frame.audio_time_s >= 8.5
    assert frame.image.shape == (256, 256, 4)
    assert frame.image.dtype == np.uint8
    assert not frame.image.flags.writeable
    assert frame.heard
    assert frame.heard[0].phrase == "rain"


def test_frames_side_by_side_are_those_one_by_one(model):
    def stage_and_states() -> tuple[FramePipeline, list[ShowState]]:
        stage, clock = fresh(model)
        clock.sleep(0.3)
        return stage, [replace(BEACH, motion=0.8, guidance=GuidanceTier(tier), seed=2) for tier in (*Tier, *Tier)]

    stage, states = stage_and_states()
    alone = [stage.frame(state) for state in states]
    stage, states = stage_and_states()
    begun = [stage.begin(state) for state in states]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda draw: draw(), reversed(begun)))[::-1]
    for one, other in zip(alone, together, strict=True):
        assert one.index == other.index
        assert one.evaluations == other.evaluations
        assert np.array_equal(one.image, other.image)


def test_what_is_fed_back_is_the_newest_frame_of_this_seed_whichever_ended_last(model):
    def fed_back(order: int) -> np.ndarray:
        stage, _ = fresh(model)
        names = ("a city at night", "a volcano")
        begun = [stage.begin(replace(BEACH, prompts=(Prompt(name),))) for name in names]
        for draw in begun[::order]:
            draw()
        return stage.frame(replace(BEACH, feedback=0.6)).image

    assert np.array_equal(fed_back(1), fed_back(-1))
    stage, _ = fresh(model)
    under_way, other_seed = stage.begin(BEACH), replace(BEACH, feedback=0.6, seed=9)
    stage.begin(other_seed)
    under_way()
    plain = fresh(model)[0].frame(replace(other_seed, feedback=0.0)).image
    assert np.array_equal(stage.frame(other_seed).image, plain), "the old seed's frame is not fed back"


def test_a_frame_that_needs_the_one_before_is_never_begun_beside_it(model):
    stage, _ = fresh(model)
    assert stage.at_once(replace(BEACH, feedback=0.5)) == 1
    assert FramePipeline(model, VirtualClock(), choose_plan(model, stream_batch=True)).at_once(BEACH) == 1
    assert FramePipeline(replace(model, runner="torch"), VirtualClock(), choose_plan(model)).at_once(BEACH) == 1


@pytest.mark.parametrize(("cores", "alone", "beside_display"), [(1, 1, 1), (2, 2, 1), (8, 2, 2)])
def test_as_many_frames_at_once_as_there_are_cores_for_two_at_most(model, monkeypatch, cores, alone, beside_display):
    monkeypatch.setattr(onnx_session, "cores", lambda: cores)
    monkeypatch.setattr(onnx_session, "providers", lambda: ["CPUExecutionProvider"])
    for display, expected in ((False, alone), (True, beside_display)):
        stage = FramePipeline(model, VirtualClock(), choose_plan(model), beside_display=display)
        assert stage.at_once(BEACH) == expected


def test_hearing_is_apart_but_beside_torch_on_a_cpu_and_where_the_text_encoder_changes(model):
    for runner, device in (("onnx", "cpu"), ("cuda", "cuda"), ("torch", "cuda")):
        assert fresh(replace(model, runner=runner, device=torch.device(device)))[0].hears_apart
    assert not fresh(replace(model, runner="torch"))[0].hears_apart
    on_gpu = replace(model, runner="cuda", device=torch.device("cuda"))
    for words in (True, False):
        loras: Any = SimpleNamespace(words=words)
        assert fresh(replace(on_gpu, loras=loras))[0].hears_apart is not words


def test_more_steps_than_the_model_knows_or_gains_by_are_not_taken(model, stepping):
    asked = replace(BEACH, steps=8, guidance=GuidanceTier.BLEND)
    assert fresh(stepping)[0].frame(asked).evaluations == len(model.spec.timesteps)
    assert fresh(model)[0].frame(asked).evaluations == 1
    assert [*remarks(model, (), 1), *remarks(stepping, (), 8)] == []
    assert list(remarks(model, (), 2)) == ["pocket's pictures get worse with more than 1 step a frame; not taken"]


def test_a_stream_batch_gives_the_plain_frames_later_and_says_what_shaped_them(stepping):
    states = [replace(BEACH, steps=2, guidance=GuidanceTier.BLEND, revision=i, seed=i) for i in range(4)]
    plain = [fresh(stepping)[0].frame(state).image.astype(int) for state in states]
    stage = FramePipeline(stepping, VirtualClock(), choose_plan(stepping, stream_batch=True))
    frames = [stage.frame(state) for state in states]
    assert [frame.revision for frame in frames] == [0, 0, 1, 2]
    assert [frame.index for frame in frames] == [1, 2, 3, 4]
    for frame in frames:
        assert np.abs(frame.image - plain[frame.revision]).max() <= 1
