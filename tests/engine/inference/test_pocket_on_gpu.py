"""`pocket` on a GPU, as far as it can be proved without: on the meta device, and in recordings on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import strict_gpu
import torch
from capture_lint import META, CaptureLint, NothingSent
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from engine.app import doctor
from engine.core.clock import VirtualClock
from engine.core.messages import SILENCE, GuidanceTier, Prompt, Rule, ShowState, SoundWindow
from engine.inference import frame_pipeline, loading, plan
from engine.inference.fallback import Backend, backends_on
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import Plan, captured, choose_plan, eager_plan
from export import tensorrt
from export.cuda_graphs import Replayed
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.diffusion.guidance import Tier
from tpos_models.network import Network, Run, Tensors, run_in_torch
from tpos_models.pocket.model import load
from tpos_models.pocket.synth.sounds import synthesise
from tpos_models.precision import Precision

RAIN = SoundWindow(synthesise("rain", 9.0, 1), 9 * 44_100, 9.0)
STATE = ShowState(prompts=(Prompt("a beach"),), rules=(Rule("rain", "a campfire"),), motion=1.0, slew_s=0.0)
LOUD = replace(SILENCE, level=1.0, onset=1.0)


@pytest.fixture(scope="module")
def valueless() -> Model:
    return load(run_in_torch, "cuda", device=META)


@pytest.fixture
def on_meta(valueless, monkeypatch) -> Model:
    """The model as it lies on a GPU, without values; its pixels have nowhere to go."""
    monkeypatch.setattr(frame_pipeline, "to_host", lambda pixels: lambda: np.ones(pixels.shape, np.uint8))
    return valueless


def linted(recorded: list[Run], execute: Run) -> Run:
    """As a capture is made: all inputs lie on the device, and so does everything that is made of them."""

    def run(*tensors: torch.Tensor) -> Tensors:
        inputs = [torch.empty_like(tensor, device=META) for tensor in tensors]
        recorded.append(execute)
        with NothingSent(), CaptureLint():
            return execute(*inputs)

    return run


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("tier", Tier)
def test_a_whole_frame_can_be_captured(on_meta, tier, sound):
    recorded = list[Run]()
    picture = np.zeros((256, 256, 3), np.uint8) if sound else None
    pipeline = FramePipeline(
        on_meta, VirtualClock(), captured(eager_plan(on_meta), partial(linted, recorded)), picture=picture
    )
    state = replace(STATE, guidance=GuidanceTier(tier), negative="fog", guidance_scale=1.5)
    if sound:
        pipeline.hear(RAIN, state)
    for _ in range(3):
        assert pipeline.frame(state, LOUD).image.shape == (256, 256, 4)
    assert len(recorded) == 2 + 3, "the steps from the second frame on, the pixels of all three"


class Sent(TorchDispatchMode):
    """Fails where the host waits for a copy to the device; counts those that are sent as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.properly, self.count = False, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given, made = (
            {leaf.device for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.ndim}
            for tree in ((args, kwargs), out)
        )
        if META in made and torch.device("cpu") in given:
            assert self.properly or args[-1] is True or (kwargs or {}).get("non_blocking"), f"{func.name()} waits"
        return out

    def to_device(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Stands in for what pins memory."""
        self.properly, self.count = True, self.count + 1
        try:
            return tensor.to(device)
        finally:
            self.properly = False


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("tier", Tier)
def test_tokens_of_the_hosts_go_to_the_gpu_once_a_frame_and_nobody_waits(on_meta, monkeypatch, tier, records):
    def replayed(run: Run) -> Run:
        return Replayed(run, lambda call: (lambda: None, call()), META, lends=True)

    plain, sent = eager_plan(on_meta), Sent()
    pipeline = FramePipeline(on_meta, VirtualClock(), captured(plain, replayed) if records else plain)
    state = replace(STATE, guidance=GuidanceTier(tier), feedback=0.6)
    pipeline.hear(RAIN, state)
    for _ in range(4):
        pipeline.frame(state, LOUD)
    for module in (frame_pipeline, plan):
        monkeypatch.setattr(module, "to_device", sent.to_device)
    with sent:
        evaluations = [pipeline.frame(state, LOUD).evaluations for _ in range(3)]
    assert evaluations == [{Tier.BLEND: 1, Tier.SEMANTIC: 2, Tier.REFERENCE: 3}[tier]] * 3
    assert sent.count == 3 * 2, "tokens, and what is leaked into the noise; that itself moved once"


def test_a_still_show_is_drawn_once(on_meta):
    """Its conditions are the host's until they are drawn: they can be compared."""
    pipeline, still = FramePipeline(on_meta, VirtualClock(), eager_plan(on_meta)), replace(STATE, motion=0.0)
    pipeline.hear(RAIN, still)
    assert pipeline.begin_changed(still) is not None
    heard = pipeline.listener.heard
    assert heard is not None
    pipeline.follow(replace(heard))
    assert pipeline.begin_changed(still) is None
    assert pipeline.begin_changed(replace(still, amount=0.3)) is not None


@pytest.fixture(scope="module")
def on_cpu() -> Model:
    return load()


def test_replayed_from_the_same_addresses_it_is_the_frame_of_the_cpu(on_cpu):
    state = replace(STATE, guidance=GuidanceTier.SEMANTIC, feedback=0.5)
    plain = eager_plan(on_cpu)
    frames = [played(on_cpu, made, state) for made in (plain, captured(plain, strict_gpu.capture))]
    for got, want in zip(*frames, strict=True):
        assert abs(got - want).max() <= 1
    assert abs(frames[0][1] - frames[0][-1]).max() > 1, "it moved"


def played(model: Model, made: Plan, state: ShowState) -> list[np.ndarray]:
    """Frames in silence, then to rain."""
    clock, images = VirtualClock(), list[np.ndarray]()
    pipeline = FramePipeline(model, clock, made)
    for frame in range(6):
        if frame == 3:
            pipeline.hear(RAIN, state)
        images.append(pipeline.frame(state, LOUD).image.astype(int))
        clock.sleep(0.2)
    return images


@pytest.fixture
def gpu_here(monkeypatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for name, answer in (("is_available", True), ("get_device_name", "a GPU"), ("get_device_capability", (8, 9))):
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(tensorrt, "available", lambda library: (True, ""))


def test_a_gpu_comes_first_and_the_cpu_last(gpu_here):
    runners = loading.runners("pocket")
    assert runners == ("tensorrt", "tensorrt_rtx", "cuda", "onnx", "torch", "cpu")
    assert loading.precisions("pocket") == (Precision.FP32, Precision.FP16)
    assert {loading.own_precision(runner, "pocket") for runner in runners} == {Precision.FP32}
    found = {finding.part: finding.words for finding in doctor._backends()}
    assert found["runner of pocket"] == "tensorrt; if that fails: " + ", then ".join(
        map(str, backends_on(runners, False)[1:])
    )


@pytest.mark.parametrize(("runner", "where"), [("cuda", "cuda"), ("torch", "cuda"), ("onnx", "cpu"), ("cpu", "cpu")])
def test_each_runner_has_its_place(gpu_here, monkeypatch, runner, where):
    asked = list[torch.device]()
    monkeypatch.setattr("tpos_models.pocket.model.load", lambda *_, device, **__: asked.append(device) or load())
    loading.open_on(Backend(runner), "pocket")
    assert [device.type for device in asked] == [where]


def test_without_a_gpu_it_is_onnx_runtimes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loading.runners("pocket") == ("onnx", "torch")
    assert [loading.precisions("pocket")[0], registry.device("pocket").type] == [Precision.FP32, "cpu"]
    assert "cuda" not in loading.passed_over("pocket")


def test_only_what_draws_is_given_to_the_gpus_runner():
    given = list[str]()

    def runner(network: Network) -> Run:
        given.append(network.name)
        return run_in_torch(network)

    model = load(runner, "tensorrt", device=META, whole_steps=True)
    assert given == ["pocket-step", "pocket-pixels"], "the denoiser when another sampler asks"
    embedding = model.audio.hear(RAIN.samples, RAIN.end_index, RAIN.time_s)
    assert {embedding.tokens.device, model.text.encode(["rain"]).tokens.device} == {torch.device("cpu")}
    assert model.encoder(torch.zeros(1, 3, 256, 256)).device == META


@contextmanager
def nothing_waits():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("runner", ["cuda", "torch"])
def test_on_a_gpu_it_draws_what_the_cpu_draws(on_cpu, tier, runner):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    model = loading.open_on(Backend(runner), "pocket")
    state = replace(STATE, guidance=GuidanceTier(tier))
    pictures = (played(one, choose_plan(one), state) for one in (model, on_cpu))
    for got, want in zip(*pictures, strict=True):
        assert abs(got - want).max() <= 2
    pipeline, coming = FramePipeline(model, VirtualClock(), choose_plan(model)), list[Callable[[], object]]()
    pipeline.prepare(state)
    pipeline.hear(RAIN, state)
    for _ in range(5):
        pipeline.frame(state)
    with nothing_waits():
        coming += [pipeline.begin(state) for _ in range(4)]
    assert len([draw() for draw in coming]) == 4
