"""Timesteps as diffusers' own LCM scheduler and the papers have them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.schedule import NoiseSchedule

FEW = NoiseSchedule(ModelSpec("few", timesteps=(999, 679, 359, 99)))


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (1.0, [999, 679, 359, 99]),
        (0.9, [999, 679, 359, 99]),  # 3.6 of 4: the nearest is all
        (0.7, [679, 359, 99]),
        (0.6, [359, 99]),
        (0.2, [99]),
        (0.0, [99]),
    ],
)
def test_strength_leaves_the_nearest_share_of_the_least_noisy(strength, expected):
    assert FEW.timesteps(4, strength) == expected


def test_steps_are_taken_evenly_from_the_noisiest():
    assert FEW.timesteps(1) == [999]
    assert FEW.timesteps(2) == [999, 359]
    assert FEW.timesteps(3, 0.5) == [359, 99]
    for steps in (0, 5):
        with pytest.raises(ValueError, match=f"steps is {steps}; 1 to 4 would be accepted"):
            FEW.timesteps(steps)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("t", [999, 499, 19])
def test_a_step_is_diffusers_lcm_schedulers(prediction_type, t):
    from diffusers import LCMScheduler

    scheduler: Any = LCMScheduler(beta_start=0.00085, beta_end=0.012, prediction_type=prediction_type)
    scheduler.set_timesteps(timesteps=[t])
    x_t, prediction = torch.randn(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(t)).unbind(0)
    want = scheduler.step(prediction, t, x_t).denoised
    schedule = NoiseSchedule(ModelSpec("sd", schedule="scaled_linear", prediction_type=prediction_type))
    got = schedule.step(prediction, x_t, torch.zeros_like(x_t), t, None)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers, with numpy 2
@pytest.mark.parametrize("stepping", ["euler", "ancestral"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_steps_are_diffusers_euler_schedulers(stepping, prediction_type):
    """Whose x is x_t / alpha_t, and whose noise has the level sigma_t / alpha_t."""
    import diffusers

    kind = {"euler": "EulerDiscreteScheduler", "ancestral": "EulerAncestralDiscreteScheduler"}[stepping]
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler: Any = getattr(diffusers, kind)(**config, prediction_type=prediction_type, timestep_spacing="trailing")
    scheduler.set_timesteps(3)
    schedule = NoiseSchedule(
        ModelSpec("sd", schedule="scaled_linear", stepping=stepping, prediction_type=prediction_type)
    )
    timesteps = [int(t) for t in scheduler.timesteps]
    noise, prediction = torch.randn(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(1)).unbind(0)
    x, x_t = noise * scheduler.init_noise_sigma, schedule.first(noise, timesteps[0])
    for i, (t, following) in enumerate(zip(timesteps, [*timesteps[1:], None], strict=True)):
        theirs = scheduler.timesteps[i]
        torch.testing.assert_close(x_t, scheduler.scale_model_input(x, theirs), rtol=1e-4, atol=1e-4)
        fresh = torch.randn(noise.shape, generator=torch.Generator().manual_seed(i))
        x = scheduler.step(prediction, theirs, x, generator=torch.Generator().manual_seed(i)).prev_sample
        f_x, f_e, _, f_n = schedule.transition(t, following)
        x_t = schedule.step(prediction, linear := x_t, fresh, t, following)
        torch.testing.assert_close(x_t, f_x * linear + f_e * prediction + f_n * fresh, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x_t, x, rtol=1e-4, atol=1e-4)
