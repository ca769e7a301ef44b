"""A step as one network: in every tier it is the frame that the sampler makes, evaluation by evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from export import onnx_export
from export.onnx_session import open_session
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import Sampled, SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.step import NUMBERS, TOKEN_SETS, StepSampler, compiles, pixels_network, step_network
from tpos_models.network import Network, as_function, max_relative_error, run_in_torch
from tpos_models.stable_diffusion import open_model
from tpos_models.stable_diffusion.model import Opened

LATENTS = (1, 4, 8, 8)


@pytest.fixture(scope="module", params=[f"random:tiny-{name}" for name in ("sd15", "sd21", "lcm", "turbo", "sdxl")])
def opened(request) -> Opened:
    """Epsilon and v prediction, a network with its guidance inside, Euler's steps, and ancestral ones of SDXL."""
    return open_model(request.param, size_px=(64, 64))


@pytest.fixture(scope="module")
def samplers(opened) -> tuple[StepSampler, LcmSampler]:
    denoiser, quantile = opened.recipe.denoiser(), opened.spec.guidance.quantile
    run, step = run_in_torch(denoiser), run_in_torch(step_network(denoiser, quantile))
    eager = LcmSampler(lambda x_t, t, tokens: run(x_t, t, tokens)[0], NoiseSchedule(opened.spec))
    return StepSampler(step, opened.spec, eager), eager


def request(
    opened: Opened,
    tier: Tier,
    steps: int,
    weights: list[float],
    scale: float,
    start: bool,
    negative: bool = False,
) -> SampleRequest:
    generator = torch.Generator().manual_seed(steps + len(weights))
    size = (opened.spec.tokens, opened.spec.token_size)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    terms = tuple(AudioTerm(random(*size), weight) for weight in weights)
    text, null, fog = random(*size), random(*size), random(*size)
    conditions = Conditions(text, null, fog if negative else null, terms)
    guidance = replace(opened.spec.guidance, guidance_scale=scale, residual_scale=scale, warmup=0.3)
    return SampleRequest(
        random(*LATENTS), conditions, tier, guidance, steps, random(*LATENTS) if start else None, 0.7
    )  # fmt: skip


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("weights", [[], [0.7], [0.7, 0.2], [0.0, 0.4]])
def test_every_frame_is_the_samplers(opened, samplers, tier, weights):
    step, eager = samplers
    for steps, scale, start, negative in ((1, 1.0, False, False), (1, 2.0, True, True), (4, 2.0, False, False)):
        asked = request(opened, tier, steps, weights, scale, start, negative)
        got, want = step(asked), eager(asked)
        # a cell on the very edge of the quantile may fall to its other side
        assert max_relative_error((got.x0,), (want.x0,)) < 1e-3, (steps, scale, start)
        assert got.evaluations == want.evaluations
        assert got.request is asked


def test_more_sounds_than_there_are_sets_are_heard_all_the_same(opened, samplers):
    step, eager = samplers
    for tier in Tier:
        asked = request(opened, tier, 1, [0.3, 0.5, 0.1, 0.9, 0.2, 0.7, 0.4, 0.6], 2.0, False, True)
        assert max_relative_error((step(asked).x0,), (eager(asked).x0,)) < 1e-3


def test_another_quantile_is_left_to_the_other_sampler(opened, samplers):
    step, eager = samplers
    sent = list[SampleRequest]()

    class Other(LcmSampler):
        def __call__(self, request: SampleRequest) -> Sampled:
            sent.append(request)
            return super().__call__(request)

    alone = StepSampler(step._step, opened.spec, Other(eager._denoiser, eager._schedule))
    other = request(opened, Tier.SEMANTIC, 1, [0.3], 1.0, False)
    other = replace(other, guidance=replace(other.guidance, quantile=0.5))
    alone(other)
    assert sent == [other]


def test_another_prompt_and_another_sound_are_seen_at_once(opened, samplers):
    step, eager = samplers
    asked = request(opened, Tier.SEMANTIC, 1, [0.7], 1.0, False)
    now = asked.at(0)
    for conditions in (
        replace(now, text=now.text.flip(0)), replace(now, audio=(AudioTerm(now.text.flip(1), 0.7),)), now,
    ):  # fmt: skip
        changed = replace(asked, conditions=conditions)
        assert max_relative_error((step(changed).x0,), (eager(changed).x0,)) < 1e-3


@pytest.fixture(scope="module")
def tiny() -> Opened:
    return open_model("random:tiny-sd15", size_px=(64, 64))


