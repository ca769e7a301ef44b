"""Stream batch: the same pictures as the plain sampler, later, in fewer calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tpos_models.contracts import ModelSpec
from tpos_models.diffusion.conditioning import AudioTerm, Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
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


def moment(seed: int, tier: Tier = Tier.BLEND, steps: int = 4) -> SampleRequest:
    """One frame of a moving show."""
    random = torch.Generator().manual_seed(seed)
    text, null, sound = torch.randn(3, 3, 5, generator=random).double()
    noise = torch.randn(1, 4, 6, 6, generator=random).double()
    conditions = Conditions(text, null, null, (AudioTerm(sound, 0.8),))
    return SampleRequest(noise, conditions, tier, SPEC.guidance, steps, metadata=seed)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_frames_are_the_plain_samplers_later(tier, steps):
    net, schedule = Net(), NoiseSchedule(SPEC)
    stream, plain = StreamBatch(net, schedule), LcmSampler(net, schedule)
    for k in range(7):
        sampled = stream(moment(k, tier, steps))
        which = sampled.request.metadata
        assert which == max(0, k - (steps - 1))
        torch.testing.assert_close(sampled.x0, plain(moment(which, tier, steps)).x0, atol=1e-9, rtol=1e-9)


def test_a_frame_costs_one_call_as_long_as_a_batch_holds_it():
    net = Net()
    stream = StreamBatch(net, NoiseSchedule(SPEC))
    evaluations = [stream(moment(k)).evaluations for k in range(8)]
    assert net.batches == [1, 2, 3, 4] + [4] * 7
    assert evaluations == [1 + 2 + 3 + 4] + [4] * 7
    net.batches.clear()
    stream(moment(9, Tier.REFERENCE))
    assert max(net.batches) == MAX_BATCH
    assert sum(net.batches) == 3 + 3, "one frame of three evaluations beside three of one"


def test_a_strength_that_means_nothing_drops_no_frame():
    """Nothing is started from, so its fader may move."""
    stream = StreamBatch(Net(), NoiseSchedule(SPEC))
    sampled = [stream(replace(moment(k), strength=0.5 + 0.05 * k)) for k in range(8)]
    assert [one.evaluations for one in sampled] == [1 + 2 + 3 + 4] + [4] * 7
    assert [one.request.metadata for one in sampled] == [0, 0, 0, 0, 1, 2, 3, 4]


def test_another_number_of_steps_begins_anew():
    net, schedule = Net(), NoiseSchedule(SPEC)
    stream = StreamBatch(net, schedule)
    stream(moment(0, steps=4))
    sampled = stream(moment(1, steps=2))
    assert sampled.request.metadata == 1
    torch.testing.assert_close(sampled.x0, LcmSampler(net, schedule)(moment(1, steps=2)).x0, atol=1e-9, rtol=1e-9)
