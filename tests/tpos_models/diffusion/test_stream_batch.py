"""Stream batch: the same pictures as the plain sampler, later, in fewer calls."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import TIERS, Guidance
from tpos_models.diffusion.lcm import sample, trajectory
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.diffusion.stream_batch import StreamBatch
from tpos_models.network import MAX_BATCH

SPEC = ModelSpec("stream", sample_size=(6, 6), tokens=3, token_size=5, guidance=Guidance(1.5, 2.0, 0.5, 0.3, 0.6, 0.2))


class Net:
    """A small convolution that depends on the noise, the time and the tokens; notes its batches.

    In float64: in float32 the batch's size moves last digits, and a mask's threshold makes them visible.
    """

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.conv, self.tokens = torch.nn.Conv2d(4, 4, 3, padding=1).double(), torch.nn.Linear(15, 4).double()
        self.batches: list[int] = []

    @torch.inference_mode()
    def __call__(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(x_t))
        wave = torch.sin(self.tokens(tokens.flatten(1)) + t[:, None] / 300)
        return torch.tanh(self.conv(x_t) * (1 + wave[:, :, None, None]))


def moment(seed: int) -> tuple[torch.Tensor, Conditions]:
    """Noise and conditions of one frame of a moving show."""
    random = torch.Generator().manual_seed(seed)
    text, null, uncond, sound = torch.randn(4, 3, 5, generator=random).double()
    return torch.randn(1, 4, 6, 6, generator=random).double(), Conditions(text, null, uncond, (AudioTerm(sound, 0.8),))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_frames_are_the_plain_samplers_later(tier, steps):
    net, schedule = Net(), NoiseSchedule(SPEC)
    stream: StreamBatch[int] = StreamBatch(net)
    for k in range(7):
        begin = partial(trajectory, schedule, *moment(k), tier, SPEC.guidance, steps)
        x0, which = stream.push(begin, k, steps)
        assert which == max(0, k - (steps - 1))
        plain = sample(net, schedule, *moment(which), tier, SPEC.guidance, steps)
        torch.testing.assert_close(x0, plain.x0, atol=1e-9, rtol=1e-9)


def test_a_frame_costs_one_call_as_long_as_a_batch_holds_it():
    net, schedule = Net(), NoiseSchedule(SPEC)
    stream: StreamBatch[int] = StreamBatch(net)
    for k in range(8):
        stream.push(partial(trajectory, schedule, *moment(k), "blend", SPEC.guidance, 4), k, 4)
    assert net.batches == [1, 2, 3, 4] + [4] * 7
    assert stream.evaluations == sum(net.batches)
    net.batches.clear()
    stream.push(partial(trajectory, schedule, *moment(9), "reference", SPEC.guidance, 4), 9, 4)
    assert max(net.batches) == MAX_BATCH
    assert sum(net.batches) == 3 + 3, "one frame of three evaluations beside three of one"


def test_another_number_of_steps_begins_anew():
    net, schedule = Net(), NoiseSchedule(SPEC)
    stream: StreamBatch[str] = StreamBatch(net)
    stream.push(partial(trajectory, schedule, *moment(0), "blend", SPEC.guidance, 4), "old", 4)
    x0, which = stream.push(partial(trajectory, schedule, *moment(1), "blend", SPEC.guidance, 2), "new", 2)
    assert which == "new"
    plain = sample(net, schedule, *moment(1), "blend", SPEC.guidance, 2)
    torch.testing.assert_close(x0, plain.x0, atol=1e-9, rtol=1e-9)