def network(opened: Opened, quantile: float = 0.8) -> Network:
    return step_network(opened.recipe.denoiser(), quantile)


def steering(opened: Opened, batch: int) -> list[torch.Tensor]:
    """A step's inputs with the guidance as strong as the rest."""
    numbers, *rest = network(opened).example(batch)
    numbers[:, TOKEN_SETS + NUMBERS.index("direction")] = torch.linspace(0, 1.5, batch)
    return [numbers, *rest]


def test_exported_it_guides_as_it_does_in_torch(tiny, tmp_path):
    step = network(tiny)
    exported = onnx_export.export(step, tmp_path / "step.onnx")
    run, reference = open_session(exported.path, step), run_in_torch(step)
    for batch in (1, 2, 3, 4):
        inputs = steering(tiny, batch)
        assert max_relative_error(run(*inputs), reference(*inputs)) < 1e-5


def test_what_float16_makes_of_a_small_direction_is_no_fault_of_the_export(tiny, tmp_path):
    """Prompt and sound are nearly the same: of their difference, and of v which is nothing else, little is left."""
    step = network(tiny)
    numbers, x_t, start, noise, v, tokens = steering(tiny, 2)
    numbers[1, :TOKEN_SETS] = numbers[0, :TOKEN_SETS]
    numbers[1, 1] = 0.0001
    numbers[:, TOKEN_SETS + NUMBERS.index("base")] = torch.tensor([1.0, 0.0])
    numbers[:, TOKEN_SETS + NUMBERS.index("carried")] = 0.0
    exported = onnx_export.export(step, tmp_path / "step.onnx", "fp16", real=[(numbers, x_t, start, noise, v, tokens)])
    assert exported.error < onnx_export.TOLERANCE["fp16"] / 4


def test_only_the_denoiser_is_rounded(tiny):
    """x_t goes from step to step in float32: at the noisiest timestep an error in it counts a dozen times in x0.

    In torch: ONNX Runtime on a CPU leaves out a rounding to float16 and back.
    """
    step = network(tiny)
    numbers, x_t, start, noise, v, tokens = step.example(1)
    shares = numbers[:, TOKEN_SETS:]
    shares[:, NUMBERS.index("from_x")], shares[:, NUMBERS.index("from_prediction")] = 1.0, 0.0
    shares[:, NUMBERS.index("from_start")], shares[:, NUMBERS.index("from_noise")] = 1e-6, 1e-5
    run = as_function(onnx_export._in_half(step.build()))
    torch.testing.assert_close(
        run(numbers, x_t, start, noise, v, tokens)[0], x_t + 1e-6 * start + 1e-5 * noise, rtol=1e-6, atol=1e-7
    )


def test_what_the_step_keeps_and_what_it_is_around_make_another_network(tiny):
    other = replace(tiny.recipe.denoiser(), fingerprint="e" * 64)
    prints = {network(tiny).fingerprint, network(tiny, 0.9).fingerprint, step_network(other, 0.8).fingerprint}
    assert len(prints) == 3


@pytest.mark.parametrize(("size_px", "fits"), [((1024, 1024), True), ((1280, 1024), False), ((1920, 1088), False)])
def test_pictures_for_which_tensorrt_cannot_choose_so_many_cells_keep_their_networks_apart(size_px, fits):
    """Its TopK gives 3840 values at most; a fifth of 128 x 128 cells are 3277, of 128 x 160 4096."""
    assert compiles(open_model("random:sd15", size_px=size_px).spec) is fits
    assert not compiles(replace(open_model("random:sd15", size_px=(1024, 1024)).spec, sample_size=(160, 128)))


def test_pixels_are_the_decoders_colours_as_bytes(tiny, tmp_path):
    decoder = tiny.recipe.decoder()
    pixels = pixels_network(decoder)
    (latents,) = decoder.example(2)
    (colours,), (drawn,) = run_in_torch(decoder)(latents), run_in_torch(pixels)(latents)
    assert drawn.dtype == torch.uint8
    want = (255 * colours.double()).numpy().round().transpose(0, 2, 3, 1)
    assert abs(drawn[..., :3].numpy() - want).max() <= 1
    assert (drawn[..., :3].numpy() != want).mean() < 1e-3
    assert (drawn[..., 3] == 255).all()
    run = open_session(onnx_export.export(pixels, tmp_path / "pixels.onnx").path, pixels)
    assert (run(latents)[0].int() - drawn.int()).abs().max() <= 1
