"""Engines in the show: on a TensorRT that forgives nothing, recorded and replayed, every frame is eager torch's."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import strict_gpu
import torch
from real_parts import missing
from small_diffusers import CONV, LINEAR, TEXT, write_lora
from small_networks import small

from engine.core.clock import VirtualClock
from engine.core.messages import GuidanceTier, Prompt, ShowState
from engine.inference.frame_pipeline import FramePipeline
from engine.inference.plan import captured, choose_plan, eager_plan
from export import cuda_graphs, tensorrt
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Tier
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.errors import MissingPart, RunError
from tpos_models.network import Network, Run, Runner, run_in_torch
from tpos_models.registry import Additions


@pytest.fixture(scope="module")
def trt() -> ModuleType:
    try:
        return tensorrt.load_library("tensorrt_rtx")
    except MissingPart as error:
        missing(error)


def load(
    runner: Runner, whole_steps: bool = False, loras: tuple[str, ...] = (), name: str = "random:tiny-lcm"
) -> Model:
    additions = Additions(loras, "pocket")
    size_px = None if name == "pocket" else (64, 64)
    return registry.load(name, runner, "tensorrt_rtx", size_px, additions, whole_steps=whole_steps)


@pytest.fixture(scope="module")
def eager() -> Model:
    return load(run_in_torch)


def request(model: Model, tier: Tier, steps: int, weight: float, seed: int) -> SampleRequest:
    beach, fire, nothing = model.text.encode(["a beach", "fire", ""]).tokens
    terms = (AudioTerm(fire, weight),) if weight else ()
    noise = torch.randn(1, 4, *model.spec.sample_size, generator=torch.Generator().manual_seed(seed))
    guidance = replace(model.spec.guidance, guidance_scale=2.0)
    return SampleRequest(noise, Conditions(beach, nothing, nothing, terms), tier, guidance, steps)


@pytest.mark.parametrize("whole_steps", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("tier", Tier)
def test_frames_in_silence_and_sound_are_eager_torchs_in_any_order(trt, eager, tmp_path, tier, steps, whole_steps):
    same_frames(load(strict_gpu.runner(trt, tmp_path), whole_steps), eager, tier, steps)


@pytest.mark.parametrize("tier", Tier)
def test_frames_of_sdxl_are_eager_torchs(trt, tmp_path, tier):
    name = "random:tiny-sdxl"
    same_frames(load(strict_gpu.runner(trt, tmp_path), True, name=name), load(run_in_torch, name=name), tier, 2)


@pytest.mark.parametrize("tier", Tier)
def test_frames_of_pocket_are_eager_torchs(trt, tmp_path, tier):
    same_frames(load(strict_gpu.runner(trt, tmp_path), True, name="pocket"), load(run_in_torch, name="pocket"), tier, 1)


def same_frames(model: Model, eager: Model, tier: Tier, steps: int) -> None:
    """Captured frames of one model are those of the other, sound coming and going."""
    want, plan = eager_plan(eager), captured(eager_plan(model), strict_gpu.capture)
    for seed, weight in enumerate((0.0, 0.0, 0.0, 0.7, 0.7, 0.4, 0.0, 0.9, 0.9, 0.0)):
        asked = request(eager, tier, steps, weight, seed)
        (got, drawn), (true, pixels) = plan.draw(asked), want.draw(asked)
        torch.testing.assert_close(got.x0, true.x0, rtol=1e-4, atol=1e-4)
        assert (drawn.int() - pixels.int()).abs().max() <= 1


@pytest.mark.parametrize("whole_steps", [False, True])
def test_a_frame_is_fed_the_one_before_it(trt, eager, tmp_path, whole_steps):
    """What a recording lends is read before the next replay writes over it."""
    model = load(strict_gpu.runner(trt, tmp_path), whole_steps)
    plans = ((model, captured(eager_plan(model), strict_gpu.capture)), (eager, eager_plan(eager)))
    state = ShowState(prompts=(Prompt("a beach"),), guidance=GuidanceTier.SEMANTIC, feedback=0.6, motion=0.5)
    shows = list[list[np.ndarray]]()
    for played, plan in plans:
        clock = VirtualClock()
        pipeline = FramePipeline(played, clock, plan)
        shows.append([])
        for _ in range(6):
            shows[-1].append(pipeline.frame(state).image.astype(int))
            clock.sleep(0.2)
    for got, want in zip(*shows, strict=True):
        assert abs(got - want).max() <= 1
    assert abs(shows[0][0] - shows[0][-1]).max() > 1, "it moved"


@pytest.mark.parametrize("other", [{"stream_batch": True}, {"reference_steps": 5}])
def test_what_only_another_sampler_needs_is_built_before_the_show(other):
    built = list[str]()

    def runner(network: Network) -> Run:
        built.append(network.name)
        return run_in_torch(network)

    model = load(runner, whole_steps=True)
    assert "step-64x64" in built
    assert "denoiser-64x64" not in built
    pipeline, state = FramePipeline(model, VirtualClock(), choose_plan(model, **other)), ShowState()
    pipeline.prepare(state)
    prepared = list(built)
    assert "denoiser-64x64" in prepared
    pipeline.frame(state)
    assert built == prepared


def test_a_moving_fader_is_no_other_recording_of_a_whole_step(trt, eager, tmp_path):
    recorded = list[Run]()

    def capture(execute: Run) -> Run:
        def counted(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            recorded.append(execute)
            return execute(*tensors)

        return strict_gpu.capture(counted)

    plan, want = captured(eager_plan(load(strict_gpu.runner(trt, tmp_path), True)), capture), eager_plan(eager)
    calls = []
    for frame in range(6):
        asked = request(eager, Tier.REFERENCE, 1, 0.5, frame)
        asked = replace(asked, guidance=replace(asked.guidance, guidance_scale=1.2 + 0.1 * frame, audio_scale=frame))
        torch.testing.assert_close(plan.draw(asked)[0].x0, want.draw(asked)[0].x0, rtol=1e-4, atol=1e-4)
        calls.append(len(recorded))
    assert calls[0] == calls[-1] > 0


def test_a_loras_strength_moves_and_nothing_is_recorded_again(trt, tmp_path):
    lora = write_lora(tmp_path / "style.safetensors", LINEAR, CONV, TEXT)
    recorded = list[Run]()

    def capture(execute: Run) -> Run:
        return strict_gpu.capture(lambda *tensors: recorded.append(execute) or execute(*tensors))

    given = f"{lora}:0.5"
    fitted, torchs = load(strict_gpu.runner(trt, tmp_path), True, (given,)), load(run_in_torch, False, (given,))
    assert fitted.loras is not None
    assert torchs.loras is not None
    plan, want = captured(eager_plan(fitted), capture), eager_plan(torchs)
    frames, calls = [], []
    for strength in (0.0, 0.7, 0.0):
        fitted.loras.set({"style": strength})
        torchs.loras.set({"style": strength})
        (got, _), (true, _) = (
            one.draw(request(model, Tier.SEMANTIC, 1, 0.5, 3)) for one, model in ((plan, fitted), (want, torchs))
        )
        torch.testing.assert_close(got.x0, true.x0, rtol=1e-4, atol=1e-4)
        frames.append(got.x0.clone())
        calls.append(len(recorded))
    assert calls[0] == calls[-1] > 0
    assert torch.equal(frames[0], frames[2])
    assert not torch.allclose(frames[0], frames[1], atol=1e-3)


def test_weights_that_an_engine_does_not_exchange_cost_the_backend(trt, tmp_path, monkeypatch):
    lora = write_lora(tmp_path / "style.safetensors", LINEAR)
    monkeypatch.setattr(strict_gpu.StrictRefitter, "get_all_weights", lambda self: ["another"])
    with pytest.raises(
        RunError, match=r"denoiser-64x64: its engine does not exchange unet\.down_blocks\.0.*to_k\.weight"
    ):
        load(strict_gpu.runner(trt, tmp_path), loras=(str(lora),))


def test_inputs_need_not_be_contiguous(trt, tmp_path):
    run, reference = strict_gpu.runner(trt, tmp_path)(small()), run_in_torch(small())

    def expanded(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return run(x.expand(3, -1, -1, -1), t.expand(3))

    x, t = small().example(1)
    recorded = strict_gpu.capture(expanded)
    for _ in range(3):
        x = x + 1
        want = reference(x.expand(3, -1, -1, -1), t.expand(3))
        for got, true in zip(recorded(x, t), want, strict=True):
            torch.testing.assert_close(got, true)


def test_an_engine_that_cannot_be_captured_is_left_to_the_next_backend(trt, tmp_path):
    run = strict_gpu.runner(trt, tmp_path, capturable=False)(small())
    with pytest.raises(RunError, match="small: its engine cannot be captured in a CUDA graph"):
        run(*small().example(1))


def test_kernels_are_kept_for_every_shape_that_came(trt, tmp_path):
    run = strict_gpu.runner(trt, tmp_path)(small())
    sizes = []
    for batch in (1, 1, 2, 2, 3):
        run(*small().example(batch))
        sizes.append((tmp_path / "small.kernels").stat().st_size)
    assert sizes == [1, 1, 2, 2, 3]


def test_an_answer_is_the_callers_own(trt, tmp_path):
    run = strict_gpu.runner(trt, tmp_path)(small())
    first = run(*small().example(1))[0]
    kept = first.clone()
    run(*(-tensor for tensor in small().example(1)))
    assert torch.equal(first, kept)


def test_an_answer_outlives_the_next_call_within_a_recording(trt, tmp_path):
    run, reference = strict_gpu.runner(trt, tmp_path)(small()), run_in_torch(small())

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.cat([run(x, t)[0], run(-x, t)[0]]),)

    x, t = small().example(1)
    recorded = strict_gpu.capture(both)
    for _ in range(2):
        x = x + 1
        want = torch.cat([reference(x, t)[0], reference(-x, t)[0]])
        torch.testing.assert_close(recorded(x, t)[0], want)


def test_what_stands_in_has_the_real_ones_names(trt):
    pairs = (
        (strict_gpu.StrictContext, trt.IExecutionContext), (strict_gpu.StrictEngine, trt.ICudaEngine),
        (strict_gpu.StrictConfig, trt.IRuntimeConfig), (strict_gpu.StrictCache, trt.IRuntimeCache),
        (strict_gpu.StrictRefitter, trt.Refitter),
    )  # fmt: skip
    ours = {
        "StrictEngine": {"network", "module", "run", "capturable", "kinds"},
        "StrictConfig": {"strategy"},
        "StrictCache": {"count"},
    }
    for stand_in, real in pairs:
        names = {name for name in vars(stand_in) if not name.startswith("_")} - ours.get(stand_in.__name__, set())
        assert names
        assert sorted(name for name in names if not hasattr(real, name)) == []


def test_a_recording_that_fails_leaves_nothing_recording():
    def fails(_call):
        raise RuntimeError("operation not permitted when stream is capturing")

    replayed = cuda_graphs.Replayed(lambda x: (x + 1,), fails, strict_gpu.CPU)
    with pytest.raises(RuntimeError, match="not permitted"):
        replayed(torch.zeros(1))
    assert not cuda_graphs.recording()
