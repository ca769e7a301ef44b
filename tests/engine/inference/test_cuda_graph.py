"""A frame's halves as functions of tensors: on the CPU without a graph, on a GPU with one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import strict_gpu
import torch
from torch.overrides import TorchFunctionMode

from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, Frame, GuidanceTier, Prompt, Rule, ShowState, SoundWindow
from engine.inference import frame_pipeline
from engine.inference.cuda_graph import MOST, CapturedSampler
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import captured, choose_plan, eager_plan, prepare, to_bytes
from engine.inference.similarity import same_frame
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.errors import RunError
from tpos_models.network import Run, run_in_torch
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.registry import Additions


@pytest.fixture(scope="module")
def model() -> Model:
    return registry.load("random:tiny-lcm", run_in_torch, "cpu", (64, 64), Additions(audio_encoder="pocket"))


def conditions(model: Model, *weights: float) -> Conditions:
    beach, night, fire, nothing = model.text.encode(["a beach", "a city at night", "fire", ""]).tokens
    terms = (AudioTerm(fire, weights[0]), AudioTerm(night, weights[1])) if weights else ()
    return Conditions(beach, nothing, nothing, terms)


def noise(model: Model) -> torch.Tensor:
    return torch.randn(1, 4, *model.spec.sample_size, generator=torch.Generator().manual_seed(3))


class Recorder:
    """Counts what is captured; plays it by calling it again."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, draw: Run) -> Run:
        self.count += 1
        return draw


def eager(model: Model) -> LcmSampler:
    return LcmSampler(model.denoiser, NoiseSchedule(model.spec))


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("weights", [(), (0.7, 0.0), (0.7, 0.3)])
def test_captured_it_is_the_frame_that_the_sampler_makes(model, tier, weights):
    guidance = Guidance(guidance_scale=2.0, quantile=0.8)
    request = SampleRequest(noise(model), conditions(model, *weights), tier, guidance, 2)
    want = eager(model)(request)
    plan = captured(eager_plan(model), Recorder())
    got = plan.sampler(request)
    torch.testing.assert_close(got.x0, want.x0, rtol=1e-4, atol=1e-4)
    assert got.evaluations == want.evaluations
    assert got.request is request
    assert (plan.decode(got.x0).int() - to_bytes(model.decoder(want.x0)).int()).abs().max() <= 1


@pytest.mark.parametrize("tier", Tier)
def test_where_sound_acts_is_captured_with_the_frame(model, tier):
    request = SampleRequest(noise(model), conditions(model, 0.7, 0.3), tier, Guidance(quantile=0.8), 2, mask=True)
    recorder, want = Recorder(), eager(model)(request)
    sampler = CapturedSampler(eager(model), recorder)
    for asked in (request, request, replace(request, mask=False), replace(request, mask=False)):
        got = sampler(asked)
        torch.testing.assert_close(got.x0, want.x0, rtol=1e-4, atol=1e-4)
        if asked.mask and tier is not Tier.BLEND:
            assert want.mask is not None
            torch.testing.assert_close(got.mask, want.mask)
        else:
            assert got.mask is None
    assert recorder.count == (1 if tier is Tier.BLEND else 2), "it is another work, where there is one"


def test_it_starts_from_latents_as_far_as_it_is_told(model):
    sampler, latents = CapturedSampler(eager(model), Recorder()), 0.5 * noise(model).flip(-1)
    for strength in (0.5, 1.0):
        request = SampleRequest(
            noise(model), conditions(model, 0.5, 0.0), Tier.BLEND, Guidance(), 4, start=latents, strength=strength
        )
        torch.testing.assert_close(sampler(request).x0, eager(model)(request).x0, rtol=1e-4, atol=1e-4)


def test_a_key_is_captured_when_it_comes_twice_in_a_row_and_few_are_kept(model):
    recorder, z, now = Recorder(), noise(model), conditions(model, 0.5, 0.0)
    sampler = CapturedSampler(eager(model), recorder)

    def sample(scale: float) -> torch.Tensor:
        return sampler(SampleRequest(z, now, Tier.BLEND, Guidance(guidance_scale=scale), 1)).x0

    for scale in (1.0, 1.5, 2.0, 1.0):
        sample(scale)
    assert recorder.count == 0, "a moving fader is not captured"
    frames = [sample(1.0) for _ in range(3)]
    assert recorder.count == 1
    assert all(torch.equal(one, other) for one, other in pairwise(frames))
    for scale in range(MOST):
        sample(2.0 + scale)
        sample(2.0 + scale)
    assert recorder.count == 1 + MOST
    for scale in range(4 * MOST):
        sample(10.0 + scale)
    assert len(sampler._evaluations) <= MOST + 1, "a fader moved all night leaves nothing behind"
    sample(1.0)
    sample(1.0)
    assert recorder.count == 2 + MOST, "the oldest was let go"


@pytest.mark.parametrize("tier", [Tier.BLEND, Tier.SEMANTIC])
def test_a_sound_that_falls_silent_beside_another_needs_no_other_capture(model, tier):
    recorder = Recorder()
    sampler = CapturedSampler(eager(model), recorder)
    for weights in ((0.5, 0.2), (0.5, 0.2), (0.5, 0.0), (0.5, 0.0), (0.0, 0.3), (0.0, 0.3)):
        request = SampleRequest(noise(model), conditions(model, *weights), tier, Guidance())
        torch.testing.assert_close(sampler(request).x0, eager(model)(request).x0, rtol=1e-4, atol=1e-4)
    assert recorder.count == 1


@pytest.mark.parametrize("runner", ["tensorrt", "tensorrt_rtx", "cuda", "torch"])
def test_below_what_records_is_a_backend_that_does_not(model, runner):
    plan = choose_plan(replace(model, runner=runner, device=torch.device("cuda")))
    assert plan.captured is (runner != "torch")


@pytest.mark.parametrize("tier", Tier)
def test_what_was_prepared_is_not_captured_on_the_first_beat(model, tier):
    recorder = Recorder()
    pipeline = FramePipeline(model, VirtualClock(), captured(eager_plan(model), recorder))
    rules = (Rule("rain", "rain"), Rule("fire", "fire"))
    state = ShowState(prompts=(Prompt("a beach"),), guidance=GuidanceTier(tier), rules=rules, slew_s=0.0)
    shares: list[float] = []
    pipeline.prepare(state, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    prepared = recorder.count
    assert prepared >= 3, "a decode, silence, sound"
    silence = [pipeline.frame(state).image for _ in range(3)]
    pipeline.hear(SoundWindow(synthesise("rain", 9.0, 1), 9 * 44_100, 9.0), state)
    sound = [pipeline.frame(state).image for _ in range(3)]
    assert (silence[-1] != sound[-1]).any()
    assert recorder.count == prepared


@pytest.mark.parametrize("wrong", [torch.nan, 0.1])
def test_a_capture_that_draws_something_else_is_found_before_the_show(model, wrong):
    def off(run: Run) -> Run:
        return lambda *tensors: tuple((out + wrong).to(out.dtype) for out in run(*tensors))

    request = SampleRequest(noise(model), conditions(model, 0.5, 0.0), Tier.SEMANTIC, Guidance())
    plain = eager_plan(model)
    prepare(captured(plain, lambda run: run), plain, [request])
    with pytest.raises(RunError, match=r"a captured frame is (nan|0\.\d+) off the same frame uncaptured"):
        prepare(captured(plain, off), plain, [request])


@pytest.mark.parametrize("feedback", [0.0, 0.6])
def test_a_frame_begun_while_the_one_before_comes_home_writes_over_neither(model, monkeypatch, feedback):
    """A stream does what it is given in its order. Here it does so at once; what is waited for, is waited for later."""
    monkeypatch.setattr(frame_pipeline, "to_host", lambda pixels: pixels.clone().numpy)
    state = ShowState(
        prompts=(Prompt("a beach"),), guidance=GuidanceTier.SEMANTIC, feedback=feedback, motion=1.0, mask=True
    )  # fmt: skip
    window = SoundWindow(synthesise("fire", 9.0, 1), 9 * 44_100, 9.0)
    loud, shows, masks = replace(SILENCE, level=1.0, onset=1.0), list[list[Frame]](), list[np.ndarray]()
    for plan, under_way in ((eager_plan(model), 1), (captured(eager_plan(model), strict_gpu.capture), 2)):
        clock = VirtualClock()
        pipeline = FramePipeline(model, clock, plan)
        pipeline.queued = under_way == 2
        pipeline.hear(window, state)
        coming, frames = deque[Callable[[], Frame]](), list[Frame]()
        for _ in range(6):
            coming.append(pipeline.begin(state, loud))
            clock.sleep(0.5)
            if len(coming) == under_way:
                frames.append(coming.popleft()())
        shows.append([*frames, *(draw() for draw in coming)])
    for want, got in zip(*shows, strict=True):
        assert abs(got.image.astype(int) - want.image).max() <= 1
        assert isinstance(got.on_gpu, torch.Tensor)
        assert np.array_equal(got.on_gpu.numpy(), got.image)
        assert want.on_gpu is None
        masks += [mask for mask in (got.mask, want.mask) if mask is not None]
        one, other = masks[-2:]
        assert np.isclose(one, other, atol=1e-3).mean() > 0.9, "but for cells at the edge of the quantile"
    for before, after in pairwise(shows[0]):
        assert (before.image != after.image).any(), "it moved"
    assert len({mask.tobytes() for mask in masks}) >= len(shows[0]), "and each has a mask of its own"


class Transfers(TorchFunctionMode):
    """What is sent to a GPU, which here is the host too: from pinned memory, and without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._pinned = list[torch.Tensor]()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.pin_memory:
            self._pinned.append(args[0].clone())
            return self._pinned[-1]
        if func is torch.Tensor.to and torch.device("cuda") in args:
            assert any(args[0] is tensor for tensor in self._pinned), "the copy waits for what the GPU does"
            assert kwargs == {"non_blocking": True}
            self.count += 1
            return args[0]
        return func(*args, **kwargs)


def test_what_a_frame_begins_with_is_sent_without_waiting_for_the_one_before(model):
    """Its noise, and with feedback what is leaked into it."""
    clock = VirtualClock()
    pipeline = FramePipeline(replace(model, device=torch.device("cuda")), clock, eager_plan(model))
    state = ShowState(prompts=(Prompt("a beach"),), guidance=GuidanceTier.SEMANTIC, feedback=0.6, motion=1.0)
    with Transfers() as transfers:
        for _ in range(3):
            pipeline.begin_changed(state)
            clock.sleep(0.5)
    assert transfers.count == 3 + 2


def test_on_a_gpu_nobody_looks_into_a_request_to_know_whether_it_is_another(model):
    """There every look waits for the frame before. Tensors without values stand for those on a GPU."""
    now, meta = conditions(model, 0.5, 0.2), torch.device("meta")
    request = SampleRequest(torch.empty(1, 4, 8, 8, device=meta), now, Tier.SEMANTIC, Guidance())
    assert same_frame(request, replace(request))
    assert not same_frame(request, replace(request, noise=torch.empty(1, 4, 8, 8, device=meta)))
    one, other = (replace(request, conditions=replace(now, text=now.text.to(meta))) for _ in range(2))
    assert not same_frame(one, other)


@pytest.mark.gpu
def test_beginning_a_frame_waits_for_nothing():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    from export import cuda_graphs as cuda

    on_gpu = registry.load("random:tiny-lcm", cuda.runner(), "cuda")
    pipeline = FramePipeline(on_gpu, VirtualClock(), choose_plan(on_gpu))
    state = ShowState(prompts=(Prompt("a beach"),), guidance=GuidanceTier.SEMANTIC, feedback=0.6)
    for _ in range(5):
        pipeline.frame(state)
    torch.cuda.set_sync_debug_mode("error")
    try:
        coming = [pipeline.begin(state) for _ in range(4)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [draw().index for draw in coming] == [6, 7, 8, 9]


def test_on_a_gpu_two_frames_are_under_way_whatever_they_are_fed(model):
    pipeline = FramePipeline(replace(model, device=torch.device("cuda")), VirtualClock(), eager_plan(model))
    assert pipeline.queued
    assert [pipeline.at_once(ShowState(feedback=feedback)) for feedback in (0.0, 0.6)] == [2, 2]


@pytest.mark.gpu
@pytest.mark.parametrize("tier", Tier)
def test_graphs_of_a_frames_halves_follow_prompt_sound_and_noise(tier):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    from export import cuda_graphs as cuda

    model = registry.load("random:tiny-lcm", cuda.runner(), "cuda")
    plan = choose_plan(model)
    for weight in (0.2, 0.2, 0.9, 0.5):
        z = torch.randn(1, 4, *model.spec.sample_size, device="cuda")
        request = SampleRequest(z, conditions(model, weight, 0.0), tier, Guidance(guidance_scale=2.0))
        want, got = eager(model)(request), plan.sampler(request)
        torch.testing.assert_close(got.x0, want.x0, rtol=2e-2, atol=2e-2)
        drawn = to_bytes(model.decoder(want.x0)).int()
        assert (plan.decode(got.x0).int() - drawn).abs().float().mean() < 2
